"""`kithwatch console`: the review console, its people, and its audit."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any, Final

import click
import msgspec
import platformdirs

from console.audit import head, verify
from console.database import Database, DatabaseError
from console.keys import Keys, find_secret
from console.people import add_user
from console.rights import ROLES
from console.rules import load_rules
from console.service import OidcSettings, Service, wall_clock
from streams.cli import UserError
from streams.collector import spare
from streams.settings import KafkaSettings

__all__ = ["console"]


DEMO: Final = "Demo: every account, event and name on these pages is simulated."


class Setup(msgspec.Struct, frozen=True):
    """What every subcommand starts from."""

    database: str
    folder: Path
    rules: str | None

    def service(self, **more: Any) -> Service:
        """Open the database and return the service around it.

        Raises
        ------
        UserError
            If something cannot be used.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            keys = Keys.from_secret(find_secret(self.folder))
            return Service(database=Database(self.database), keys=keys, rules=load_rules(self.rules), **more)
        except (DatabaseError, ValueError) as problem:
            raise UserError(str(problem)) from None
        except OSError as problem:
            raise UserError(f"{self.folder}: {problem.strerror}") from None


@click.group(invoke_without_command=True)
@click.option("--database", metavar="URL", help="sqlite:///FILE or postgresql://… [env KITHWATCH_CONSOLE_DATABASE]")
@click.option(
    "--folder", type=click.Path(path_type=Path), help="where secret and SQLite file lie [the user's data folder]"
)
@click.option("--rules", metavar="FILE", help="YAML with deadlines, limits, retention [env KITHWATCH_CONSOLE_RULES]")
@click.option("--bootstrap", metavar="HOST:PORT", help="Kafka brokers [env KITHWATCH_BOOTSTRAP, localhost:9092]")
@click.option("--host", default="127.0.0.1", show_default=True, help="where to listen")
@click.option("--port", default=8080, type=click.IntRange(0, 65535), show_default=True, help="0 takes a free one")
@click.option("--public-url", metavar="URL", help="address people use, https://…; cookies are then for HTTPS only")
@click.option("--no-events", is_flag=True, help="do not follow the platform's events of accounts under review")
@click.option(
    "--workers",
    metavar="URL,…",
    default="",
    help="workers' health endpoints [env KITHWATCH_CONSOLE_WORKERS]",
)
@click.option("--demo", is_flag=True, hidden=True)
@click.pass_context
def console(
    context: click.Context,
    database: str | None,
    folder: Path | None,
    rules: str | None,
    bootstrap: str | None,
    host: str,
    port: int,
    public_url: str | None,
    no_events: bool,
    workers: str,
    demo: bool,
) -> None:
    """Serve the review console; the subcommands look after people and the audit."""
    where = (
        folder
        or Path(os.environ.get("KITHWATCH_CONSOLE_FOLDER") or platformdirs.user_data_dir("kithwatch")) / "console"
    )
    url = database or os.environ.get("KITHWATCH_CONSOLE_DATABASE") or f"sqlite:///{where / 'console.db'}"
    context.obj = Setup(url, where, rules or os.environ.get("KITHWATCH_CONSOLE_RULES"))
    if context.invoked_subcommand is not None:
        return
    from console.server import Server  # the web and Kafka libraries are slow to import

    try:
        kafka = KafkaSettings.from_env(bootstrap=bootstrap)
    except ValueError as problem:
        raise UserError(str(problem)) from None
    public = public_url or os.environ.get("KITHWATCH_CONSOLE_PUBLIC_URL") or ""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # what keeps a thread from its work is said by itself
    logging.getLogger("alembic").setLevel(logging.WARNING)
    service = context.obj.service(
        secure=public.startswith("https://"),
        public_url=public.rstrip("/"),
        oidc=_oidc(os.environ),
        banner=DEMO if demo else "",
        workers=_addresses(workers or os.environ.get("KITHWATCH_CONSOLE_WORKERS", "")),
        private_webhooks=os.environ.get("KITHWATCH_CONSOLE_PRIVATE_WEBHOOKS") == "1",
    )
    if demo:
        _add_demo_users(service, os.environ["KITHWATCH_CONSOLE_PASSWORD"])
    spare()
    Server(service, kafka, host=host, port=port, follow=not no_events).run()


