"""Scores by declared work out of the rows of a workload: energy per unit of it, and improvement on one's own past.

A job's row has entity, username, start_ms, end_ms, energy_j, held_s, coverage, scope, excused and ``done``, the work
that counts: of jobs that completed, in the board's unit. The energy of all the others counts all the same.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from measurements.domain.board_scores import Past, Ratio, Span, Spread, spread
from measurements.domain.boards import Behind, Reason, Scored, crowded
from measurements.domain.scopes import MeterScope
from measurements.domain.units import FloatArray, IntArray

CELL = ("phase", "size", "target")


class Columns:
    """The jobs that count as arrays, with numbers for entities and people."""

    def __init__(self, frame: pd.DataFrame, span: Span) -> None:
        """Jobs that the machine ended are only counted."""
        self.entity_all, names = pd.factorize(frame["entity"].to_numpy(object), sort=True)
        self.person_all, people = pd.factorize(frame["username"].to_numpy(object), sort=True)
        self.names, self.people = tuple(map(str, names)), tuple(map(str, people))
        self.excused = frame["excused"].astype(bool).to_numpy()
        counted = frame[~self.excused]
        self.entity, self.person = self.entity_all[~self.excused], self.person_all[~self.excused]
        self.energy_j, self.done = (counted[name].to_numpy(np.float64) for name in ("energy_j", "done"))
        self.held_s = counted["held_s"].to_numpy(np.float64)
        self.covered_s = counted["coverage"].to_numpy(np.float64) * self.held_s
        self.scope = counted["scope"].to_numpy(np.int64)
        start_ms, end_ms = (counted[name].to_numpy(np.int64) for name in ("start_ms", "end_ms"))
        self.parts: Spread = spread(start_ms, end_ms, span)

    @property
    def entities(self) -> int:
        """How many."""
        return len(self.names)

    def by_entity(self, values: FloatArray) -> FloatArray:
        """Sums of a column of the jobs."""
        return np.bincount(self.entity, values, self.entities).astype(np.float64, copy=False)

    def by_day(self, values: FloatArray) -> FloatArray:
        """Sums of a column of the jobs, by day and entity."""
        return self.parts.sums(self.entity, self.entities, values)

    def scope_of_most(self) -> MeterScope:
        """What the meters cover on which most was drawn."""
        drawn = np.bincount(self.scope, self.energy_j, len(MeterScope)) if len(self.scope) else np.zeros(1)
        return MeterScope(int(np.argmax(drawn)))

    def behind(self, whole: FloatArray) -> Behind:
        """By entity and person; ``whole`` of each job."""
        pair, keys = pd.factorize(self.entity_all.astype(np.int64) * (len(self.people) + 1) + self.person_all)
        counted = pair[~self.excused]

        def sums(values: FloatArray) -> FloatArray:
            return np.bincount(counted, values, len(keys)).astype(np.float64, copy=False)

        return Behind(
            entity=np.asarray(keys // (len(self.people) + 1), np.int64),
            person=[self.people[i] for i in (keys % (len(self.people) + 1)).tolist()],
            jobs=np.bincount(counted, minlength=len(keys)).astype(np.int64),
            excused=np.bincount(pair[self.excused], minlength=len(keys)).astype(np.int64),
            energy_j=sums(self.energy_j),
            whole=sums(whole),
        )


def per_work(frame: pd.DataFrame, span: Span) -> tuple[Scored, MeterScope]:
    """Energy of all jobs ÷ work of those that completed, and what most meters cover."""
    jobs = Columns(frame, span)
    work = jobs.by_day(jobs.done)
    barred = dict.fromkeys(np.flatnonzero(work.sum(axis=0) <= 0).tolist(), Reason.NO_WORK)
    return _scored(jobs, Ratio(jobs.by_day(jobs.energy_j), work), barred, jobs.done)


def improvement(now: pd.DataFrame, before: pd.DataFrame, spans: tuple[Span, Span]) -> tuple[Scored, MeterScope]:
    """Energy now ÷ what the same work would have drawn at one's own energy per unit of it before.

    Rows have the columns of `CELL` as well; those count whose entity had work in their cell before.
    """
    keys = ["entity", *CELL]
    worked = before[(before["done"] > 0) & ~before["excused"].astype(bool)][keys].drop_duplicates()
    worked = worked[worked["entity"].isin(now["entity"])]
    now, before = (each.merge(worked, on=keys, how="inner") for each in (now, before))
    jobs, past = (Columns(each, span) for each, span in zip((now, before), spans, strict=True))
    cells = worked[worked["entity"].isin(jobs.names)].sort_values(keys, kind="stable")
    cells = cells.assign(cell=np.arange(len(cells)))
    codes = [each.merge(cells, on=keys, how="left")["cell"].to_numpy(np.float64) for each in (now, before)]
    here = _cell_sums(jobs, codes[0], len(cells), jobs.done)
    energy, work = (_cell_sums(past, codes[1], len(cells), column) for column in (past.energy_j, past.done))
    entity = np.searchsorted(np.array(jobs.names, object), cells["entity"].to_numpy(object)).astype(np.int64)
    scores = Past(jobs.by_day(jobs.energy_j), entity, here, energy, work)
    barred = dict.fromkeys(np.flatnonzero(scores.whole() <= 0).tolist(), Reason.NO_PAST)
    return _scored(jobs, scores, barred, _expected(jobs, codes[0], energy, work))


def without_few(frame: pd.DataFrame, span: Span, benchmarks: Collection[str], k: int) -> pd.DataFrame:
    """Of node types that too few people use, only the jobs of the site's own benchmarks, where there are any.

    A type without benchmarks stays as it is, for `hidden_node_types` to hide.
    """
    bench = frame["username"].isin(benchmarks).to_numpy(bool)
    measured = set(frame["entity"][bench])
    persons = Columns(frame[~bench], span)
    hidden = {persons.names[place] for place in crowded(persons.behind(persons.done), persons.entities, k)}
    return frame[bench | ~frame["entity"].isin(hidden & measured).to_numpy(bool)]


def hidden_node_types(behind: Behind, entities: int, benchmarks: Collection[str], k: int) -> dict[int, Reason]:
    """Node types that may not be shown because of the persons behind them; benchmarks alone need none."""
    persons = ~np.isin(np.array(behind.person, object), list(benchmarks))
    mine = Behind(
        behind.entity[persons],
        [name for name, keep in zip(behind.person, persons.tolist(), strict=True) if keep],
        *(getattr(behind, name)[persons] for name in ("jobs", "excused", "energy_j", "whole")),
    )
    used = set(mine.entity[mine.jobs > 0].tolist())
    return {place: why for place, why in crowded(mine, entities, k).items() if place in used}


def _cell_sums(jobs: Columns, cell: FloatArray, cells: int, values: FloatArray) -> FloatArray:
    """By day and cell; ``cell`` of all jobs, nan of those whose entity has none now."""
    mine = cell[~jobs.excused]
    known = ~np.isnan(mine)
    return jobs.parts.sums(np.where(known, mine, 0).astype(np.int64), cells, np.where(known, values, 0.0))


def _expected(jobs: Columns, cell: FloatArray, energy: FloatArray, work: FloatArray) -> FloatArray:
    """What each job's work would have drawn before [J]."""
    rate = energy.sum(axis=0) / work.sum(axis=0)
    found: FloatArray = jobs.done * rate[cell[~jobs.excused].astype(np.int64)]
    return found


def _scored(
    jobs: Columns, scores: Ratio | Past, barred: dict[int, Reason], whole: FloatArray
) -> tuple[Scored, MeterScope]:
    held_s, covered_s = jobs.by_entity(jobs.held_s), jobs.by_entity(jobs.covered_s)
    main = jobs.scope_of_most()
    alike_s = jobs.by_entity(np.where(jobs.scope == main, jobs.held_s, 0.0))
    scored = Scored(
        names=jobs.names,
        scores=scores,
        jobs=np.bincount(jobs.entity, minlength=jobs.entities).astype(np.int64),
        days=_days(jobs),
        energy_j=jobs.by_entity(jobs.energy_j),
        coverage=_share(covered_s, held_s),
        in_scope=_share(alike_s, held_s),
        barred=barred,
        behind=jobs.behind(whole),
        relative=True,
    )
    return scored, main


def _days(jobs: Columns) -> IntArray:
    """On how many UTC days each entity ran anything."""
    ran = jobs.by_day(np.ones(len(jobs.entity))) > 0
    return np.asarray(ran.sum(axis=0), np.int64)


def _share(part: FloatArray, whole: FloatArray) -> FloatArray:
    return np.divide(part, whole, out=np.zeros(len(whole)), where=whole > 0)
