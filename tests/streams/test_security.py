"""Sign-in settings: what is missing, contradicts itself or would not be safe is refused in one line."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from streams.security import Security

USER = {"KITHWATCH_KAFKA_USERNAME": "u", "KITHWATCH_KAFKA_PASSWORD": "hunter2"}


def test_without_anything_connections_are_plain() -> None:
    plain = Security.from_env({})
    assert plain.options() == {"security_protocol": "PLAINTEXT"}
    assert plain.faust_credentials() is None


def test_scram_over_tls_checks_certificates_and_host_names() -> None:
    found = Security.from_env({**USER, "KITHWATCH_KAFKA_PROTOCOL": "sasl_ssl"})
    options = found.options()
    assert (options["sasl_mechanism"], options["sasl_plain_username"]) == ("SCRAM-SHA-512", "u")
    context = options["ssl_context"]
    assert context.check_hostname
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert found.faust_credentials().protocol.value == "SASL_SSL"
    assert "hunter2" not in repr(found)


def test_a_password_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "p").write_text("from a file\n")
    env = {
        "KITHWATCH_KAFKA_PROTOCOL": "SASL_PLAINTEXT",
        "KITHWATCH_KAFKA_USERNAME": "u",
        "KITHWATCH_KAFKA_PASSWORD_FILE": str(tmp_path / "p"),
    }
    assert Security.from_env(env).password == "from a file"
    with pytest.raises(ValueError, match=r"PASSWORD_FILE: .*No such file"):
        Security.from_env({**env, "KITHWATCH_KAFKA_PASSWORD_FILE": str(tmp_path / "none")})


@pytest.mark.parametrize(
    ("env", "why"),
    [
        ({"PROTOCOL": "TLS"}, "PROTOCOL must be one of PLAINTEXT, SSL"),
        ({"MECHANISM": "GSSAPI"}, "MECHANISM must be one of SCRAM-SHA-512"),
        ({"PROTOCOL": "SASL_SSL"}, "needs KITHWATCH_KAFKA_USERNAME and KITHWATCH_KAFKA_PASSWORD"),
        ({"USERNAME": "u", "PASSWORD": "hunter2"}, "does not use it"),
        ({"CA": "/x"}, "does not use it"),
        ({"PROTOCOL": "SASL_PLAINTEXT", "MECHANISM": "PLAIN", "USERNAME": "u", "PASSWORD": "hunter2"}, "in the clear"),
        ({"PROTOCOL": "SSL", "CERTIFICATE": "/x"}, "belong together"),
        ({"PROTOCOL": "SSL", "CA": "/nowhere/ca"}, "CA: /nowhere/ca: No such file"),
        ({"PROTOCOL": "SSL", "CERTIFICATE": "/nowhere/c", "KEY": "/nowhere/k"}, "CERTIFICATE: /nowhere/c"),
    ],
)
def test_what_cannot_work_is_refused_by_name(env: dict[str, str], why: str) -> None:
    with pytest.raises(ValueError, match=why) as refused:
        Security.from_env({f"KITHWATCH_KAFKA_{name}": value for name, value in env.items()})
    assert "\n" not in str(refused.value)
    assert "hunter2" not in str(refused.value)
