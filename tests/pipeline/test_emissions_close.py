"""Σ over jobs + unallocated = cluster, slot by slot, to 1e-9: emissions both ways, cost and water.

Through ingest, booking, roll-ups and price lists, over changes of factors inside jobs, both changes of the clock,
zones of half and three quarters of an hour, slots of 15, 30 and 60 minutes in one series, overhead that is measured
on some days and declared on others. Jobs are priced from their ledger rows by an oracle in plain loops, the cluster
by the site.
"""

from __future__ import annotations

import json
import math
import struct
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from django.core.management import call_command
from django.test import override_settings

from measurements.domain import chain
from measurements.domain.carbon import Part, PriceList
from measurements.domain.profiles import FILLED
from measurements.models import (
    AllocationEnergy,
    Cluster,
    IntensitySeries,
    NodeDay,
    NodeHour,
    NodeType,
    PriceDay,
    PublishedValue,
    SiteFactor,
    Supply,
    TypeDay,
    UsageDay,
)
from measurements.parsers.intensity_records import IntensitySlots
from measurements.selectors.emissions import cluster_footprints
from measurements.selectors.prices import price_list
from measurements.services.intensity import new_series, store_slots
from measurements.services.pricing import add_rows
from tests.pipeline.closing_oracle import Factor, Grid, Meters, Price, Rules, begin_of, quarter_of, total
from tests.usage_rows import quarters, records

pytestmark = pytest.mark.django_db
EXACT = 1e-9
DAYS = 4  # UTC days
STEP_S = 300
NODES = """node,node_type,cpus,rated_w,level,parent
hall,site,,,facility,
cool,site,,,infrastructure,hall
n1,thin,8,400,node,hall
n2,thin,8,,node,hall
n3,fat,16,900,node,hall
d1,dark,4,500,node,hall
"""
CPUS = {"n1": 8, "n2": 8, "n3": 16, "d1": 4}
RATED_W = {"n1": 400.0, "n3": 900.0, "d1": 500.0}
PER_SLOT = ("location_g", "market_g", "cost", "water_l")
EMBODIED_KG, YEARS = {"thin": 900.0, "fat": 2500.0}, 5
PLACES = [
    pytest.param(("Europe/Berlin", date(2025, 3, 30)), id="Berlin-spring"),
    pytest.param(("Europe/Berlin", date(2025, 10, 26)), id="Berlin-autumn"),
    pytest.param(("Asia/Kolkata", date(2025, 5, 1)), id="Kolkata"),
    pytest.param(("Asia/Kathmandu", date(2025, 5, 1)), id="Kathmandu"),
]


@dataclass(frozen=True)
class Site:
    """What was built, and the rules by which it is priced."""

    cluster: Cluster
    rules: Rules
    first: date

    @property
    def quarters(self) -> range:
        """Of all days that the ledger has: the samples of a midnight hold a little into the days beside it."""
        start = quarter_of(datetime.combine(self.first - timedelta(days=1), time(), UTC))
        return range(start, start + 96 * (DAYS + 2))

    @property
    def last(self) -> date:
        return self.first + timedelta(days=DAYS)

    def prices(self) -> PriceList:
        return price_list(self.cluster, self.first - timedelta(days=1), self.last)


@pytest.fixture(params=PLACES)
def site(request: pytest.FixtureRequest, own_var: Path, tmp_path: Path) -> Iterator[Site]:
    zone, changes = request.param
    with override_settings(TIME_ZONE=zone):
        yield build(tmp_path, ZoneInfo(zone), changes)


# --- The site ---------------------------------------------------------------------------------------


def build(folder: Path, zone: ZoneInfo, changes: date) -> Site:
    """Four UTC days; factors change at the local midnight with which ``changes``, the second of them, begins."""
    first = changes - timedelta(days=1)
    rules = rules_of(zone, first, changes)
    for name, text in {"nodes": NODES, "power": power(first), "jobs": jobs(first)}.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    run("load_nodes", str(folder / "nodes.csv"))
    cluster = Cluster.objects.get()
    declare(cluster, rules)
    run("ingest_power", str(folder / "power.csv"))
    run("ingest_jobs", str(folder / "jobs.csv"))
    run("attribute")
    return Site(cluster, rules, first)


def run(command: str, *words: str) -> None:
    call_command(command, *words, "--cluster", "gamma", stdout=StringIO(), stderr=StringIO())


