"""Workers on an Apache Kafka that lets nobody in without TLS and SCRAM, nobody do more than docs/operations.md says."""

from __future__ import annotations

import datetime
import ipaddress
import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType

from console.decisions import Choice, decide
from console.server import Server
from console.tables import cases
from streams.broker import free_port
from streams.flags import encode_flag
from streams.settings import KafkaSettings, TopicNames
from streams.topics import ensure_topics
from tests.brokers import ApacheKafka, have_apache_kafka
from tests.console.build import flag, person, service_of
from tests.console.test_kafka import count
from tests.streams.test_pipeline import wait_for
from tests.streams.test_worker import PROGRAM, demo_lines, running

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not have_apache_kafka(), reason="needs Apache Kafka: deploy/kafka/fetch.sh"),
]
PAGE = (Path(__file__).parents[2] / "docs/operations.md").read_text(encoding="utf-8")
DAY = datetime.timedelta(days=1)
KEYS = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def certificate(name: str, issuer: tuple[Any, Any] | None = None) -> tuple[x509.Certificate, Any]:
    """Make a certificate for 127.0.0.1, signed by the issuer, or an authority's own."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begins = datetime.datetime.now(datetime.UTC) - DAY
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + 30 * DAY)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
    )
    return made.sign(issuer[1] if issuer else key, hashes.SHA256()), key


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files: an authority, the broker's certificate, a client's certificate and key, and another authority."""
    folder = tmp_path_factory.mktemp("certificates")
    ca, other = certificate("test authority"), certificate("another authority")
    broker, client = certificate("broker", ca), certificate("kithwatch", ca)
    pem = serialization.Encoding.PEM
    files = {
        "ca": ca[0].public_bytes(pem),
        "other": other[0].public_bytes(pem),
        "broker": broker[1].private_bytes(*KEYS) + broker[0].public_bytes(pem),
        "client": client[0].public_bytes(pem),
        "key": client[1].private_bytes(*KEYS),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return {name: folder / name for name in files}


@pytest.fixture(scope="module")
def secure(authority: dict[str, Path]) -> Iterator[dict[str, str]]:
    """Addresses of a broker's doors: SASL_SSL with SCRAM, and SSL for those with a certificate."""
    sasl, mutual = free_port(), free_port()
    tls = {
        f"listener.name.{door}.ssl.{name}": value
        for door in ("sasl", "mutual")
        for name, value in {
            "keystore.type": "PEM",
            "keystore.location": str(authority["broker"]),
            "truststore.type": "PEM",
            "truststore.location": str(authority["ca"]),
            "client.auth": "required" if door == "mutual" else "none",
        }.items()
    }
    extra = {
        "listeners": f"PLAINTEXT://127.0.0.1:@port@,CONTROLLER://127.0.0.1:@controller@,"
        f"SASL://127.0.0.1:{sasl},MUTUAL://127.0.0.1:{mutual}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:@port@,SASL://127.0.0.1:{sasl},MUTUAL://127.0.0.1:{mutual}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_SSL,MUTUAL:SSL",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.sasl.scram-sha-512.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule "
        "required;",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",  # the test itself, and the broker's own; it comes by the open door
        **tls,
    }
    users = [f"SCRAM-SHA-512=[name={name},password=secret-{name}]" for name in ("worker", "console", "stranger")]
    options = tuple(part for user in users for part in ("--add-scram", user))
    with ApacheKafka(extra=extra, format_options=options) as broker:
        yield {"open": broker.bootstrap, "sasl": f"127.0.0.1:{sasl}", "mutual": f"127.0.0.1:{mutual}"}


def documented_rights(whose: str, names: TopicNames, group: str) -> list[tuple[ResourceType, str, ACLOperation]]:
    """Read the table of the rights of a worker, or of the console, in docs/operations.md."""
    worker, console = PAGE.split("A worker needs these rights", 1)[1].split("The console needs these", 1)
    table = {"worker": worker, "console": console}[whose]
    rows = re.findall(r"^\| (topic|group) `([^`]+)`(?:, `([^`]+)`)?(?:, `([^`]+)`)? \| ([A-Za-z, ]+) \|", table, re.M)
    assert len(rows) == {"worker": 5, "console": 3}[whose], rows
    usual = {getattr(TopicNames(), field): getattr(names, field) for field in TopicNames.__struct_fields__}
    return [
        (ResourceType[kind.upper()], usual.get(name, group), ACLOperation[operation.strip().upper()])
        for kind, *found, operations in rows
        for name in filter(None, found)
        for operation in operations.split(",")
    ]


def allow(bootstrap: str, who: str, rights: list[tuple[ResourceType, str, ACLOperation]]) -> None:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_acls(
        [
            ACL(f"User:{who}", "*", operation, ACLPermissionType.ALLOW, ResourcePattern(kind, name))
            for kind, name, operation in rights
        ]
    )
    admin.close()


def place(secure: dict[str, str], monkeypatch: pytest.MonkeyPatch, mark: str) -> KafkaSettings:
    """Make topics by the open door, and the environment that a worker finds them by."""
    names = TopicNames(**{field: f"{mark}-{field.replace('_', '-')}" for field in TopicNames.__struct_fields__})
    for field in TopicNames.__struct_fields__:
        monkeypatch.setenv(f"KITHWATCH_TOPIC_{field.upper()}", getattr(names, field))
    monkeypatch.setenv("KITHWATCH_GROUP", f"{mark}-group")
    settings = KafkaSettings(bootstrap=secure["open"], group=f"{mark}-group", shards=2, topics=names)
    ensure_topics(settings, input_partitions=1)
    return settings


def sign_in(monkeypatch: pytest.MonkeyPatch, **given: str) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"KITHWATCH_KAFKA_{name.upper()}", value)


