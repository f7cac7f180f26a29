"""Files that are damaged in ways drawn by a seeded generator: a hundred thousand of one kind in minutes.

A fault names the file itself; it then becomes an entry of the test's list of inputs that once failed.
"""

from __future__ import annotations

import gzip
import os
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from hypothesis import settings

ASKED = settings().max_examples  # by the profile: dev 30, ci 60, fuzz 2 000
EXAMPLES = 200 if ASKED < 60 else 1_000 if ASKED < 1_000 else 100_000  # of each parser
MOST_S = 10.0  # of processor time for one small file: longer is a hang
PIECES = [
    b"\n",
    b"\r",
    b'"',
    b",",
    b"\0",
    b"1e999",
    b"-",
    b"null",
    b"|",
    b"=",
    b":",
    b"<",
    b"}",
    b"nan",
    b"==> x <==\n",
    b"true",
    b"1_0",
    b"\\ud800",
    b"\\u0000",
    b"'",
    b"[",
]
T = TypeVar("T")


def damaged(draw: random.Random, good: Sequence[bytes]) -> bytes:
    """A good file with pieces replaced, cut out, doubled; packed or not, and cut."""
    log = replaced(draw, draw.choice(good), most=30)
    packed = gzip.compress(log, 1) if draw.random() < 0.2 else log
    return packed[: draw.randint(len(packed) // 2, len(packed))] if draw.random() < 0.3 else packed


def replaced(draw: random.Random, good: bytes, most: int) -> bytes:
    """Up to five stretches replaced by something else and by themselves, once, twice or not at all."""
    log = bytearray(good)
    for _ in range(draw.randint(0, 5)):
        at = draw.randint(0, len(log))
        until = draw.randint(at, min(len(log), at + most))
        piece = draw.choice(PIECES) if draw.random() < 0.5 else draw.randbytes(draw.randint(0, 6))
        log[at:until] = piece + bytes(log[at:until]) * draw.randint(0, 2)
    return bytes(log)


def put(place: Path, raw: bytes) -> None:
    """Write a file that is not there yet: one that is cut to nothing first is waited for until it is on disk."""
    place.unlink(missing_ok=True)
    place.write_bytes(raw)


def each_example(make: Callable[[random.Random], T], check: Callable[[T], object]) -> None:
    """Check as many examples as the profile asks for; where it asks for many, they are others each time."""
    seed = int.from_bytes(os.urandom(4), "big") if EXAMPLES > 1_000 else 0
    for number in range(EXAMPLES):
        example = make(random.Random(f"{seed}-{number}"))
        began = time.process_time()
        try:
            check(example)
        except Exception as fault:
            raise AssertionError(f"example {number} of seed {seed}: {example!r}") from fault
        assert time.process_time() - began < MOST_S, f"example {number} of seed {seed} hangs: {example!r}"
