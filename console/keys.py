"""Keys of the console, all derived from one secret (HKDF, RFC 5869), and pseudonyms of accounts.

An account id is replaced by its pseudonym, a keyed hash (HMAC-SHA-256 cut to 60 bits, Crockford base 32), the moment a
flag is read. The id itself lies in one table, which is read only when somebody unmasks an account.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

__all__ = ["Keys", "find_secret", "plain_pseudonym"]

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
PAIRS: Final = [first + second for first in ALPHABET for second in ALPHABET]
CHARACTERS: Final = 12
SHORTEST: Final = 32
"""Characters of a secret given by hand."""


def _derive(secret: bytes, purpose: str) -> bytes:
    extracted = hmac.digest(b"kithwatch console", secret, "sha256")
    return hmac.digest(extracted, purpose.encode() + b"\x01", "sha256")


class Keys(msgspec.Struct, frozen=True):
    """One key a purpose.

    Attributes
    ----------
    pseudonym, audit, session, pack
        For the pseudonyms of accounts, the chain of the audit, the sign-in in progress, and the seal of evidence packs.
    """

    pseudonym: bytes
    audit: bytes
    session: bytes
    pack: bytes

    @classmethod
    def from_secret(cls, secret: str) -> Keys:
        """Derive all keys from the console's secret.

        Raises
        ------
        ValueError
            If the secret is too short to be one.
        """
        if len(secret) < SHORTEST:
            raise ValueError(f"the console's secret must have at least {SHORTEST} characters")
        return cls(*(_derive(secret.encode(), name) for name in cls.__struct_fields__))

    def pseudonym_of(self, account_id: str) -> str:
        """Return the pseudonym of an account id.

        Examples
        --------
        >>> Keys.from_secret("0123456789abcdef0123456789abcdef").pseudonym_of("u1")
        'FZEW-1A1G-ZV3Q'
        """
        number = int.from_bytes(hmac.digest(self.pseudonym, account_id.encode(), "sha256")[:8]) >> 4
        a, b, c, d, e, f = (PAIRS[number >> place & 1023] for place in (50, 40, 30, 20, 10, 0))
        return f"{a}{b}-{c}{d}-{e}{f}"

    def seal(self, data: bytes) -> str:
        """Return the seal of an evidence pack."""
        return hmac.new(self.pack, data, hashlib.sha256).hexdigest()


def plain_pseudonym(text: str) -> str | None:
    """Return what was typed as a pseudonym in its usual form, or None if it is none; a beginning counts.

    Examples
    --------
    >>> plain_pseudonym(" o123 4abc"), plain_pseudonym("u1"), plain_pseudonym("zzzz-9")
    ('0123-4ABC', None, 'ZZZZ-9')
    """
    letters = text.upper().translate(str.maketrans("OIL", "011", "- "))
    if not 4 <= len(letters) <= CHARACTERS or any(letter not in ALPHABET for letter in letters):
        return None
    return "-".join(letters[at : at + 4] for at in range(0, len(letters), 4))


def find_secret(folder: Path, environ: Mapping[str, str] | None = None) -> str:
    """Return the secret from the environment, else from the file `secret` in the console's folder, made if need be.

    Raises
    ------
    ValueError
        If it is too short, or others can read the file.
    """
    env = os.environ if environ is None else environ
    if given := env.get("KITHWATCH_CONSOLE_SECRET"):
        return given
    path = folder / "secret"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        if os.name == "posix" and path.stat().st_mode & 0o077:
            raise ValueError(f"{path} can be read by others; make it private with chmod 600") from None
        return path.read_text(encoding="utf-8").strip()
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        secret = secrets.token_urlsafe(48)
        file.write(secret + "\n")
    return secret
