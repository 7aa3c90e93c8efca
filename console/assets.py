"""Fetches what the pages need from npm, without node: the packages of package-lock.json, checked against its hashes.

`python -m console.assets` is part of `make setup`. Registry, proxy and certificates are npm's own settings:
`npm_config_registry` and `npm_config_cafile` in the environment, else `registry=` and `cafile=` in the user's `.npmrc`,
else the public registry. docs/decisions/0014-console-stack.md says why there is no bundler.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import ssl
import sys
import tarfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Final

__all__ = ["FILES", "VENDOR", "fetch", "main", "missing"]

HERE: Final = Path(__file__).parent
VENDOR: Final = HERE / "static" / "vendor"
FILES: Final = {
    "cytoscape": {
        "dist/cytoscape.min.js": "cytoscape.js",
        "LICENSE": "cytoscape.LICENSE.txt",
    },
    "uplot": {
        "dist/uPlot.iife.min.js": "uplot.js",
        "dist/uPlot.min.css": "uplot.css",
        "LICENSE": "uplot.LICENSE.txt",
    },
    "dejavu-fonts-ttf": {
        "ttf/DejaVuSans.ttf": "DejaVuSans.ttf",
        "ttf/DejaVuSans-Bold.ttf": "DejaVuSans-Bold.ttf",
        "LICENSE": "dejavu.LICENSE.txt",
    },
}
"""What is taken from each package, and what it is called here."""
PUBLIC: Final = "https://registry.npmjs.org/"
PATIENCE: Final = 60.0
ATTEMPTS: Final = 3


def missing() -> list[str]:
    """Return the names of files that are not there, or are of another version than the lock file names."""
    stamp = VENDOR / ".lock"
    if not stamp.is_file() or stamp.read_text() != _digest():
        return [name for files in FILES.values() for name in files.values()]
    return [name for files in FILES.values() for name in files.values() if not (VENDOR / name).is_file()]


def fetch(environ: Mapping[str, str] | None = None) -> list[Path]:
    """Fetch, check and unpack all packages.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    OSError
        If the registry does not answer.
    ValueError
        If a package is not the one the lock file names.
    """
    settings = _npm_settings(os.environ if environ is None else environ)
    registry = settings.get("registry", PUBLIC).rstrip("/")
    context = ssl.create_default_context(cafile=settings.get("cafile"))
    lock = json.loads((HERE / "package-lock.json").read_text())["packages"]
    VENDOR.mkdir(parents=True, exist_ok=True)
    written = []
    for package, files in FILES.items():
        entry = lock[f"node_modules/{package}"]
        address = f"{registry}/{package}/-/{package.rpartition('/')[2]}-{entry['version']}.tgz"
        data = _download(address, context)
        _check(package, data, entry["integrity"])
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for inside, name in files.items():
                member = archive.extractfile(f"package/{inside}")
                if member is None:
                    raise ValueError(f"{package} {entry['version']} holds no {inside}")
                (VENDOR / name).write_bytes(member.read())
                written.append(VENDOR / name)
    (VENDOR / ".lock").write_text(_digest())
    return written


def _digest() -> str:
    return hashlib.sha256((HERE / "package-lock.json").read_bytes() + repr(FILES).encode()).hexdigest()


def _npm_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Return npm's settings that matter here; the environment wins, as it does for npm."""
    settings: dict[str, str] = {}
    files = [environ.get("npm_config_userconfig") or str(Path(environ.get("HOME", "~")).expanduser() / ".npmrc")]
    for file in files:
        if Path(file).is_file():
            for line in Path(file).read_text(encoding="utf-8", errors="replace").splitlines():
                name, equals, value = line.partition("=")
                if equals and name.strip() in ("registry", "cafile"):
                    settings[name.strip()] = os.path.expandvars(value.strip().strip("\"'"))
    for name, value in environ.items():
        short = name.lower().removeprefix("npm_config_")
        if name.lower() != short and short in ("registry", "cafile") and value:
            settings[short] = value
    return settings


def _download(address: str, context: ssl.SSLContext) -> bytes:
    if not address.startswith(("https://", "http://")):
        raise ValueError(f"the npm registry must be an https address, not {address!r}")
    for attempt in range(ATTEMPTS):
        try:
            with urllib.request.urlopen(address, timeout=PATIENCE, context=context) as answer:  # noqa: S310  # checked above
                data: bytes = answer.read()
                return data
        except urllib.error.HTTPError as problem:
            raise OSError(f"{address}: {problem.code} {problem.reason}") from None
        except OSError as problem:
            if attempt == ATTEMPTS - 1:
                raise OSError(f"{address}: {getattr(problem, 'reason', problem)}") from None
    raise AssertionError("unreachable")


def _check(package: str, data: bytes, integrity: str) -> None:
    kind, _, wanted = integrity.partition("-")
    if kind != "sha512" or base64.b64encode(hashlib.sha512(data).digest()).decode() != wanted:
        raise ValueError(f"{package} is not what package-lock.json names: its hash differs")


def main(arguments: list[str] | None = None) -> int:
    """Fetch what is missing; return the exit status."""
    if not missing() and "--force" not in (arguments or []):
        return 0
    try:
        written = fetch()
    except (OSError, ValueError) as problem:
        print(f"console: {problem}; set npm_config_registry if another registry is to be used", file=sys.stderr)
        return 2
    print(f"console: {len(written)} files fetched from npm")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
