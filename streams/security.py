"""How clients sign in to Kafka: TLS, SASL, both or neither, from the environment only.

| variable | |
| --- | --- |
| `KITHWATCH_KAFKA_PROTOCOL` | `PLAINTEXT` (default), `SSL`, `SASL_PLAINTEXT`, `SASL_SSL` |
| `KITHWATCH_KAFKA_CA` | file of the authorities that brokers' certificates are checked against; default: the system's |
| `KITHWATCH_KAFKA_CERTIFICATE`, `KITHWATCH_KAFKA_KEY` | files of a certificate of one's own (mutual TLS) |
| `KITHWATCH_KAFKA_MECHANISM` | `SCRAM-SHA-512` (default), `SCRAM-SHA-256`, `PLAIN` |
| `KITHWATCH_KAFKA_USERNAME`, `KITHWATCH_KAFKA_PASSWORD` | who signs in; or `KITHWATCH_KAFKA_PASSWORD_FILE` |

Certificates and host names are always checked. `PLAIN` without TLS would send the password in the clear and is refused.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import faust
import msgspec

__all__ = ["Security"]

PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS: Final = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")
VARIABLE: Final = "KITHWATCH_KAFKA_"


class Security(msgspec.Struct, frozen=True, kw_only=True):
    """How to sign in; see the module.

    Attributes
    ----------
    protocol, mechanism, username : str
    password : str
        Not shown by `repr`.
    ca, certificate, key : str or None
        Files.
    """

    protocol: str = "PLAINTEXT"
    mechanism: str = "SCRAM-SHA-512"
    username: str = ""
    password: str = ""
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None

    def __repr__(self) -> str:
        return f"<Security {self.protocol}>"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Security:
        """Return what the environment says.

        Raises
        ------
        ValueError
            If something is missing or cannot be read; the message names the variable, never a password.
        """
        env = os.environ if environ is None else environ

        def get(name: str) -> str | None:
            return env.get(VARIABLE + name) or None

        given = {
            "protocol": (get("PROTOCOL") or "PLAINTEXT").upper(),
            "mechanism": (get("MECHANISM") or "SCRAM-SHA-512").upper(),
            "username": get("USERNAME") or "",
            "password": _password(get("PASSWORD"), get("PASSWORD_FILE")),
            "ca": get("CA"),
            "certificate": get("CERTIFICATE"),
            "key": get("KEY"),
        }
        made = msgspec.convert(given, cls)
        made.check()
        return made

    def check(self) -> None:
        """Refuse what cannot work or would not be safe.

        Raises
        ------
        ValueError
        """
        if self.protocol not in PROTOCOLS:
            raise ValueError(f"{VARIABLE}PROTOCOL must be one of {', '.join(PROTOCOLS)}, not {self.protocol!r}")
        if self.mechanism not in MECHANISMS:
            raise ValueError(f"{VARIABLE}MECHANISM must be one of {', '.join(MECHANISMS)}, not {self.mechanism!r}")
        if self.signs_in and not (self.username and self.password):
            raise ValueError(f"{self.protocol} needs {VARIABLE}USERNAME and {VARIABLE}PASSWORD")
        if self.username and not self.signs_in:
            raise ValueError(f"{VARIABLE}USERNAME is given, and {VARIABLE}PROTOCOL {self.protocol} does not use it")
        if self.protocol == "SASL_PLAINTEXT" and self.mechanism == "PLAIN":
            raise ValueError("PLAIN without TLS sends the password in the clear: use SASL_SSL, or SCRAM-SHA-512")
        if not self.encrypts and (self.ca or self.certificate):
            raise ValueError(f"{VARIABLE}CA is given, and {VARIABLE}PROTOCOL {self.protocol} does not use it")
        if bool(self.certificate) != bool(self.key):
            raise ValueError(f"{VARIABLE}CERTIFICATE and {VARIABLE}KEY belong together")
        self.context()

    @property
    def encrypts(self) -> bool:
        """Whether connections are TLS."""
        return self.protocol.endswith("SSL")

    @property
    def signs_in(self) -> bool:
        """Whether there is a user name and a password."""
        return self.protocol.startswith("SASL")

    def context(self) -> ssl.SSLContext | None:
        """Return the TLS settings, or None.

        Raises
        ------
        ValueError
            If a file cannot be read or is none of its kind.
        """
        if not self.encrypts:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except (OSError, ssl.SSLError) as problem:
            raise ValueError(f"{VARIABLE}CA: {self.ca}: {problem.strerror or problem}") from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certificate:
            try:
                context.load_cert_chain(self.certificate, self.key)
            except (OSError, ssl.SSLError) as problem:
                raise ValueError(f"{VARIABLE}CERTIFICATE: {self.certificate}: {problem.strerror or problem}") from None
        return context

    def options(self) -> dict[str, Any]:
        """Return the arguments of aiokafka's and kafka-python's clients."""
        found: dict[str, Any] = {"security_protocol": self.protocol}
        if self.encrypts:
            found["ssl_context"] = self.context()
        if self.signs_in:
            found |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password,
            }
        return found

    def faust_credentials(self) -> Any:
        """Return Faust's credentials, or None."""
        context = self.context()
        if self.signs_in:
            return faust.SASLCredentials(
                username=self.username, password=self.password, ssl_context=context, mechanism=self.mechanism
            )
        return faust.SSLCredentials(context=context) if context is not None else None


def _password(given: str | None, file: str | None) -> str:
    if given or not file:
        return given or ""
    try:
        return Path(file).read_text(encoding="utf-8").rstrip("\n")
    except OSError as problem:
        raise ValueError(f"{VARIABLE}PASSWORD_FILE: {file}: {problem.strerror}") from None