@pytest.mark.parametrize("door", ["sasl", "mutual"])
def test_a_worker_needs_no_more_rights_than_documented(
    door: str, secure: dict[str, str], authority: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = place(secure, monkeypatch, door)
    allow(
        secure["open"],
        {"sasl": "worker", "mutual": "CN=kithwatch"}[door],
        documented_rights("worker", settings.topics, settings.group),
    )
    if door == "sasl":
        (tmp_path / "password").write_text("secret-worker\n")
        given = {"username": "worker", "password_file": str(tmp_path / "password"), "protocol": "sasl_ssl"}
    else:
        given = {"protocol": "ssl", "certificate": str(authority["client"]), "key": str(authority["key"])}
    sign_in(monkeypatch, ca=str(authority["ca"]), **given)
    lines = demo_lines()
    by_the_door = KafkaSettings(bootstrap=secure[door], group=settings.group, topics=settings.topics)
    with running(by_the_door, tmp_path / "log", "--snapshots", str(tmp_path / "snapshots")) as worker:
        wait_for(lambda: worker.ready()[0] or worker.process.poll() is not None, "not ready")
        assert worker.process.poll() is None, worker.log.read_text()
        producer = KafkaProducer(bootstrap_servers=secure["open"])
        for _, line in lines:
            producer.send(settings.topics.messages, line)
        producer.send(settings.topics.messages, b"{")
        producer.flush()
        producer.close()
        wait_for(lambda: worker.metric("kithwatch_events_total") == len(lines), "events were not taken")
        wait_for(lambda: worker.metric("kithwatch_flags_total") > 0, "no flags")
        wait_for(lambda: worker.metric("kithwatch_dead_letters_total") == 1, "no dead letter")
        worker.stop()
    assert "secret-worker" not in (tmp_path / "log").read_text()
    consumer = KafkaConsumer(settings.topics.flags, bootstrap_servers=secure["open"], auto_offset_reset="earliest")
    found: list[Any] = []
    until = time.monotonic() + 30
    while not found and time.monotonic() < until:
        found = [json.loads(r.value) for records in consumer.poll(timeout_ms=1000).values() for r in records]
    consumer.close()
    assert found
    assert found[0]["type"] == "flag.raised"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"username": "worker", "password": "a-wrong-one", "protocol": "SASL_SSL", "ca": "ca"}, "no Kafka broker"),
        ({"username": "worker", "password": "secret-worker", "protocol": "SASL_SSL", "ca": "other"}, "no Kafka broker"),
        (
            {"username": "stranger", "password": "secret-stranger", "protocol": "SASL_SSL", "ca": "ca"},
            "TopicAuthorization",
        ),
    ],
)
def test_who_may_not_come_in_is_told_in_a_line(
    given: dict[str, str],
    why: str,
    secure: dict[str, str],
    authority: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place(secure, monkeypatch, f"refused-{given['username']}-{given['ca']}-{len(given['password'])}")
    sign_in(monkeypatch, **{name: str(authority[value]) if name == "ca" else value for name, value in given.items()})
    done = subprocess.run(
        [PROGRAM, "worker", "--bootstrap", secure["sasl"]], capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert why in done.stderr
    assert given["password"] not in done.stderr


def test_the_console_signs_in_and_needs_no_more_rights_than_documented(
    secure: dict[str, str], authority: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = place(secure, monkeypatch, "console").topics
    allow(secure["open"], "console", documented_rights("console", names, "none"))
    sign_in(monkeypatch, ca=str(authority["ca"]), protocol="sasl_ssl", username="console", password="secret-console")
    service = service_of(f"sqlite:///{tmp_path / 'console.db'}")
    server = Server(service, KafkaSettings.from_env(bootstrap=secure["sasl"]), host="127.0.0.1", port=0, follow=True)
    sender = KafkaProducer(bootstrap_servers=secure["open"])
    told = KafkaConsumer(names.dispositions, bootstrap_servers=secure["open"], auto_offset_reset="earliest")
    for thread in server.threads:
        thread.start()
    try:
        sender.send(names.flags, encode_flag(flag("u1")))
        sender.flush()
        wait_for(lambda: count(service, cases) == 1, "no case was opened")
        rita = person(service)
        with service.database.writing() as connection:
            choice = Choice(action="dismiss", reason="known_role", policy="none")
            decide(connection, service.keys, rita, 1, choice, now=service.clock())
        wait_for(lambda: bool(told.poll(timeout_ms=500)), "the decision was not told")
        wait_for(lambda: not any(thread.problem for thread in server.threads), "something keeps it from its work")
    finally:
        for thread in server.threads:
            thread.stop()
        service.database.close()
        sender.close()
        told.close()