def power(first: date) -> str:
    """n2 is silent for some hours of each day; hall is metered on the third day only, cool on the second and third."""
    draw, start = Random(5), int(datetime.combine(first, time(), UTC).timestamp())
    lines = ["timestamp,node,watts"]
    for at in range(start, start + 86_400 * DAYS + 1, STEP_S):
        day, hour = (at - start) // 86_400, (at - start) % 86_400 / 3_600
        lines += [f"{at},n1,{draw.uniform(90, 390):.3f}", f"{at},n3,{draw.uniform(200, 890):.3f}"]
        if not 3 <= hour < 7:
            lines.append(f"{at},n2,{draw.uniform(80, 300):.3f}")
        if day == 2:
            lines.append(f"{at},hall,{draw.uniform(1700, 2300):.3f}")
        if day in {1, 2}:
            lines.append(f"{at},cool,{draw.uniform(60, 120):.3f}")
    return "\n".join(lines) + "\n"


def jobs(first: date) -> str:
    """Long ones over all changes, short ones inside a quarter hour, shared, exclusive, unmetered, overcommitted."""
    draw, start = Random(9), int(datetime.combine(first, time(), UTC).timestamp())
    rows = [
        ("whole", "alice", "physics", 3_600, 86_400 * DAYS - 3_600, "n1", 3),
        ("beside", "bob", "chemistry", 40_000, 200_000, "n1", 4),
        ("crowd", "charlie", "physics", 70_000, 130_000, "n1", 6),
        ("alone", "bob", "chemistry", 80_000, 190_000, "n2", 8),
        ("wide", "alice", "physics", 85_000, 100_000, '"n[1-3]"', 4),
        ("dark", "charlie", "biology", 50_123, 150_456, "d1", 4),
        ("darkhalf", "alice", "physics", 81_234, 93_000, "d1", 1),
        ("silent", "bob", "chemistry", 3 * 3_600 + 900, 6 * 3_600, "n2", 2),
    ]
    for i in range(30):
        begin = draw.randrange(86_400 * DAYS - 9_000)
        who = draw.choice((("alice", "physics"), ("bob", "chemistry"), ("charlie", "biology")))
        rows.append(
            (f"s{i}", *who, begin, begin + draw.randrange(1, 8_000), draw.choice(("n1", "n3")), draw.randrange(1, 8))
        )
    lines = ["job_id,user,account,state,start,end,nodes,cpus"]
    for number, (_, user, account, low, high, nodes, cpus) in enumerate(rows):
        lines.append(f"{number + 1},{user},{account},COMPLETED,{start + low},{start + high},{nodes},{cpus}")
    return "\n".join(lines) + "\n"


def rules_of(zone: ZoneInfo, first: date, changes: date) -> Rules:
    """Everything changes on that day; before it slots of three lengths with holes, after it a month's mean."""
    months = {(day.year, day.month): 100.0 + 7 * day.month for day in (changes, changes + timedelta(days=2))}
    mixed = Grid(None, slots=mixed_slots(first), years={changes.year - 1: 401.0})
    later = Grid(changes, slots=mixed_slots(first, hole=2), months=months, years={changes.year: 333.0})
    return Rules(
        zone=zone,
        location=[mixed, later],
        market=[Grid(None, years={changes.year: 5.0}), Grid(changes, months=months)],
        pue=[Factor(None, 1.31), Factor(changes, 1.17)],
        infrastructure=[Factor(None, 0.04), Factor(changes, None), Factor(changes + timedelta(days=2), 0.09)],
        tariff=[Factor(None, 0.21, night=0.11), Factor(changes, 0.33, night=0.17)],
        water=[Factor(changes, 0.8)],
    )


def mixed_slots(first: date, hole: int = 5) -> list[tuple[datetime, int, float | None]]:
    """Hours, then half hours, then quarter hours, each from 01:00 UTC of a day on; every so many-th is missing."""
    draw = Random(hole)
    found: list[tuple[datetime, int, float | None]] = []
    at, end = datetime.combine(first, time(1), UTC), datetime.combine(first, time(), UTC) + timedelta(days=DAYS)
    while at < end:
        minutes = (60, 30, 15)[min((at - timedelta(hours=1)).toordinal() - first.toordinal(), 2)]
        missing = (len(found) + 1) % hole == 0
        found.append((at, minutes, None if missing else round(draw.uniform(50, 700), 2)))
        at += timedelta(minutes=minutes)
    return found