def _addresses(text: str) -> tuple[str, ...]:
    addresses = tuple(part.strip().rstrip("/") for part in text.split(",") if part.strip())
    if wrong := [address for address in addresses if not address.startswith(("http://", "https://"))]:
        raise UserError(f"--workers: {wrong[0]!r} is no http address")
    return addresses


def _add_demo_users(service: Service, password: str) -> None:
    names = {"reviewer": "Robin", "lead": "Lena", "admin": "Ada", "viewer": "Vic"}
    with service.database.writing() as connection:
        for role, name in names.items():
            number = add_user(connection, role, name, role, password, now=wall_clock())
            service.note(connection, "system", "user.add", f"user:{number}", role=role, how="demo")


def _oidc(env: Any) -> OidcSettings | None:
    issuer = env.get("KITHWATCH_OIDC_ISSUER")
    if not issuer:
        return None
    try:
        roles = dict(pair.split("=", 1) for pair in env.get("KITHWATCH_OIDC_ROLES", "").split(",") if pair)
        if unknown := set(roles.values()) - set(ROLES):
            raise UserError(f"KITHWATCH_OIDC_ROLES names no role of the console: {', '.join(sorted(unknown))}")
        return OidcSettings(
            issuer=issuer.rstrip("/"),
            client_id=env["KITHWATCH_OIDC_CLIENT_ID"],
            client_secret=env["KITHWATCH_OIDC_CLIENT_SECRET"],
            claim=env.get("KITHWATCH_OIDC_CLAIM", "groups"),
            roles=roles,
        )
    except KeyError as missing:
        raise UserError(f"{missing.args[0]} is not set; KITHWATCH_OIDC_ISSUER needs it") from None
    except ValueError:
        raise UserError("KITHWATCH_OIDC_ROLES must be GROUP=ROLE, several with commas") from None


@console.group()
def users() -> None:
    """Add people who sign in with a password."""


@users.command("add")
@click.argument("login")
@click.option("--name", default="", help="how others see them")
@click.option(
    "--role", type=click.Choice([role for role in ROLES if role != "none"]), default="reviewer", show_default=True
)
@click.pass_obj
def users_add(setup: Setup, login: str, name: str, role: str) -> None:
    """Add somebody; the password is asked for, or read from KITHWATCH_CONSOLE_PASSWORD."""
    password = os.environ.get("KITHWATCH_CONSOLE_PASSWORD")
    if password is None:
        if not sys.stdin.isatty():
            raise UserError("set KITHWATCH_CONSOLE_PASSWORD, or run this in a terminal")
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    service = setup.service()
    try:
        with service.database.writing() as connection:
            number = add_user(connection, login, name, role, password, now=wall_clock())
            service.note(connection, "system", "user.add", f"user:{number}", role=role, how="command line")
    except ValueError as problem:
        raise UserError(str(problem)) from None
    click.echo(f"{login} may sign in as {role}")


@console.group()
def audit() -> None:
    """Check the audit's chain."""


@audit.command("head")
@click.pass_obj
def audit_head(setup: Setup) -> None:
    """Print number and hash of the newest record, to be written down elsewhere."""
    service = setup.service()
    with service.database.reading() as connection:
        seq, digest = head(connection)
    click.echo(f"{seq}:{digest}")


@audit.command("verify")
@click.option("--expect", metavar="NUMBER:HASH", help="a head that was written down earlier")
@click.pass_obj
def audit_verify(setup: Setup, expect: str | None) -> None:
    """Go through the whole chain; exit status 1 if it does not hold."""
    wanted = None
    if expect is not None:
        number, _, digest = expect.partition(":")
        if not number.isdecimal() or not digest:
            raise UserError("--expect must be NUMBER:HASH, as `kithwatch console audit head` prints it")
        wanted = (int(number), digest)
    service = setup.service()
    with service.database.reading() as connection:
        count, problem = verify(connection, service.keys.audit, expect=wanted)
    if problem is not None:
        raise click.ClickException(f"the audit does not hold: record {problem.seq}: {problem.what}")
    click.echo(f"{count} records hold")
