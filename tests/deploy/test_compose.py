"""Statements about docker-compose.yml and the Kubernetes file: what they name exists, and nothing is left open."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from streams.cli import COMMANDS, cli

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if service["image"].startswith("kithwatch")]
MANIFESTS: list[dict[str, Any]] = list(yaml.safe_load_all((ROOT / "deploy/kubernetes/kithwatch.yaml").read_text()))

each_service = pytest.mark.parametrize("name", SERVICES)


def pod() -> dict[str, Any]:
    (found,) = [one for one in MANIFESTS if one["kind"] == "StatefulSet"]
    spec: dict[str, Any] = found["spec"]["template"]["spec"]
    return spec


def kithwatch_commands() -> list[Any]:
    """Every kithwatch command line that a deployment file holds."""
    lines = {f"compose-{name}": SERVICES[name]["command"] for name in OURS}
    lines |= {f"kubernetes-{one['name']}": one["args"] for one in pod()["initContainers"] + pod()["containers"]}
    return [pytest.param(line, id=where) for where, line in lines.items()]


@pytest.mark.parametrize("line", kithwatch_commands())
def test_every_command_is_one_kithwatch_has_with_options_it_knows(line: list[str]) -> None:
    name, *rest = line
    module = COMMANDS[name].split(":")[0]
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"kithwatch {name} is not written yet")
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    known = {flag for parameter in command.params for flag in parameter.opts + parameter.secondary_opts}
    assert {word for word in rest if word.startswith("--")} <= known
    command.make_context(name, rest).close()  # parses, and fails on a value of the wrong kind


@each_service
def test_every_image_is_pinned(name: str) -> None:
    tag = SERVICES[name]["image"].partition(":")[2]
    assert tag == "local" if name in OURS else re.match(r"v?\d+\.\d+\.\d+", tag)


def test_kafka_is_the_one_that_the_tests_run_against() -> None:
    pom = (ROOT / "deploy/kafka/pom.xml").read_text()
    tested = re.search(r"<artifactId>kafka_2\.13</artifactId>\s*<version>([\d.]+)</version>", pom)
    assert tested is not None
    for service in SERVICES.values():
        image, _, tag = service["image"].partition(":")
        assert image != "apache/kafka" or tag == tested[1]


@each_service
def test_every_mounted_path_exists(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        source, *rest = volume.split(":")
        if source.startswith("."):
            assert (ROOT / source).exists(), volume
            assert rest[-1] == "ro", f"{volume}: a folder of the checkout is only read"
        elif rest:
            assert source in COMPOSE["volumes"], volume


@each_service
def test_every_port_is_bound_to_this_machine_alone(name: str) -> None:
    assert SERVICES[name].get("network_mode") is None
    for port in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port), port


@each_service
def test_every_service_that_stays_has_a_health_check(name: str) -> None:
    check = SERVICES[name].get("healthcheck", {})
    stays = SERVICES[name].get("restart") == "unless-stopped"
    assert bool(check.get("disable")) is not stays
    if stays and name not in OURS:  # ours has the image's
        assert check["test"]


@each_service
def test_every_service_waited_for_can_be_waited_for(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        once = SERVICES[other]["restart"] != "unless-stopped"
        assert how["condition"] == ("service_completed_successfully" if once else "service_healthy")


@each_service
def test_no_service_has_more_rights_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not service.get("privileged")
    assert service.get("read_only") or name not in OURS


@each_service
def test_no_secret_is_written_down(name: str) -> None:
    for key, value in SERVICES[name].get("environment", {}).items():
        if re.search("PASSWORD|SECRET|TOKEN|KEY", key):
            assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), f"{key} comes from the environment, without a default"


def test_prometheus_scrapes_the_port_that_workers_serve() -> None:
    (job,) = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["scrape_configs"]
    (lookup,) = job["dns_sd_configs"]
    assert lookup["names"] == ["worker"]
    command = SERVICES["worker"]["command"]
    assert command[command.index("--health-port") + 1] == str(lookup["port"])
    assert "ports" not in SERVICES["worker"], "a published port would keep a second worker from starting"
    assert "container_name" not in SERVICES["worker"]


def test_kubernetes_names_agree() -> None:
    kinds = {one["kind"]: one for one in MANIFESTS}
    labels = kinds["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    assert kinds["StatefulSet"]["spec"]["selector"]["matchLabels"] == labels
    assert kinds["Service"]["spec"]["selector"] == labels
    assert kinds["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert kinds["StatefulSet"]["spec"]["serviceName"] == kinds["Service"]["metadata"]["name"]
    volumes = {volume["name"] for volume in pod()["volumes"]}
    volumes |= {claim["metadata"]["name"] for claim in kinds["StatefulSet"]["spec"]["volumeClaimTemplates"]}
    for container in pod()["initContainers"] + pod()["containers"]:
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes
        assert container["securityContext"]["readOnlyRootFilesystem"]
    (worker,) = pod()["containers"]
    assert worker["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert worker["readinessProbe"]["httpGet"]["path"] == "/readyz"


def run(program: str, *arguments: str, **environment: str) -> None:
    found = shutil.which(program)
    assert found is not None, f"this test needs {program} on the PATH (.ci/run puts it there)"
    done = subprocess.run(
        [found, *arguments], capture_output=True, text=True, cwd=ROOT, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_docker_compose_reads_the_file() -> None:
    arguments = ["--file", "docker-compose.yml", "--profile", "simulator", "config", "--quiet"]
    run("docker-compose", *arguments, GRAFANA_ADMIN_PASSWORD="x")


@pytest.mark.slow
def test_kubernetes_accepts_the_manifests() -> None:
    run("kubernetes-validate", "--strict", "deploy/kubernetes/kithwatch.yaml")


@pytest.mark.slow
def test_hadolint_has_no_complaint() -> None:
    run("hadolint", "deploy/Dockerfile")
