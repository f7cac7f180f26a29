"""The roll-up as boards of waste compare it; what is done with it: `measurements.domain.board_waste`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from django.db.models import Count, Q

from measurements.domain.blame import WASTED
from measurements.domain.board_document import Withheld
from measurements.domain.board_waste import IdlePower, counting, shares, undescribed, with_parts
from measurements.domain.boards import Reason, Scored
from measurements.domain.profiles import ELAPSED, ENERGY, unpacked_hours
from measurements.domain.units import (
    DAY_MS,
    EPOCH_DAY,
    HOUR_MS,
    QUARTER_MS,
    IntArray,
    day_from_ms,
    day_start_ms,
)
from measurements.models import Board, Edition, Job, NodeConfig, NodeType, UsageDay
from measurements.selectors.board_period import Period, about, period_of
from measurements.selectors.frames import columns_of, day_numbers, plain

_TEXTS = ("username", "account", "state")
_JOULES = ("energy_j", "gpu_energy_j", "gpu_idle_j")
_TIMES = ("gpu_held_us", "gpu_idle_us", "reserved_us", "covered_us", "elapsed_us")


def waste_shares(edition: Edition) -> tuple[Scored, tuple[Withheld, ...]]:
    """Shares of waste, and the node types whose idle power would have to be described; five queries, seven at most."""
    period = period_of(edition.first, edition.last)
    frame = counting(_rows(edition, period))
    of_gpus = edition.board.kind == Board.Kind.IDLE_ACCELERATORS
    powers = idle_powers(frame["node_type_id"].unique().tolist(), period)
    lacking = undescribed(frame, powers, gpus_only=of_gpus)
    table = with_parts(frame, powers, gpus_only=of_gpus)
    by = "username" if edition.board.scope == Board.Scope.USER else "account"
    names = NodeType.objects.filter(pk__in=lacking).order_by("name").values_list("name", flat=True) if lacking else ()
    scored = shares(table, by, period.span, _jobs(edition, period, by), of_gpus=of_gpus)
    return scored, tuple(Withheld(Reason.IDLE_POWER.value, name) for name in names)


def _jobs(edition: Edition, period: Period, by: str) -> dict[tuple[str, ...], int]:
    """How many began in the period and have ended, by entity and person; one query."""
    ended = Q(start_ms__gte=period.start_ms, start_ms__lt=period.end_ms, end_ms__isnull=False)
    ended &= Q(state__in=["COMPLETED", *WASTED])
    keys = list(dict.fromkeys([by, "username"]))
    rows = Job.objects.filter(about(edition) & ended).order_by().values_list(*keys).annotate(n=Count("pk"))
    return {row[:-1]: row[-1] for row in rows}


def _rows(edition: Edition, period: Period) -> pd.DataFrame:
    """The roll-up in a period, what lies outside it taken off; in an order that depends on content alone."""
    first, last = day_from_ms(period.start_ms), day_from_ms(period.end_ms - 1)
    rows = UsageDay.objects.filter(about(edition), day__gte=first, day__lte=last).order_by()
    names = ("pk", *_TEXTS, "node_type_id", *_JOULES, *_TIMES, "excused", "day")
    plainly = (*names[:-2], plain("excused"), plain("day"))
    found = dict(zip(names, columns_of(rows.values_list(*plainly), len(names)), strict=True))
    numbers = {name: np.array(found[name], np.float64) for name in (*_JOULES, *_TIMES)}
    keys = {name: np.array(found[name], np.int64) for name in ("pk", "node_type_id")}
    day = day_numbers(found["day"])
    texts = {name: pd.Series(found[name], dtype=object) for name in _TEXTS}
    frame = pd.DataFrame({**keys, **texts, **numbers, "excused": np.array(found["excused"], bool), "day": day})
    key = day
    for column in (*texts.values(), keys["node_type_id"]):
        place, different = pd.factorize(column, sort=True)
        key = key * len(different) + place
    frame = frame.iloc[np.lexsort([*numbers.values(), key])].reset_index(drop=True)
    for edge in {first, last}:
        if not period.start_ms <= day_start_ms(edge) <= period.end_ms - DAY_MS:
            _cut(frame, np.flatnonzero(frame["day"].to_numpy() == (edge - EPOCH_DAY).days), period)
    return frame


def _cut(frame: pd.DataFrame, places: IntArray, period: Period) -> None:
    """Take off what lies outside the period of rows of a day that it begins or ends in."""
    found = UsageDay.objects.in_bulk(frame["pk"].iloc[places].tolist())
    rows = [found[pk] for pk in frame["pk"].iloc[places].tolist()]
    owner, records = unpacked_hours([row.hours for row in rows])
    first = np.array([day_start_ms(row.day) // HOUR_MS + row.first_hour for row in rows], np.int64)
    lengths = np.bincount(owner, minlength=len(rows))
    hour = first[owner] + np.arange(len(owner)) - (np.cumsum(lengths) - lengths)[owner]
    quarter_ms = (hour * HOUR_MS)[:, None] + QUARTER_MS * np.arange(4)
    inside = ((quarter_ms >= period.start_ms) & (quarter_ms < period.end_ms)).astype(np.float64)
    joules = records[:, ENERGY]
    seconds = np.repeat(records[:, ELAPSED : ELAPSED + 1] / 4, 4, axis=1)
    for names, values in ((_JOULES, joules), (_TIMES, seconds)):
        whole, part = (np.bincount(owner, each.sum(axis=1), len(rows)) for each in (values, values * inside))
        share = np.divide(part, whole, out=np.zeros(len(rows)), where=whole > 0)
        for name in names:
            column = frame[name].to_numpy(np.float64).copy()
            column[places] *= share
            frame[name] = column


def idle_powers(types: Sequence[int], period: Period) -> dict[int, IdlePower]:
    """The greatest idle power of the nodes of each type in the period; not known of one: not of the type. One query."""
    rows = NodeConfig.objects.filter(node_type__in=types, valid_from__lte=period.last).order_by("node", "valid_from")
    fields = ("node_id", "valid_from", "node_type_id", "idle_w", "gpu_idle_w", "gpus")
    frame = pd.DataFrame(list(rows.values_list(*fields)), columns=list(fields))
    until = frame.groupby("node_id")["valid_from"].shift(-1)
    frame = frame[until.isna() | (until > period.first)]
    found = {}
    for kind, of_type in frame.groupby("node_type_id"):
        gpus = of_type["gpus"].astype(np.float64).fillna(0.0)
        node_w, gpu_w = (of_type[name].astype(np.float64) for name in ("idle_w", "gpu_idle_w"))
        found[int(kind)] = IdlePower(
            float(node_w.max(skipna=False)), float(gpu_w[gpus > 0].max(skipna=False)), float(gpus.max())
        )
    return {kind: found.get(kind, IdlePower(np.nan, np.nan, 0.0)) for kind in types}
