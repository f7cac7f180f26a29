"""What the name of a channel says of it."""

from __future__ import annotations

import re

_GPU = re.compile(r"gpu(\d+)$")


def gpu_index(channel: str) -> int | None:
    """3 of gpu3; None of any other channel."""
    match = _GPU.fullmatch(channel)
    return int(match.group(1)) if match else None
