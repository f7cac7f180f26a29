"""JSON whose texts can be stored: half surrogates, which no text in UTF-8 holds, are read as U+FFFD."""

from __future__ import annotations

import json
import re
from typing import Any

_ESCAPED = ("\\ud", "\\uD")
_HALF = re.compile("[\ud800-\udfff]")


def loads(raw: bytes) -> Any:
    """A document; raises ValueError or RecursionError where it is none."""
    text = raw.decode(json.detect_encoding(raw))
    return storable(json.loads(text), text)


def storable(value: Any, text: str) -> Any:
    """The same value with storable texts; ``text`` is what it was read from."""
    return _whole(value) if any(escaped in text for escaped in _ESCAPED) else value


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return _HALF.sub("\ufffd", value)
    if isinstance(value, list):
        return [_whole(one) for one in value]
    if isinstance(value, dict):
        return {_whole(key): _whole(one) for key, one in value.items()}
    return value
