"""Reading what a provider answers, field by field."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

LONGEST_TEXT = 160  # of what an error's text repeats


class ProviderError(Exception):
    """Why a provider gave nothing that could be used; the text is for the operator."""

    def __init__(self, text: str, *, status: int | None = None, wait_s: float | None = None) -> None:
        super().__init__(text)
        self.status = status  # of the HTTP answer
        self.wait_s = wait_s  # not to be asked again before


class Fields:
    """Typed access to a part of an answer; what is missing or of another type is an error that names it."""

    def __init__(self, where: str, value: Any) -> None:
        self.where, self.value = where, value

    def wrong(self, reason: str) -> ProviderError:
        """An error about this part."""
        return ProviderError(f"{self.where}: {reason}")

    def has(self, key: str) -> bool:
        """Whether there is such a field, and it is not null."""
        return isinstance(self.value, dict) and self.value.get(key) is not None

    def of(self, key: str) -> Fields:
        """A field that must be there."""
        if not isinstance(self.value, dict):
            raise self.wrong(f"no object, but {_kind(self.value)}")
        if key not in self.value:
            raise self.wrong(f"{key!r} is missing")
        return Fields(f"{self.where}: {key}", self.value[key])

    def items(self) -> list[Fields]:
        """The members of a list."""
        if not isinstance(self.value, list):
            raise self.wrong(f"no list, but {_kind(self.value)}")
        return [Fields(f"{self.where}[{place}]", item) for place, item in enumerate(self.value)]

    def text(self) -> str:
        """A text."""
        if not isinstance(self.value, str):
            raise self.wrong(f"no text, but {_kind(self.value)}")
        return self.value

    def flag(self) -> bool:
        """True or false."""
        if not isinstance(self.value, bool):
            raise self.wrong(f"neither true nor false, but {_kind(self.value)}")
        return self.value

    def whole(self) -> int:
        """A whole number."""
        if isinstance(self.value, bool) or not isinstance(self.value, int):
            raise self.wrong(f"no whole number, but {_kind(self.value)}")
        return self.value

    def number_or_nan(self) -> float:
        """A finite number; null is nan."""
        if self.value is None:
            return math.nan
        if isinstance(self.value, bool) or not isinstance(self.value, int | float) or not math.isfinite(self.value):
            raise self.wrong(f"no number, but {_kind(self.value)}")
        return float(self.value)

    def instant_ms(self) -> int:
        """ISO 8601 with its offset, in ms since the epoch."""
        text = self.text()
        try:
            instant = datetime.fromisoformat(text)
        except ValueError:
            instant = None
        if instant is None or instant.tzinfo is None:
            raise self.wrong(f"{text[:LONGEST_TEXT]!r} is no time with an offset")
        return round(instant.timestamp() * 1000)


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), f"{value!r:.40}")
