"""The `kithwatch` command: each subcommand lives in its own module and is loaded only when it is called."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Final, NoReturn

import click

__all__ = ["UserError", "main"]

# Before numpy is loaded: a baseline's fit is one small matrix product, and OpenBLAS' threads would wait for one another
# (a fit took 30 ms instead of 1.3 on two busy cores). Workers share the cores among them by shards.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

COMMANDS: Final = {
    "demo": "streams.demo:demo",
    "worker": "streams.worker_command:worker",
    "replay": "streams.replay:replay",
    "backtest": "streams.backtest:backtest",
    "learn": "streams.learn:learn",
    "simulate": "simulation.command:simulate",
    "evaluate": "streams.evaluate:evaluate",
    "topics": "streams.topics:topics",
    "console": "console.command:console",
}


class UserError(click.ClickException):
    """A mistake of the user's: one clear line on stderr, exit status 2, no traceback."""

    exit_code = 2


class LazyGroup(click.Group):
    """A group that imports a subcommand's module when the subcommand is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all subcommands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one subcommand."""
        where = COMMANDS.get(cmd_name)
        if where is None:
            return None
        module, name = where.split(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="kithwatch")
def cli() -> None:
    """Flag accounts that mass-add strangers or target many minors, from friend-request and message events."""


def main() -> NoReturn:
    """Run the command line and exit: 0 done, 2 usage or unreadable input, 1 anything else."""
    try:
        # without standalone mode, click hands back the code of an early exit
        status = cli.main(standalone_mode=False)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as problem:
        message = " ".join(problem.format_message().split())
        print(f"kithwatch: {message}", file=sys.stderr)
        sys.exit(problem.exit_code)
    sys.exit(status if isinstance(status, int) else 0)
