"""Everything that shows usage shows the same sums: the tile, bars, table, interface, command and the listed jobs.

The oracle adds ledger rows up in plain loops, by quarter hour, with each row's job and its node's type on the day.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client, override_settings

from measurements.domain.packing import unpacked
from measurements.domain.units import QUARTER_MS, day_start_ms
from measurements.domain.usage import Granularity
from measurements.models import AllocationEnergy, NodeConfig, UsageDay
from measurements.selectors.days import day_bounds_ms
from measurements.selectors.drawn import drawn_jobs
from measurements.selectors.usage import Asked, Dimension, Scope, Usage, usage
from portal.quantities import number

pytestmark = [pytest.mark.django_db]
BERLIN = ZoneInfo("Europe/Berlin")
EXACT = 1e-9
STATES = ("COMPLETED", "COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "NODE_FAIL", "OUT_OF_MEMORY")
# Nodes of two types, one of which becomes the other one in the middle.
NODES = """node,node_type,cpus,gpus,gpu_idle_w,valid_from
n1,thin,8,0,,
n2,thin,8,0,,
n2,fat,8,0,,2025-10-26T00:00Z
g1,gpu,8,2,40,
"""
PERIODS = (  # with the day of 25 hours, with that of 23, without either; one that ends in the middle
    (date(2025, 10, 24), date(2025, 10, 28)),
    (date(2025, 10, 26), date(2025, 10, 26)),
    (date(2025, 3, 29), date(2025, 3, 31)),
    (date(2025, 3, 1), date(2025, 11, 2)),
)
FIELD = {
    Dimension.PROJECT: "account",
    Dimension.WORKLOAD: "workload",
    Dimension.PHASE: "phase",
    Dimension.STATE: "state",
    Dimension.PARTITION: "partition",
}


@pytest.fixture
def site(tmp_path: Path) -> None:
    """Two weekends with a change of the clock, jobs over midnight and over the change, some of them shared."""
    draw = random.Random(5)
    power, jobs = (
        ["timestamp,node,watts,channel"],
        ["job_id,user,account,state,start,end,nodes,submit,partition,name,cpus,gpus,gpu_indices,comment"],
    )
    for number_, (first, days) in enumerate(((date(2025, 3, 28), 5), (date(2025, 10, 24), 6))):
        start_s = int(datetime(first.year, first.month, first.day, tzinfo=UTC).timestamp())
        power += list(_samples(start_s, days, draw))
        jobs += list(_jobs(start_s, days, draw, 1000 * (number_ + 1)))
    for name, text in {"nodes": NODES, "power": "\n".join(power), "jobs": "\n".join(jobs)}.items():
        (tmp_path / f"{name}.csv").write_text(text + "\n")
    for command in ("load_nodes", "ingest_power", "ingest_jobs"):
        path = tmp_path / f"{command.rpartition('_')[2]}.csv"
        call_command(command, str(path), "--cluster", "c", stdout=StringIO(), stderr=StringIO())
    call_command("attribute", "--cluster", "c", stdout=StringIO(), stderr=StringIO())


def _samples(start_s: int, days: int, draw: random.Random) -> Iterator[str]:
    for at_s in range(start_s, start_s + days * 86_400, 300):
        if (at_s // 3600) % 31 == 7:
            continue  # an hour of silence now and then
        yield f"{at_s},n1,{draw.randint(90, 400)},node"
        yield f"{at_s},n2,{draw.randint(90, 400)},node"
        gpu = 40 if (at_s // 7200) % 3 else 250
        yield f"{at_s},g1,{600 + gpu},node"
        yield from (f"{at_s},g1,{gpu // 2},gpu{i}" for i in range(2))


def _jobs(start_s: int, days: int, draw: random.Random, first_id: int) -> Iterator[str]:
    for i in range(60):
        begin = start_s + draw.randrange(0, days * 86_400 - 3600)
        end = min(begin + draw.randrange(60, 30 * 3600), start_s + days * 86_400)
        user, node = draw.choice(("alice", "bob")), draw.choice(("n1", "n2", "g1", "n[1-2]"))
        gpus, indices = (1, str(i % 2)) if node == "g1" else ("", "")
        tags = draw.choice(
            ("", "workload=nnunet phase=training", "workload=nnunet phase=inference", "workload=gromacs")
        )
        yield (
            f'{first_id + i},{user},{draw.choice(("physics", "biology"))},{draw.choice(STATES)},{begin},{end},"{node}",'
            f"{begin},{draw.choice(('short', 'long'))},job{i % 7},4,{gpus},{indices},{tags}"
        )


# --- The oracle ---------------------------------------------------------------------------------------


def type_on(node: int, day: date) -> str:
    rows = list(
        NodeConfig.objects.filter(node=node).order_by("valid_from").values_list("valid_from", "node_type__name")
    )
    held = [name for since, name in rows if since <= day]
    return held[-1] if held else rows[0][1]


def ledger(username: str) -> list[tuple[dict[Dimension, str], list[tuple[int, float]]]]:
    """Every ledger row: what it is grouped by, and its joules with the instant each quarter hour begins."""
    found = []
    for row in AllocationEnergy.objects.filter(job__username=username).select_related("job__cluster"):
        labels = {dimension: getattr(row.job, name) for dimension, name in FIELD.items()}
        labels |= {Dimension.CLUSTER: row.job.cluster.name, Dimension.NODE_TYPE: type_on(row.node_id, row.day)}
        begin = day_start_ms(row.day) + row.first_quarter * QUARTER_MS
        joules = [(begin + i * QUARTER_MS, j) for i, j in enumerate(unpacked(row.quarters).tolist())]
        found.append((labels, joules))
    return found


def expected(username: str, asked: Asked) -> tuple[dict[str, float], list[float]]:
    """Joules by group, and by local day."""
    bounds = day_bounds_ms(asked.first, asked.last, asked.zone).tolist()
    by_group: dict[str, float] = defaultdict(float)
    by_day = [0.0] * asked.days
    for labels, joules in ledger(username):
        if all(labels[name] in values for name, values in asked.filters.items()):
            for at_ms, joule in joules:
                if bounds[0] <= at_ms < bounds[-1]:
                    assert asked.group_by is not None
                    by_group[labels[asked.group_by]] += joule
                    by_day[int(np.searchsorted(bounds, at_ms, side="right")) - 1] += joule
    return {name: joule for name, joule in by_group.items() if joule}, by_day


def questions(count: int) -> list[tuple[Dimension, dict[Dimension, tuple[str, ...]], tuple[date, date]]]:
    """Random filters; the same in every run."""
    draw = random.Random(11)
    values = {
        Dimension.NODE_TYPE: ("thin", "fat", "gpu"),
        Dimension.PROJECT: ("physics", "biology"),
        Dimension.WORKLOAD: ("nnunet", "gromacs", ""),
        Dimension.PHASE: ("training", "inference", ""),
        Dimension.STATE: ("COMPLETED", "FAILED", "TIMEOUT", "NODE_FAIL"),
        Dimension.PARTITION: ("short", "long"),
    }
    found = []
    for i in range(count):
        dimensions = draw.sample(list(values), draw.choice((0, 1, 1, 2)))
        filters = {d: tuple(draw.sample(values[d], draw.randint(1, len(values[d]) - 1))) for d in dimensions}
        found.append((draw.choice(list(values)), filters, PERIODS[i % len(PERIODS)]))
    return found


def close(a: float, b: float) -> bool:
    return abs(a - b) <= EXACT * max(abs(a), abs(b), 1.0)


def test_usage_is_what_plain_loops_over_the_ledger_find(site: None) -> None:
    drawn = 0.0
    for group_by, filters, (first, last) in questions(24):
        asked = Asked(first, last, BERLIN, Granularity.DAY, group_by, filters)
        found = usage(Scope(username="alice"), asked)
        by_group, by_day = expected("alice", asked)
        said = dict(zip(found.groups, found.cells.energy_j.sum(axis=0).tolist(), strict=True))
        assert {name: j for name, j in said.items() if j} == pytest.approx(by_group, rel=EXACT)
        assert found.cells.energy_j.sum(axis=1).tolist() == pytest.approx(by_day, rel=EXACT)
        assert close(found.energy_j, sum(by_day))
        assert close(found.footprint.metered_j, found.energy_j)
        drawn += found.energy_j
    assert drawn > 1e8


def test_longer_bars_and_shorter_ones_have_the_same_sum(site: None) -> None:
    for first, last in PERIODS:
        sums = [
            usage(Scope(username="alice"), Asked(first, last, BERLIN, bars)).energy_j
            for bars in Granularity
            if bars is not Granularity.HOUR or (last - first).days < 10
        ]
        assert all(close(each, sums[0]) for each in sums)


def test_the_listed_jobs_add_up_to_the_bar(site: None) -> None:
    for _group, filters, (first, last) in questions(16):
        asked = Asked(first, last, BERLIN, Granularity.DAY, None, filters)
        found = usage(Scope(username="alice"), asked)
        whole = drawn_jobs(Scope(username="alice"), filters, int(found.bounds_ms[0]), int(found.bounds_ms[-1]))
        assert close(sum(job.inside_j or 0.0 for job in whole.jobs), found.energy_j)
        for i, joules in enumerate(found.cells.energy_j.sum(axis=1).tolist()[:6]):
            part = drawn_jobs(Scope(username="alice"), filters, int(found.bounds_ms[i]), int(found.bounds_ms[i + 1]))
            assert close(part.energy_j, joules)


@pytest.mark.parametrize("language", ["en-gb", "de"])
@override_settings(TIME_ZONE="Europe/Berlin")
def test_page_interface_and_command_say_the_same(site: None, client: Client, language: str) -> None:
    client.force_login(User.objects.create_user("alice"))
    client.post("/language/setlang/", {"language": language, "next": "/"})
    for group_by, filters, (first, last) in questions(8):
        pairs = [(name.value, value) for name, values in filters.items() for value in values]
        days = [("first", first.isoformat()), ("last", last.isoformat())]
        page = client.get(f"/?{urlencode([*days, ('bars', 'day'), ('group', group_by.value), *pairs])}")
        sent = client.get(f"/api/v1/users/me/usage?{urlencode([*days, ('group_by', group_by.value), *pairs])}").json()
        told = command(first, last, group_by, filters)
        shown: Usage = page.context["usage"]
        assert sent["energy_j"] == told["energy_j"] == shown.energy_j
        assert sent["cells"] == told["cells"]
        assert close(sum(sum(row) for row in sent["cells"]["energy_j"]), shown.energy_j)
        if not shown.elapsed_s:
            assert b"usage-chart" not in page.content
            continue
        chart, unit = page.context["chart"], page.context["unit"]
        drawn = sum(value or 0.0 for series in chart["series"] for value in series["values"]) * unit.size
        assert drawn == pytest.approx(shown.energy_j, rel=1e-5), "six digits are sent to a chart"
        tile = page.context["tiles"][0]
        assert tile.shown == "" or tile.shown.partition("\u00a0")[0] in page.content.decode()
        sums = page.content.decode().split('class="sum"')[1].split("</tr>")[0]
        wanted = number(shown.energy_j / unit.size) if shown.covered_s else "–"
        assert sums.split("<td>")[1].split("</td>")[0] == wanted


def command(
    first: date, last: date, group_by: Dimension, filters: dict[Dimension, tuple[str, ...]]
) -> dict[str, object]:
    out = StringIO()
    said = [f"--filter={name.value}={value}" for name, values in filters.items() for value in values]
    call_command(
        "usage", "user", "alice", f"--first={first}", f"--last={last}", f"--group-by={group_by.value}", *said, "--json",
        stdout=out,
    )  # fmt: skip
    found: dict[str, object] = json.loads(out.getvalue())
    return found


def test_waste_is_failed_jobs_and_idle_gpus_each_joule_once(site: None) -> None:
    first, last = PERIODS[3]
    asked = Asked(first, last, BERLIN, Granularity.MONTH, Dimension.STATE)
    found = usage(Scope(username="alice"), asked)
    by_state = dict(zip(found.groups, found.cells.failed_j.sum(axis=0).tolist(), strict=True))
    energy = dict(zip(found.groups, found.cells.energy_j.sum(axis=0).tolist(), strict=True))
    idle = dict(zip(found.groups, found.cells.idle_j.sum(axis=0).tolist(), strict=True))
    for state in ("FAILED", "TIMEOUT", "CANCELLED", "OUT_OF_MEMORY"):
        assert by_state[state] == energy[state] > 0
        assert idle[state] == 0
    assert by_state["COMPLETED"] == by_state["NODE_FAIL"] == 0
    assert 0 < idle["COMPLETED"] < energy["COMPLETED"]
    rows = AllocationEnergy.objects.filter(job__username="alice", job__state="COMPLETED")
    assert idle["COMPLETED"] == pytest.approx(sum(rows.values_list("gpu_idle_j", flat=True)), rel=EXACT)
    assert UsageDay.objects.filter(state="NODE_FAIL").exclude(excused=True).count() == 0


def test_days_before_and_after_are_apart(site: None) -> None:
    first, last = date(2025, 10, 20), date(2025, 11, 3)
    whole = usage(Scope(username="bob"), Asked(first, last, BERLIN))
    apart = [
        usage(Scope(username="bob"), Asked(first + timedelta(days=i), first + timedelta(days=i), BERLIN)).energy_j
        for i in range((last - first).days + 1)
    ]
    assert whole.cells.energy_j.sum(axis=1).tolist() == pytest.approx(apart, rel=EXACT)