def declare(cluster: Cluster, rules: Rules) -> None:
    """The same to the site, in its own words."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    rows: list[Supply | SiteFactor] = []
    for method, grids in (("location_based", rules.location), ("market_based", rules.market)):
        for i, grid in enumerate(grids):
            slots, monthly, yearly = (
                stored_series(f"{method}-{i}-{kind}", grid, kind, now) for kind in ("slots", "months", "years")
            )
            since = {} if grid.since is None else {"valid_from": grid.since}
            rows.append(Supply(cluster=cluster, method=method, slots=slots, monthly=monthly, yearly=yearly, **since))
    named = {"pue": rules.pue, "infrastructure": rules.infrastructure, "tariff": rules.tariff, "wue": rules.water}
    for kind, factors in named.items():
        rows += [site_factor(cluster, kind, factor) for factor in factors]
    for name, kg in EMBODIED_KG.items():
        made = {"node_type": NodeType.objects.get(name=name), "detail": {"lifetime_years": YEARS}}
        rows.append(SiteFactor(cluster=cluster, kind="embodied", value=kg, source_title="maker", **made))
    add_rows(cluster, rows, now)


def site_factor(cluster: Cluster, kind: str, factor: Factor) -> SiteFactor:
    more: dict[str, Any] = {} if factor.since is None else {"valid_from": factor.since}
    if kind == "tariff":
        night = {"days": [0, 1, 2, 3, 4, 5, 6], "start": 22 * 60, "end": 6 * 60, "price": factor.night}
        more |= {"unit": "EUR/kWh", "detail": {"bands": [night]}}
    return SiteFactor(cluster=cluster, kind=kind, value=factor.value, source_title="typed", **more)


def stored_series(slug: str, grid: Grid, kind: str, now: datetime) -> IntensitySeries | None:
    values = getattr(grid, kind)
    if not values:
        return None
    series = new_series(
        now,
        slug=slug.replace("_", "-"),
        zone="XX",
        basis="lifecycle",
        mix="consumption",
        source_title=slug,
        edition="1",
    )
    if kind == "slots":
        start = np.array([at.timestamp() * 1000 for at, _, _ in values], np.int64)
        length = np.array([minutes * 60_000 for _, minutes, _ in values], np.int64)
        grams = np.array([math.nan if g is None else g for _, _, g in values])
        estimated = np.arange(len(values)) % 3 == 0
        store_slots(series, IntensitySlots(start, start + length, grams, estimated), now, source="test")
    for when, grams in values.items() if kind != "slots" else ():
        year, month = when if kind == "months" else (when, 1)
        PublishedValue.objects.create(
            series=series, resolution=kind.removesuffix("s"), start=date(year, month, 1), g_per_kwh=grams
        )
    return series


# --- From the ledger's rows, in plain loops ----------------------------------------------------------


def joules_of(data: bytes | memoryview) -> Sequence[float]:
    return struct.unpack(f"<{len(data) // 8}d", bytes(data))


def start_of(day: date) -> int:
    return quarter_of(datetime.combine(day, time(), UTC))


def drawn_by_job() -> dict[str, dict[int, float]]:
    """Joules by job and quarter hour, metered and filled."""
    found: dict[str, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for row in AllocationEnergy.objects.select_related("job", "node", "allocation"):
        mine = found[row.job.job_id]
        for i, joules in enumerate(joules_of(row.quarters)):
            mine[start_of(row.day) + row.first_quarter + i] += joules
        if row.covered_us == 0 and row.node.name in RATED_W:
            for quarter, joules in filled(row).items():
                mine[quarter] += joules
    return found


def filled(row: AllocationEnergy) -> dict[int, float]:
    """Rated power × time × share of cores, spread over the hours that the row touches."""
    node = row.node.name
    watts = RATED_W[node] * min((row.allocation.cpus or CPUS[node]) / CPUS[node], 1.0)
    begin = max(row.allocation.start_ms / 1000, 900.0 * start_of(row.day))
    end = begin + row.elapsed_us / 1e6
    found: dict[int, float] = {}
    for hour in range(int(begin // 3600), math.ceil(end / 3600)):
        inside_s = min(end, 3600.0 * (hour + 1)) - max(begin, 3600.0 * hour)
        found |= {4 * hour + i: watts * inside_s / 4 for i in range(4)}
    return found


def quarters_of_nodes(field: str, level: str, **only: Any) -> dict[int, float]:
    found: dict[int, float] = defaultdict(float)
    for row in NodeDay.objects.filter(node__level=level, **only):
        for i, joules in enumerate(joules_of(getattr(row, field))):
            found[start_of(row.day) + i] += joules
    return found


def meters() -> Meters:
    """Three of the four nodes have samples, from the first of the days on; d1 is there on days with its jobs."""
    covered: dict[int, float] = defaultdict(float)
    dark = {row.day for row in NodeDay.objects.filter(node__name="d1")}
    for row in NodeHour.objects.filter(node__level="node"):
        nodes = 3 + (row.day in dark)
        for i in range(4):
            covered[start_of(row.day) + 4 * row.hour + i] += row.covered_us / 1e6 / (nodes * 3600)
    return Meters(
        facility=quarters_of_nodes("metered_quarters", "facility"),
        infrastructure=quarters_of_nodes("metered_quarters", "infrastructure"),
        nodes=quarters_of_nodes("metered_quarters", "node"),
        coverage={quarter: min(share, 1.0) for quarter, share in covered.items()},
    )


def oracle_prices(site: Site) -> dict[int, Price]:
    """Of the eve, which has no node of its own but half an interval, too."""
    known = meters()
    eve = start_of(site.first)
    known = replace(known, coverage={q: share for q, share in known.coverage.items() if q >= eve})
    return {quarter: site.rules.price(quarter, known) for quarter in site.quarters}


# --- From the roll-ups, by the site ------------------------------------------------------------------


def rolled_up(site: Site, model: Any, energy: str, *, fill: bool = True) -> np.ndarray:
    """Joules by quarter hour of a roll-up."""
    found = np.zeros(len(site.quarters))
    for row in model.objects.filter(cluster=site.cluster):
        place = start_of(row.day) - site.quarters.start
        found[place : place + 96] += joules_of(getattr(row, energy))
        if fill:
            found[place : place + 96] += np.repeat(joules_of(row.filled_hours), 4) / 4
    return found


def usage_of_all(site: Site) -> np.ndarray:
    """Joules by quarter hour of all that people and projects are shown."""
    found = np.zeros(len(site.quarters))
    for row in UsageDay.objects.filter(cluster=site.cluster):
        place = start_of(row.day) - site.quarters.start
        found[place : place + 96] += quarters(row) + np.repeat(records(row)[:, FILLED], 4) / 4
    return found


def priced(site: Site, joules: np.ndarray) -> dict[str, np.ndarray]:
    found = chain.slots(joules, site.prices())
    return {name: getattr(found, name) for name in PER_SLOT}


def agree(wanted: Sequence[float], got: np.ndarray, what: str) -> None:
    """To 1e-9 in each slot; what is nothing is nothing."""
    for i, (a, b) in enumerate(zip(wanted, got.tolist(), strict=True)):
        assert math.isclose(a, b, rel_tol=EXACT, abs_tol=1e-12), f"{what} in slot {i}: {a} and {b}"


# --- What has to hold --------------------------------------------------------------------------------


def test_jobs_and_unallocated_are_the_cluster_in_each_slot(site: Site) -> None:
    prices, by_job = oracle_prices(site), drawn_by_job()
    own = quarters_of_nodes("unallocated_quarters", "node")
    cluster = priced(site, rolled_up(site, TypeDay, "metered_quarters"))
    for name in PER_SLOT:
        known = [prices[q].of(1.0)[name] is not None for q in site.quarters]
        assert known == (~np.isnan(cluster[name])).tolist(), f"{name}: known where its factors are"
        parts = [
            total(
                [
                    *(prices[q].of(mine.get(q, 0.0))[name] for mine in by_job.values()),
                    prices[q].of(own.get(q, 0.0))[name],
                ]
            )
            for q in site.quarters
        ]
        agree(parts, np.nan_to_num(cluster[name]), name)
    assert len(by_job) == 38
    assert np.nansum(cluster["location_g"]) > 10_000


def test_people_and_projects_and_unallocated_are_the_cluster_in_each_slot(site: Site) -> None:
    own = priced(site, rolled_up(site, TypeDay, "unallocated_quarters", fill=False))
    cluster = priced(site, rolled_up(site, TypeDay, "metered_quarters"))
    theirs = priced(site, usage_of_all(site))
    for name in PER_SLOT:
        known = ~np.isnan(own[name])
        agree((theirs[name] + own[name])[known].tolist(), cluster[name][known], name)


def test_every_price_is_what_the_oracle_says(site: Site) -> None:
    prices, stored = oracle_prices(site), site.prices()
    parts = {"infrastructure": Part.INFRASTRUCTURE, "pue": Part.PUE, "location": Part.LOCATION, "market": Part.MARKET}
    parts |= {"tariff": Part.TARIFF, "water": Part.WATER}
    days = set(PriceDay.objects.values_list("day", flat=True))
    for i, quarter in enumerate(site.quarters):
        if begin_of(quarter).date() in days:
            for name, part in parts.items():
                wanted = getattr(prices[quarter], name)
                said = float(stored.part(part)[i])
                got = {"infrastructure": 0.0, "pue": 1.0}.get(name) if math.isnan(said) else said
                if wanted is None or got is None:
                    assert wanted is got, f"{name} at {begin_of(quarter)}"
                else:
                    assert math.isclose(wanted, got, rel_tol=EXACT), f"{name} at {begin_of(quarter)}"


def test_the_cases_are_there(site: Site) -> None:
    """Each kind of factor changes in mid-job, each rung is climbed, overhead is measured and declared."""
    rungs = {(part, site.prices().origins[k].rung.value) for part in Part for k in site.prices().origin[part] if k >= 0}
    assert {rung for part, rung in rungs if part is Part.LOCATION} >= {
        "measured",
        "estimated",
        "monthly",
        "earlier_year",
    }
    assert {rung for part, rung in rungs if part is Part.PUE} == {"measured", "declared"}
    assert {rung for part, rung in rungs if part is Part.INFRASTRUCTURE} == {"measured", "estimated", "declared"}
    mine = drawn_by_job()["1"]
    changes = quarter_of(datetime.combine(site.first + timedelta(days=1), time(), site.rules.zone))
    assert mine[changes - 1] > 0 < mine[changes]
    prices = oracle_prices(site)
    before, after = prices[changes - 1], prices[changes]
    assert before.tariff != after.tariff
    assert before.location != after.location
    assert (before.water, after.water) == (None, 0.8)


def test_a_job_says_what_the_oracle_says(site: Site) -> None:
    """As the command gives it; of jobs that are metered or filled as a whole."""
    prices, by_job = oracle_prices(site), drawn_by_job()
    for job_id, mine in by_job.items():
        out = StringIO()
        call_command("energy", "job", "gamma", job_id, "--json", stdout=out, stderr=StringIO())
        said = json.loads(out.getvalue())
        wanted = {name: total(prices[q].of(joules)[name] for q, joules in mine.items()) for name in PER_SLOT}
        assert said["emissions_g_co2e"] == pytest.approx(wanted["location_g"], rel=EXACT), job_id
        assert set(said["cost"]) <= {"EUR"}
        assert said["cost"].get("EUR", 0.0) == pytest.approx(wanted["cost"], rel=EXACT)


def test_the_figures_of_pages_and_statements_are_the_sums_of_the_slots(site: Site) -> None:
    """Local days, which begin at half past or at a quarter to in some zones and have 23 or 25 hours in others."""
    prices, by_job = oracle_prices(site), drawn_by_job()
    own = quarters_of_nodes("unallocated_quarters", "node")
    day = site.first + timedelta(days=1)
    start, end = (datetime.combine(d, time(), site.rules.zone).astimezone(UTC) for d in (day, day + timedelta(days=1)))
    now_ms = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
    start_ms, end_ms = (int(at.timestamp() * 1000) for at in (start, end))
    got = cluster_footprints(site.cluster, start_ms, end_ms, now_ms)
    inside = range(quarter_of(start), quarter_of(end))
    jobs_g = total(prices[q].of(mine.get(q, 0.0))["location_g"] for mine in by_job.values() for q in inside)
    own_g = total(prices[q].of(own.get(q, 0.0))["location_g"] for q in inside)
    assert got.jobs.location_g == pytest.approx(jobs_g, rel=EXACT)
    assert got.own.location_g == pytest.approx(own_g, rel=EXACT)


def test_embodied_of_jobs_and_of_the_machine_are_those_of_its_wall_time(site: Site) -> None:
    """Jobs from their ledger rows; the remainder of each node's 24 hours is the machine's own."""
    rate = {name: kg * 1000 / (YEARS * 365 * 24) for name, kg in EMBODIED_KG.items()}
    kind = {"n1": "thin", "n2": "thin", "n3": "fat"}
    rows = AllocationEnergy.objects.filter(node__name__in=kind).select_related("node")
    jobs_g = math.fsum((row.reserved_us or 0) / 3.6e9 * rate[kind[row.node.name]] for row in rows)
    start, end = (int(datetime.combine(d, time(), UTC).timestamp() * 1000) for d in (site.first, site.last))
    got = cluster_footprints(site.cluster, start, end, end)
    assert got.jobs.embodied is not None
    assert got.own.embodied is not None
    assert got.jobs.embodied.central_g == pytest.approx(jobs_g, rel=EXACT)
    wall_g = math.fsum(24 * DAYS * rate[name] for name in kind.values())
    assert got.jobs.embodied.central_g + got.own.embodied.central_g == pytest.approx(wall_g, rel=EXACT)
