"""The jobs of a workload as a board compares them: read as columns, scored in `measurements.domain.board_jobs`."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
from django.conf import settings
from django.db.models import Case, F, FloatField, Q, Value, When

from measurements.domain.board_jobs import CELL, improvement, per_work, without_few
from measurements.domain.boards import Scored
from measurements.domain.scopes import MeterScope
from measurements.models import Board, Edition, NodeType, WorkloadJob
from measurements.selectors.board_period import Period, about, period_of
from measurements.selectors.frames import columns_of

ENTITY = {Board.Scope.USER: "username", Board.Scope.PROJECT: "account", Board.Scope.NODE_TYPE: "node_type_id"}
_COLUMNS = ("username", "start_ms", "end_ms", "energy_j", "held_s", "coverage", "scope", "excused", "done")
_NUMBERS = ("start_ms", "end_ms", "energy_j", "held_s", "coverage", "scope", "done")


def read_jobs(edition: Edition, period: Period, *, cells: bool = False) -> pd.DataFrame:
    """The ended jobs of a board in a period, one row a job; ``done`` is the work that counts. One query.

    Work counts of jobs that completed, in the board's unit; the energy of the others counts all the same.
    """
    board = edition.board
    wanted = about(edition) & Q(end_ms__gte=period.start_ms, end_ms__lt=period.end_ms)
    if not cells:
        wanted &= Q(size=board.size, target=board.target)
    if board.scope == Board.Scope.NODE_TYPE:
        wanted &= Q(node_type__isnull=False)
    done = When(state="COMPLETED", unit=board.unit, excused=False, work__gt=0, then=F("work"))
    rows = WorkloadJob.objects.filter(wanted).annotate(
        done=Case(done, default=Value(0.0), output_field=FloatField()),
    )
    names = ["entity", *_COLUMNS, *(CELL if cells else ())]
    fields = [ENTITY[Board.Scope(board.scope)], *names[1:]]
    found = dict(zip(names, columns_of(rows.order_by().values_list(*fields), len(names)), strict=True))
    frame = pd.DataFrame(found | {name: np.array(found[name], np.float64) for name in _NUMBERS})
    if board.scope == Board.Scope.NODE_TYPE:
        frame["entity"] = frame["entity"].map(_type_names(set(frame["entity"])))
    # In an order that depends on content alone, so that sums do.
    return frame.iloc[np.lexsort([frame[name] for name in ("energy_j", "start_ms", "end_ms")])].reset_index(drop=True)


def _type_names(types: set[int]) -> dict[int, str]:
    """Of node types; with their cluster where two are called alike."""
    rows = list(NodeType.objects.filter(pk__in=types).values_list("pk", "name", "cluster__name"))
    once = Counter(name for _, name, _ in rows)
    return {pk: name if once[name] == 1 else f"{name} ({cluster})" for pk, name, cluster in rows}


def work_scores(edition: Edition, k: int) -> tuple[Scored, MeterScope]:
    """Of a board of work: two queries, three of node types or of improvement."""
    period = period_of(edition.first, edition.last)
    if edition.board.kind == Board.Kind.IMPROVEMENT:
        past = period.before()
        now, before = (read_jobs(edition, each, cells=True) for each in (period, past))
        return improvement(now, before, (period.span, past.span))
    frame = read_jobs(edition, period)
    if edition.board.scope == Board.Scope.NODE_TYPE:
        frame = without_few(frame, period.span, settings.BENCHMARK_USERS, k)
    return per_work(frame, period.span)
