"""The secrets that senders show: ``jb_`` and 256 random bits in letters and digits."""

from __future__ import annotations

import hashlib
import secrets

MARK = "jb_"  # so that a secret found somewhere is known for what it is
PREFIX_LENGTH = 12  # letters that may be shown: 204 bits stay unknown
LONGEST = 200  # letters of what is looked up at all
_BYTES = 32
_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LENGTH = 43  # of 32 bytes in base 62


def new_secret() -> str:
    """A secret that nobody has."""
    number = int.from_bytes(secrets.token_bytes(_BYTES), "big")
    letters = []
    for _ in range(_LENGTH):
        number, digit = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[digit])
    return MARK + "".join(letters)


def digest_of(secret: str) -> str:
    """What is kept of a secret: of 256 random bits no slower hash is needed."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
