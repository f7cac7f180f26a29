"""Which series count where several are the same channel of a node: the better one, and never two at once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from measurements.domain.units import IntArray
from measurements.parsers.chunks import Codes
from measurements.parsers.series_known import Known

PREFERRED_FOR_MS = 600_000  # so long a better series of the same thing keeps the others out
Span = tuple[int, int]


class Rivalry:
    """What is known of the series of the same channels so far."""

    def __init__(self, known: Known) -> None:
        self.known = known
        self._first, self._last = _no_span(0)  # of each series, ever

    def judged(self, code: Codes, t_ms: IntArray) -> tuple[list[int], list[int]]:
        """Of some samples' series those that a better one replaces, and those that stand beside another one."""
        self._remember(code, t_ms)
        contested = self._contested(code)
        if not contested:
            return [], []
        first, last = _no_span(len(self.known))
        _widen(first, last, code, t_ms)
        there = np.flatnonzero(last >= first)
        now = zip(first[there].tolist(), last[there].tolist(), strict=True)
        spans: dict[int, Span] = dict(zip(there.tolist(), now, strict=True))
        replaced: list[int] = []
        beside: list[int] = []
        for key in contested:
            codes = [one for one in self.known.rivals[key] if one in spans]
            out = self._replaced(key, codes, spans)
            replaced += out
            beside += self._beside([one for one in codes if one not in out], spans)
        return replaced, beside

    def _remember(self, code: Codes, t_ms: IntArray) -> None:
        first, last = _no_span(len(self.known) - len(self._first))
        self._first, self._last = np.append(self._first, first), np.append(self._last, last)
        _widen(self._first, self._last, code, t_ms)

    def _contested(self, code: Codes) -> set[tuple[int, str]]:
        """The channels that have more than one series, as far as these samples are about them."""
        slots = np.unique(self.known.table().slot[np.unique(code)]).tolist()
        keys = {(slot.node, slot.name) for slot in (self.known.slots[one] for one in slots if one >= 0)}
        return {key for key in keys if len(self.known.rivals[key]) > 1}

    def _replaced(self, key: tuple[int, str], codes: list[int], spans: Mapping[int, Span]) -> list[int]:
        """Of the series of a channel those that a better one, there now or a little while ago, replaces."""
        better: dict[str, list[Span]] = {}
        for one in self.known.rivals[key]:
            rule = self.known.series[one].rule
            for metric in rule.instead_of if rule else ():
                better.setdefault(metric, []).append((int(self._first[one]), int(self._last[one])))
        return [
            one
            for one in codes
            if any(_near(spans[one], span) for span in better.get(self.known.series[one].metric, ()))
        ]

    def _beside(self, codes: list[int], spans: Mapping[int, Span]) -> list[int]:
        """Of series of one channel and source those whose time overlaps that of an earlier one."""
        taken: dict[int, int] = {}  # slot → up to when a series is there
        found: list[int] = []
        for one in sorted(codes, key=lambda one: (spans[one][0], self.known.series[one].text)):
            series = self.known.series[one]
            if series.rule is None or series.rule.repeats or series.rule.parts:
                continue
            if spans[one][0] <= taken.get(series.slot, -1):
                found.append(one)
            else:
                taken[series.slot] = spans[one][1]
        return found


def _near(span: Span, other: Span) -> bool:
    """Whether two spans of time overlap, or nearly."""
    return span[0] - PREFERRED_FOR_MS <= other[1] and other[0] - PREFERRED_FOR_MS <= span[1]


def _no_span(count: int) -> tuple[IntArray, IntArray]:
    """First and last instant of series that have none."""
    return np.full(count, 2**62, np.int64), np.full(count, -(2**62), np.int64)


def _widen(first: IntArray, last: IntArray, code: Codes, t_ms: IntArray) -> None:
    """Take some samples into first and last instants."""
    np.minimum.at(first, code, t_ms)
    np.maximum.at(last, code, t_ms)
