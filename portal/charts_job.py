"""What the job page draws beside its power curve: lines of parts, bands of others, and the curve as a table to keep."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from django.utils.translation import gettext as _

from measurements.domain.units import FloatArray, datetime_from_ms
from measurements.selectors.company import Company, NodeCompany
from measurements.selectors.curve import JobCurve
from measurements.selectors.node_jobs import JobName
from portal.charts import Payload, line
from portal.csvs import Cell
from portal.quantities import Unit, number
from portal.wording_job import part_name

DASH = "–"  # no data
WIDTH = 1_000.0  # of the bands' drawing
LANE, NARROWEST = 12.0, 3.0  # px
GAP = 2.0
STRIP = 160.0  # px of a node's strip, beyond which its lanes are narrower


def part_lines(curve: JobCurve, unit: Unit) -> list[Payload]:
    """Lines of parts, in the unit of the sum."""
    return [line(_("of which %(part)s") % {"part": part_name(p.family)}, p.curve, unit) for p in curve.parts]


def beside_table(curve: JobCurve, unit: Unit) -> dict[str, list[str]]:
    """What the chart draws beside the sum, for its table: a column a node, if they are several, and one a part."""
    nodes = {node.node: node.curve for node in curve.nodes} if curve.drawn_nodes > 1 else {}
    parts = {_("of which %(part)s") % {"part": part_name(p.family)}: p.curve for p in curve.parts}
    return {name: _texts(one.mean_w, unit) for name, one in (nodes | parts).items()}


def _texts(watts: FloatArray, unit: Unit) -> list[str]:
    return [DASH if np.isnan(value) else number(value / unit.size) for value in watts.tolist()]


# --- The curve as CSV ---------------------------------------------------------------------------


def curve_header(curve: JobCurve) -> list[str]:
    """Names of the columns, with their units."""
    return [
        "from",
        "to",
        "mean_w",
        "min_w",
        "max_w",
        "covered_s",
        "held_s",
        *(f"{p.family}_mean_w" for p in curve.parts),
    ]


def curve_cells(curve: JobCurve) -> Iterator[list[Cell]]:
    """A row a bucket; a gap has no power."""
    total = curve.total
    edges = [datetime_from_ms(ms) for ms in total.edges_ms.tolist()]
    columns = [_numbers(v) for v in (total.mean_w, total.min_w, total.max_w)]
    seconds = [(total.covered_ms / 1000).tolist(), (total.held_ms / 1000).tolist()]
    parts = [_numbers(part.curve.mean_w) for part in curve.parts]
    for row in zip(edges[:-1], edges[1:], *columns, *seconds, *parts, strict=True):
        yield list(row)


def _numbers(values: FloatArray) -> list[float | None]:
    return [None if np.isnan(value) else value for value in values.tolist()]


# --- Bands of other jobs ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle; x and width of 1,000."""

    x: str
    y: str
    width: str
    opacity: str
    job: JobName | None


@dataclass(frozen=True, slots=True)
class BandRow:
    """One allocation of another job, as the table shows it."""

    node: str
    started_ms: int
    ended_ms: int
    begins_before: bool
    goes_on: bool
    cpus: int | None
    share: float | None
    job: JobName | None


@dataclass(frozen=True, slots=True)
class BandStrip:
    """One node: the job itself above, the others below it."""

    node: str
    height: str
    lane: str
    own: tuple[Bar, ...]
    others: tuple[Bar, ...]


def band_strips(company: Company) -> list[BandStrip]:
    """The drawing of each node, all over the same time."""
    return [_strip(company, node) for node in company.nodes]


def band_rows(company: Company) -> list[BandRow]:
    """All bands, node by node."""
    return [
        BandRow(
            node.node, b.start_ms, b.end_ms, b.begins_before, b.goes_on, b.cpus, node.share(b), b.job
        )
        for node in company.nodes
        for b in node.bands
    ]  # fmt: skip


def _strip(company: Company, node: NodeCompany) -> BandStrip:
    scale = WIDTH / max(company.end_ms - company.start_ms, 1)
    lane_px = max(NARROWEST, min(LANE, STRIP / (node.lanes + 1) - GAP))

    def bar(start_ms: int, end_ms: int, lane: int, opacity: float, job: JobName | None) -> Bar:
        x, width = (start_ms - company.start_ms) * scale, max((end_ms - start_ms) * scale, 1.0)
        return Bar(f"{x:.1f}", f"{lane * (lane_px + GAP):.1f}", f"{width:.1f}", f"{opacity:.2f}", job)

    others = [bar(b.start_ms, b.end_ms, b.lane + 1, 0.35 + 0.65 * (node.share(b) or 0.0), b.job) for b in node.bands]
    return BandStrip(
        node=node.node,
        height=f"{(node.lanes + 1) * (lane_px + GAP):.0f}",
        lane=f"{lane_px:.1f}",
        own=tuple(bar(start, end, 0, 1.0, None) for start, end in node.own),
        others=tuple(others),
    )
