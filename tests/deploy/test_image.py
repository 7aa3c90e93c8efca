"""Statements about the image, without an engine to build it: its steps are read, and those that matter are run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STEPS = (ROOT / "deploy/Dockerfile").read_text().replace("\\\n", " ").splitlines()
IGNORE = (ROOT / ".dockerignore").read_text().splitlines()


def steps(word: str) -> list[str]:
    return [line.removeprefix(word).strip() for line in STEPS if line.startswith(f"{word} ")]


def test_it_is_built_with_the_uv_of_the_makefile_from_the_lock_file() -> None:
    pinned = re.search(r"^UV_VERSION := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert pinned is not None
    assert f"UV_VERSION={pinned[1]}" in steps("ARG")
    syncs = [step for step in steps("RUN") if step.startswith("uv sync")]
    assert syncs
    assert all("--frozen" in step and "--no-dev" in step for step in syncs)


def test_its_python_is_one_the_package_allows() -> None:
    (python,) = [step for step in steps("ARG") if step.startswith("PYTHON=")]
    assert re.fullmatch(r"PYTHON=3\.11\.\d+-slim-bookworm", python)
    assert steps("FROM") == ["python:${PYTHON} AS build", "python:${PYTHON}"]


def test_it_runs_as_nobody_in_particular() -> None:
    assert steps("USER") == ["10001:10001"]
    assert STEPS.index("USER 10001:10001") < STEPS.index('ENTRYPOINT ["kithwatch"]')


def test_only_what_it_is_built_from_is_sent_to_the_builder() -> None:
    assert "*" in IGNORE
    admitted = {line[1:] for line in IGNORE if line.startswith("!")}
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert admitted == {"pyproject.toml", "uv.lock", "README.md", *packages["packages"]}


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_its_health_check_tells_a_live_worker_from_a_stalled_one(status: int, healthy: bool) -> None:
    (line,) = steps("HEALTHCHECK")
    command = json.loads(line[line.index("[") :])
    assert command[0] == "python"

    class Livez(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/livez" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Livez) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        code = command[2].replace("127.0.0.1:9464", f"127.0.0.1:{server.server_port}")
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=20)
        thread.join()
    assert (done.returncode == 0) is healthy


@pytest.mark.slow
def test_its_build_gives_a_program_that_runs(tmp_path: Path) -> None:
    """The builder's steps, in a folder that holds only what `.dockerignore` admits."""
    uv = ROOT / ".uv/bin/uv"
    assert uv.exists(), "run make setup first"
    context = tmp_path / "src"
    context.mkdir()
    for name in (line[1:] for line in IGNORE if line.startswith("!")):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, context / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, context / name)
    target = tmp_path / "kithwatch"
    commands = [part.strip() for step in steps("RUN") for part in step.split("&&")]
    for step in [command for command in commands if command.startswith("uv sync")]:
        subprocess.run(
            [uv, *step.split()[1:], "--python", sys.executable, "--quiet"],
            cwd=context,
            env={**os.environ, "UV_PROJECT_ENVIRONMENT": str(target), "VIRTUAL_ENV": ""},
            check=True,
            timeout=600,
        )
    shutil.rmtree(context)  # the last stage copies the environment alone
    done = subprocess.run([target / "bin/kithwatch", "--version"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "version" in done.stdout
    listed = subprocess.run([target / "bin/python", "-c", "import pytest"], capture_output=True, cwd=tmp_path)
    assert listed.returncode != 0, "no development tools in the image"
