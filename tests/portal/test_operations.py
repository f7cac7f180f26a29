"""The operators' pages: who may see them, and that their figures are those of the files that went in."""

from __future__ import annotations

import csv
import gzip
import re
import shlex
from datetime import UTC, date, datetime, timedelta
from html import unescape
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.timezone import localtime
from pytest_django import DjangoAssertNumQueries

from measurements.domain.units import ms_from_datetime
from measurements.models import (
    Batch,
    Cluster,
    DirtyNodeDay,
    Doubt,
    Feed,
    Heartbeat,
    Intake,
    Node,
    NodeConfig,
    NodeDay,
    NodeState,
    NodeType,
    PendingCorrection,
    Quarantine,
    UsageDay,
)
from measurements.selectors.batches import BATCHES_PER_PAGE, LINES_SHOWN
from tests.conftest import People
from tests.portal import world
from tests.portal.world import CLUSTER, DAY_S, PERIOD

MINUTE, HOUR = 60, 3_600
SCRIPT = "<script>alert(1)</script>"
NBSP = "\u00a0"
ALL = (
    "/operations/",
    "/operations/quarantine/",
    "/operations/coverage/",
    "/operations/coverage.csv",
    "/operations/reconciliation/",
    "/operations/reconciliation.csv",
    "/operations/batches/{batch}/",
    "/operations/batches/{batch}/refused-{reason}.txt",
)


@pytest.fixture
def operator(db: None, client: Client) -> Client:
    """Somebody who may see operations, and not the jobs of others."""
    oscar = User.objects.create_user("oscar")
    oscar.user_permissions.add(Permission.objects.get(codename="view_operations"))
    client.force_login(oscar)
    return client


@pytest.fixture
def refused(site: None, tmp_path: Path) -> Quarantine:
    """A power log of which most is refused; the batch's reason with the broken times."""
    lines = [f"{DAY_S + i},nowhere,100" for i in range(LINES_SHOWN + 50)]
    lines += [f"{SCRIPT},thin1,5", f"{DAY_S},thin1,0", f"{DAY_S + 30},thin1,77"]
    path = tmp_path / "bad <b>log.csv"
    path.write_text("timestamp,node,watts\n" + "\n".join(lines) + "\n", encoding="utf-8")
    world.run("ingest_power", path)
    return Quarantine.objects.get(reason="unreadable time")


def take(folder: Path, cluster: str, **files: str) -> None:
    """Load, ingest and book files, by the command that takes them."""
    for command, text in files.items():
        (folder / command).write_text(text, encoding="utf-8")
        call_command(command, str(folder / command), "--cluster", cluster, stdout=StringIO(), stderr=StringIO())
    call_command("attribute", stdout=StringIO(), stderr=StringIO())


def text(client: Client, url: str, status: int = 200) -> str:
    response = client.get(url)
    assert response.status_code == status
    return "".join(part.decode() for part in response) if response.streaming else response.content.decode()


def plain(html: str) -> str:
    """What a person reads."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).replace(NBSP, " ").split())


def table(client: Client, url: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text(client, url).splitlines()))


# --- Who may see them ---------------------------------------------------------------------------


def test_the_pages_exist_for_operators_alone(refused: Quarantine, people: People, client: Client) -> None:
    paths = [url.format(batch=refused.batch_id, reason=refused.pk) for url in ALL]
    for path in paths:
        assert client.get(path).headers["Location"].startswith("/login/?next=/operations/"), path
    reader, oscar, gone = (User.objects.create_user(name) for name in ("rita", "oscar", "gone"))
    reader.user_permissions.add(Permission.objects.get(codename="view_all_jobs"))
    for person in (people.alice, people.charlie, reader):
        client.force_login(person)
        for path in paths:
            assert client.get(path).status_code == 404, (person, path)
            assert client.post(path).status_code in (404, 405), (person, path)
    for person in (oscar, gone):
        person.user_permissions.add(Permission.objects.get(codename="view_operations"))
    for person in (oscar, people.olga):
        client.force_login(person)
        for path in paths:
            assert client.get(path).status_code == 200, (person, path)
    client.force_login(gone)
    User.objects.filter(pk=gone.pk).update(is_active=False)
    for path in paths:
        assert client.get(path).status_code in (302, 404), path


@pytest.mark.parametrize("url", [u for u in ALL if "{" not in u])
def test_an_empty_installation_is_told_what_to_do(operator: Client, url: str) -> None:
    status = 404 if url.endswith(".csv") else 200
    text(operator, url, status)
    if "quarantine" not in url and status == 200:
        assert "load_nodes takes its list of nodes" in text(operator, url)


def test_no_address_breaks_a_page(site: None, operator: Client) -> None:
    odd = [
        *("cluster=nobody", "before=x", "page=0x1", "meter=99", "first=0001-01-01&last=0001-01-02&cluster=alpha"),
        *("first=9999-12-30&last=9999-12-31", "first=2025-03-10&last=2020-01-01", "days=8", "content=%00", "page=99"),
        *("page=0", "before=0", "before=99999999999999999999", "first=1971-01-01&last=1971-01-01", "reason=%00"),
    ]
    for url in (u for u in ALL if "{" not in u):
        for query in odd:
            assert operator.get(f"{url}?{query}").status_code in (200, 404), (url, query)


# --- Overview -----------------------------------------------------------------------------------


def test_the_overview_says_whether_the_last_days_close(operator: Client, own_var: Path, tmp_path: Path) -> None:
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    start = int(datetime(yesterday.year, yesterday.month, yesterday.day, tzinfo=UTC).timestamp())
    power = [f"{start + MINUTE * i},n1,100" for i in range(1440) if not 600 < i < 660]
    job = f"1,alice,physics,COMPLETED,{start + HOUR},{start + 3 * HOUR},n1"
    take(
        tmp_path,
        "now",
        load_nodes="node,node_type\nn1,a\n",
        ingest_power="timestamp,node,watts\n" + "\n".join(power) + "\n",
        ingest_jobs=f"job_id,user,account,state,start,end,nodes\n{job}\n",
    )
    said = plain(text(operator, "/operations/"))
    covered_s = 86_400 + 30 - 30 - 59 * MINUTE  # 30 s before midnight belong to the day before
    energy_j = 100.0 * covered_s
    state = operator.get("/operations/").context["states"][0][0]
    assert state.figures.metered_j == pytest.approx(energy_j, rel=1e-9)
    assert state.figures.jobs_j == pytest.approx(100 * 2 * HOUR, rel=1e-9)
    assert state.figures.residue_j == 0
    assert "It closes: 2.3 kWh metered = 200 Wh of jobs + 2.10 kWh unallocated." in said.replace("2.30", "2.3")
    assert state.heard.newest_sample_at == datetime.fromtimestamp(start + 1439 * MINUTE, UTC)
    assert (state.heard.nodes, state.heard.silent, state.heard.never) == (1, 0, 0)
    assert "Nothing waits for a sealed day." in said


def test_what_waits_is_counted(site: None, operator: Client) -> None:
    cluster = Cluster.objects.get(name=CLUSTER)
    thin1, thin2 = Node.objects.filter(name__startswith="thin")
    now = datetime.now(UTC)
    lease = {"claimed_by": "somebody", "claimed_until": now + timedelta(minutes=1)}
    DirtyNodeDay.objects.create(cluster=cluster, node=thin1, day=date(2025, 3, 9), version=1)
    DirtyNodeDay.objects.create(cluster=cluster, node=thin2, day=date(2025, 3, 10), version=1, **lease)
    PendingCorrection.objects.create(cluster=cluster, day=date(2024, 1, 2), content="power", rows=17)
    PendingCorrection.objects.create(cluster=cluster, day=date(2024, 1, 2), content="power", rows=25)
    for state, error in (("queued", ""), ("failed", f"{SCRIPT} is no log"), ("done", "")):
        Intake.objects.create(
            cluster=cluster, content="power", source=f"{state}.csv", path=state, state=state, error=error, queued_at=now
        )
    Heartbeat.objects.create(name="sweep", at=now - timedelta(days=2))
    Heartbeat.objects.create(name="worker one", at=now)
    page = text(operator, "/operations/")
    said = plain(page)
    assert "Node-days to book 2 , 1 under way, oldest: Sun 9 Mar 2025" in said
    assert "Work is waiting" not in said  # nothing of these seven days
    assert "Tue 2 Jan 2024 alpha power 42" in said
    assert "queued.csv" in said
    assert "failed.csv" in said
    assert "done.csv" not in said
    assert SCRIPT not in page
    assert "sweep: seen 2 d ago late" in said
    assert re.search(r"worker one: seen [\d. ]+ m?s ago(?! late)", said)


def test_batches_are_listed_once_each_and_filtered(operator: Client, db: None) -> None:
    clusters = [Cluster.objects.create(name=name) for name in ("one", "two")]
    Batch.objects.bulk_create(
        Batch(
            cluster=clusters[i % 2], content=("power", "jobs")[i // 2 % 2], source=f"file{i}", sha256=str(i),
            options_key="", stored=i, duplicates=2 * i, refused=i % 3, committed_at=datetime.now(UTC),
        )
        for i in range(2 * BATCHES_PER_PAGE + 20)
    )  # fmt: skip

    def listed(query: str) -> list[str]:
        seen, url = [], f"/operations/?{query}"
        while url:
            page = operator.get(url)
            seen += [row.source for row in page.context["batches"].rows]
            link = page.context["next_link"]
            assert (link is None) == (b"Older batches" not in page.content)
            url = f"/operations/{link}" if link else ""
        return seen

    count = 2 * BATCHES_PER_PAGE + 20
    assert listed("") == [f"file{i}" for i in reversed(range(count))]
    wanted = [f"file{i}" for i in reversed(range(count)) if i % 2 == 0 and i // 2 % 2 == 1 and i % 3]
    assert listed("cluster=one&content=jobs&refused=on") == wanted


# --- A batch ------------------------------------------------------------------------------------


def test_a_batch_shows_what_was_refused_as_text(refused: Quarantine, operator: Client) -> None:
    page = text(operator, f"/operations/batches/{refused.batch_id}/?reason={refused.pk}")
    assert SCRIPT not in page
    assert "<b>log" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;,thin1,5" in page
    said = plain(page)
    for row in (f"unknown node {LINES_SHOWN + 50} 2", f"unreadable time 1 {LINES_SHOWN + 52}", "zero watts 1"):
        assert row in said
    assert "Accepted 1 Known already 0 Refused" in said
    assert "Give the list of nodes (at Imports, or with load_nodes)" in said


def test_refused_lines_are_bounded_on_the_page_and_whole_in_the_download(refused: Quarantine, operator: Client) -> None:
    unknown = refused.batch.quarantine.get(reason="unknown node")
    page = text(operator, f"/operations/batches/{refused.batch_id}/?reason={unknown.pk}")
    lines = page.split('<table class="lines">')[1].split("</table>")[0]
    assert lines.count(",nowhere,100 W,node</code></td>") == LINES_SHOWN
    assert f"The first {LINES_SHOWN} of {LINES_SHOWN + 50}." in page
    response = operator.get(f"/operations/batches/{refused.batch_id}/refused-{unknown.pk}.txt")
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Disposition"].startswith("attachment")
    whole = b"".join(response).decode().splitlines()
    assert [int(line.split("\t")[0]) for line in whole] == list(range(2, LINES_SHOWN + 52))
    assert gzip.decompress(bytes(unknown.lines)).decode().splitlines() == whole


def test_a_reason_belongs_to_its_batch(refused: Quarantine, operator: Client) -> None:
    other = Batch.objects.filter(content="power").exclude(pk=refused.batch_id).first()
    assert other is not None
    assert operator.get(f"/operations/batches/{other.pk}/?reason={refused.pk}").status_code == 404
    assert operator.get(f"/operations/batches/{other.pk}/refused-{refused.pk}.txt").status_code == 404
    assert operator.get("/operations/batches/999999/").status_code == 404


def test_the_command_on_the_page_tries_the_refused_lines_again(operator: Client, own_var: Path, tmp_path: Path) -> None:
    take(tmp_path, "again", load_nodes="node,node_type\nn1,a\n")
    log = tmp_path / "it's a log.csv"
    log.write_text("Zeit,Node A (W)\n2025-03-10 12:00:00,100\n2025-03-10 12:01:00,0\n", encoding="utf-8")
    options = ["--time-zone", "Europe/Berlin", "--interval", "60", "--rename", "Zeit=time", "--rename", "Node A (W)=n2"]
    with pytest.raises(SystemExit):  # nothing of it was of use
        call_command("ingest_power", str(log), "--cluster", "again", "--format", "csv", *options, stderr=StringIO())
    (batch,) = Batch.objects.all()
    assert (batch.stored, batch.refused) == (0, 2)
    (tmp_path / "more.csv").write_text("node,node_type\nn2,a\n")
    call_command("load_nodes", str(tmp_path / "more.csv"), "--cluster", "again", stderr=StringIO(), stdout=StringIO())
    page = operator.get(f"/operations/batches/{batch.pk}/")
    program, command, *words = shlex.split(page.context["command"])
    assert (program, command) == ("manage.py", "ingest_power")
    call_command(command, *words, stderr=StringIO(), stdout=StringIO())
    (batch,) = Batch.objects.all()
    assert (batch.stored, batch.refused) == (1, 1)


def test_lines_of_jobs_are_for_those_who_may_see_all_jobs(
    site: None, operator: Client, people: People, tmp_path: Path
) -> None:
    path = tmp_path / "jobs.csv"
    path.write_text(
        "job_id,user,account,state,start,end,nodes\n4711,mallory,secret,WEIRD,1741608000,1741608100,thin1\n"
        "4712,mallory,secret,mallory,1741608000,1741608100,thin1\n"
    )
    with pytest.raises(SystemExit):
        world.run("ingest_jobs", path)
    (row,) = Quarantine.objects.all()
    batch, lines = f"/operations/batches/{row.batch_id}/", f"/operations/batches/{row.batch_id}/refused-{row.pk}.txt"
    pages = ("/operations/", "/operations/quarantine/", batch, f"{batch}?reason={row.pk}")
    secrets = ("mallory", "4711", "WEIRD")
    for url in pages:
        assert not [word for word in secrets if word in text(operator, url)]
    assert "unknown state" in text(operator, batch)
    assert operator.get(lines).status_code == 404
    operator.force_login(people.olga)
    assert "4711,mallory,secret" in text(operator, lines)
    assert "mallory" in text(operator, f"{batch}?reason={row.pk}")


# --- Quarantine ---------------------------------------------------------------------------------


def test_reasons_are_counted_over_a_period(refused: Quarantine, operator: Client) -> None:
    page = operator.get("/operations/quarantine/")
    found = {row.reason: (row.count, row.batches) for row in page.context["reasons"]}
    assert found == {"unknown node": (LINES_SHOWN + 50, 1), "unreadable time": (1, 1), "zero watts": (1, 1)}
    assert SCRIPT not in page.content.decode()
    assert "Write ISO 8601 with an offset" in page.content.decode()
    assert f'href="/operations/batches/{refused.batch_id}/?reason={refused.pk}#lines"' in page.content.decode()
    Batch.objects.filter(pk=refused.batch_id).update(committed_at=datetime(2020, 5, 5, tzinfo=UTC))
    assert operator.get("/operations/quarantine/").context["reasons"] == ()
    past = operator.get("/operations/quarantine/?first=2020-05-05&last=2020-05-05&cluster=alpha")
    assert past.context["refused_lines"] == LINES_SHOWN + 52


# --- Coverage -----------------------------------------------------------------------------------

MAP = f"/operations/coverage/?{PERIOD}"
THIN1_S = 12 * HOUR + 30 - 19 * MINUTE  # the half minute before midnight is the day before


def test_the_map_says_what_was_measured_of_each_node(site: None, operator: Client) -> None:
    found = operator.get(MAP).context["map"]
    assert (found.nodes, found.never, found.with_gaps) == (3, 1, 3)  # dark1 was never heard
    assert [row.node for row in found.rows] == ["thin1", "mixed1", "thin2"]  # the largest gap first
    (cell,) = found.rows[0].cells
    assert (cell.wall_us, cell.covered_us, cell.off_us) == (86_400_000_000, THIN1_S * 1_000_000, 0)
    assert cell.gap_us == (86_400 - THIN1_S) * 1_000_000
    page = text(operator, MAP)
    row = page.split(">thin1</a>")[1].split("</tr>")[0]
    assert f'<td class="heat-1">{THIN1_S * 100 // 86_400}</td>' in row
    assert f"{THIN1_S / 864:.1f}"[:4] in plain(row)


def test_days_before_a_node_s_first_sample_are_no_gap(site: None, operator: Client) -> None:
    rows = table(operator, "/operations/coverage.csv?first=2025-03-08&last=2025-03-12")
    days = {row["day_utc"]: row for row in rows if row["node"] == "thin2"}
    # The first sample is of midnight: its half minute before belongs to a day in which the node was not in service.
    assert sorted(days) == ["2025-03-09", "2025-03-10", "2025-03-11", "2025-03-12"]
    assert float(days["2025-03-09"]["in_service_s"]) == float(days["2025-03-09"]["covered_s"]) == 30
    assert float(days["2025-03-11"]["gap_s"]) == 86_400
    assert days["2025-03-11"]["coverage"] == "0.0"
    page = text(operator, "/operations/coverage/?first=2025-03-08&last=2025-03-12")
    cells = re.findall(r'<td class="([\w-]+)">', page.split(">thin2</a>")[1].split("</tr>")[0])
    assert cells == ["none", "heat-6", "heat-2", "heat-gap", "heat-gap", "share"]


def test_a_node_that_was_off_has_no_gap(site: None, operator: Client) -> None:
    node = Node.objects.get(name="thin2")
    noon = (DAY_S + 24 * HOUR) * 1000
    span = {"state": "POWERED_DOWN", "power": "off"}
    NodeState.objects.create(node=node, start_ms=noon, end_ms=noon + 24 * HOUR * 1000, **span)
    NodeState.objects.create(node=node, start_ms=noon + HOUR * 1000, end_ms=noon + 2 * HOUR * 1000, **span)
    NodeState.objects.create(node=node, start_ms=noon + 24 * HOUR * 1000, end_ms=noon + 36 * HOUR * 1000, **span)
    url = "first=2025-03-11&last=2025-03-12"
    rows = [row for row in table(operator, f"/operations/coverage.csv?{url}") if row["node"] == "thin2"]
    assert [float(row["off_s"]) for row in rows] == [24 * HOUR, 12 * HOUR]
    assert [row["coverage"] for row in rows] == ["", "0.0"]
    page = text(operator, f"/operations/coverage/?{url}")
    cells = re.findall(r'<td class="([\w-]+)">(\w+)', page.split(">thin2</a>")[1].split("</tr>")[0])
    assert cells[:2] == [("heat-off", "off"), ("heat-gap", "gap")]


@pytest.fixture
def large(db: None) -> Cluster:
    """Two hundred nodes, 30 days; node i has i seconds of gap each day."""
    cluster = Cluster.objects.create(name="large")
    node_type = NodeType.objects.create(cluster=cluster, name="a")
    first_ms = (DAY_S - 86_400) * 1000
    nodes = Node.objects.bulk_create(
        Node(cluster=cluster, name=f"n{i:04d}", first_sample_ms=first_ms) for i in range(200)
    )
    NodeConfig.objects.bulk_create(NodeConfig(node=node, node_type=node_type) for node in nodes)
    empty = bytes(768)
    sums = {"metered_j": 1.0, "jobs_j": 1.0, "unallocated_j": 0.0, "unplaced_j": 0.0}
    packed = {"metered_quarters": empty, "unallocated_quarters": empty}
    for number in range(30):
        day = date(2025, 3, 10) + timedelta(days=number)
        NodeDay.objects.bulk_create(
            (
                NodeDay(
                    cluster=cluster, node=node, day=day, covered_us=(86_400 - i) * 1_000_000, samples=1, margin_ms=0,
                    **sums, **packed,
                )
                for i, node in enumerate(nodes)
            ),
            500,
        )  # fmt: skip
    return cluster


def test_many_nodes_are_paged_and_few_queries(
    large: Cluster, operator: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    url = "/operations/coverage/?first=2025-03-10&last=2025-04-08"
    with django_assert_max_num_queries(10):
        page = operator.get(url)
    assert page.content.count(b'href="/clusters/large/nodes/') == 60
    assert [row["node"] for row in page.context["rows"]] == [f"n{i:04d}" for i in range(199, 139, -1)]
    last = operator.get(f"{url}&page=4")
    assert [row["node"] for row in last.context["rows"]] == [f"n{i:04d}" for i in range(19, -1, -1)]
    assert operator.get(f"{url}&page=5").status_code == 404
    assert operator.get(f"{url}&order=name").context["rows"][0]["node"] == "n0000"
    assert len(table(operator, "/operations/coverage.csv?first=2025-03-10&last=2025-04-08")) == 6_000


# --- Reconciliation -----------------------------------------------------------------------------

TREE = """node,node_type,level,parent
pdu,meter,facility,
sw,meter,infrastructure,pdu
n1,thin,node,pdu
n2,thin,node,pdu
dark,thin,node,pdu
loose,thin,node,
"""
COMPARED_S = 6 * HOUR + 30  # the half minute before midnight is another day's
SILENT_S = 59 * MINUTE


def tree_power() -> str:
    """Six hours: pdu 400 W, switch 50 W, n1 100 W, n2 200 W but silent from 03:00 to 04:00."""
    lines = ["timestamp,node,watts"]
    for minute in range(6 * 60 + 1):
        t = DAY_S + minute * MINUTE
        lines += [f"{t},pdu,400", f"{t},sw,50", f"{t},n1,100"]
        lines += [] if 180 < minute < 240 else [f"{t},n2,200"]
    return "\n".join(lines) + "\n"


@pytest.fixture
def tree(db: None, own_var: Path, tmp_path: Path) -> Cluster:
    """Two nodes and a switch below one meter."""
    take(tmp_path, "tree", load_nodes=TREE, ingest_power=tree_power())
    return Cluster.objects.get(name="tree")


def meter_row(client: Client, name: str = "pdu", day: str = world.DAY) -> dict[str, float]:
    url = f"/operations/reconciliation.csv?first={day}&last={day}&table=meters&cluster=tree"
    (row,) = (row for row in table(client, url) if row["meter"] == name)
    return {key: float(value) for key, value in row.items() if key.endswith(("_j", "_s", "_share")) and value}


def test_days_close_and_projects_were_told_the_same(site: None, operator: Client) -> None:
    (row,) = table(operator, f"/operations/reconciliation.csv?{PERIOD}")
    metered = 100.0 * THIN1_S + 200.0 * (12 * HOUR + 30) + 500.0 * (12 * HOUR + 30)
    jobs = world.WIDE_J + 2 * world.TRAIN_J + world.BOBS_J - 2 * 25 * HOUR  # bob's half of mixed1 is 250 W
    assert float(row["metered_j"]) == pytest.approx(metered, rel=1e-9)
    assert float(row["jobs_j"]) == pytest.approx(jobs, rel=1e-9) == pytest.approx(float(row["projects_j"]), rel=1e-9)
    assert float(row["unallocated_j"]) == pytest.approx(metered - jobs, rel=1e-9)
    assert abs(float(row["residue_j"])) <= 1e-9 * metered
    said = plain(text(operator, f"/operations/reconciliation/?{PERIOD}"))
    assert "It closes: 9.57 kWh metered" in said
    assert "The sums that projects are shown add up to the jobs' energy." in said


def test_what_does_not_close_is_said(site: None, operator: Client) -> None:
    NodeDay.objects.filter(node__name="thin2", day=world.DAY).update(unallocated_j=1.0)
    UsageDay.objects.filter(account="physics").delete()
    said = plain(text(operator, f"/operations/reconciliation/?{PERIOD}"))
    assert "It does not close: of 9.57 kWh metered" in said
    assert "The sums that projects are shown lack" in said


def test_a_meter_is_compared_with_those_below_it(tree: Cluster, operator: Client) -> None:
    row = meter_row(operator)
    below = (100.0 + 50.0) * COMPARED_S + 200.0 * (COMPARED_S - SILENT_S)
    assert row["compared_s"] == row["read_s"] == COMPARED_S
    assert row["meter_j"] == pytest.approx(400.0 * COMPARED_S, rel=1e-9)
    assert row["below_j"] == pytest.approx(below, rel=1e-9)
    assert row["difference_j"] == pytest.approx(400.0 * COMPARED_S - below, rel=1e-9)
    assert row["unmeasured_node_s"] == SILENT_S
    assert row["unmeasured_about_j"] == pytest.approx(200.0 * SILENT_S, rel=1e-9)  # n2 draws 200 W always
    said = plain(text(operator, f"/operations/reconciliation/?{PERIOD}&cluster=tree"))
    assert "Other, which no meter below shows: 300 Wh, such as cooling, switches, losses." in said
    assert "0.983 node-hours below were not measured: about 197 Wh of the difference" in said
    assert "Below it, without any reading: dark." in said
    assert "2 of 4 nodes" not in said
    assert "1 of 4 nodes has no meter above it." in said


def test_off_below_is_nothing_missing(tree: Cluster, operator: Client) -> None:
    start_ms = (DAY_S + 3 * HOUR + 30) * 1000
    node = Node.objects.get(name="n2")
    NodeState.objects.create(node=node, start_ms=start_ms, end_ms=start_ms + SILENT_S * 1000, state="OFF", power="off")
    assert meter_row(operator)["unmeasured_node_s"] == 0


def test_hours_in_which_the_meter_itself_is_not_known_are_left_out(
    operator: Client, own_var: Path, tmp_path: Path
) -> None:
    power = [line for line in tree_power().splitlines() if ",n2," not in line]
    broken = [line for i, line in enumerate(power) if not (",pdu," in line and 90 < (i - 1) // 3 < 105)]
    take(tmp_path, "tree", load_nodes=TREE, ingest_power="\n".join(broken) + "\n")
    row = meter_row(operator)
    assert row["compared_s"] == COMPARED_S - HOUR
    assert row["left_out_s"] == HOUR - 14 * MINUTE
    assert row["difference_j"] == pytest.approx(250.0 * (COMPARED_S - HOUR), rel=1e-9)
    said = plain(text(operator, f"/operations/reconciliation/?{PERIOD}&cluster=tree"))
    assert "46 min of its time is left out" in said


def test_more_below_than_the_meter_shows_is_a_warning(operator: Client, own_var: Path, tmp_path: Path) -> None:
    take(tmp_path, "tree", load_nodes=TREE, ingest_power=tree_power().replace(",pdu,400", ",pdu,100"))
    said = plain(text(operator, f"/operations/reconciliation/?{PERIOD}&cluster=tree"))
    assert "Those below show 1.31 kWh more than their meter" in said
    assert meter_row(operator)["difference_share"] < -1


def test_a_rack_without_a_meter_is_looked_through(operator: Client, own_var: Path, tmp_path: Path) -> None:
    nodes = TREE.replace("n1,thin,node,pdu", "rack,meter,rack,pdu\nn1,thin,node,rack")
    take(tmp_path, "tree", load_nodes=nodes, ingest_power=tree_power())
    below = (100.0 + 50.0) * COMPARED_S + 200.0 * (COMPARED_S - SILENT_S)
    assert meter_row(operator)["below_j"] == pytest.approx(below, rel=1e-9)


def test_the_days_of_one_meter_can_be_opened(tree: Cluster, operator: Client) -> None:
    pdu = Node.objects.get(name="pdu")
    url = f"/operations/reconciliation/?{PERIOD}&cluster=tree&meter="
    assert operator.get(f"{url}{pdu.pk}").context["opened"].name == "pdu"
    assert operator.get(f"{url}{Node.objects.get(name='sw').pk}").status_code == 404


def test_queries_do_not_grow_with_days_nodes_or_meters(
    tree: Cluster, operator: Client, django_assert_num_queries: DjangoAssertNumQueries, tmp_path: Path
) -> None:
    urls = {"/operations/": 27, f"/operations/reconciliation/?{PERIOD}&cluster=tree": 15}
    for more in range(2):
        for url, count in urls.items():
            with django_assert_num_queries(count):
                assert operator.get(url).status_code == 200
        if not more:
            nodes = "node,node_type,level,parent\n" + "".join(f"m{i},a,rack,pdu\nk{i},a,node,m{i}\n" for i in range(9))
            power = [f"{DAY_S + d * 86_400},{n}{i},7" for i in range(9) for n in "mk" for d in range(3)]
            log = "timestamp,node,watts\n" + "\n".join(power) + "\n"
            take(tmp_path, "other", load_nodes="node,node_type\nx,a\n")
            take(tmp_path, "tree", load_nodes=nodes, ingest_power=log)


def test_feeds_are_listed_and_a_late_one_says_why(operator: Client) -> None:
    assert b'id="feeds"' not in operator.get("/operations/sources/").content
    cluster = Cluster.objects.create(name="fed")
    now = timezone.now()
    late = Feed(cluster=cluster, name="fed-jobs", kind="slurm-jobs", every_s=60, late_after_s=600)
    late.cursor_ms, late.failures, late.last_error = ms_from_datetime(now) - 7_200_000, 3, "sacct ended with 1: refused"
    late.save()
    Feed.objects.create(
        cluster=cluster, name="fed-gpus", kind="slurm-gpus", every_s=60, late_after_s=600,
        cursor_ms=ms_from_datetime(now), last_report={"stored": 4, "notes": ["comments don't come"]},
    )  # fmt: skip
    first = plain(text(operator, "/operations/"))
    assert "late Nothing newer from fed-jobs for 2 h. sacct ended with 1: refused Sources" in first
    assert "fed-gpus" not in first
    page = operator.get("/operations/sources/").content.decode()
    assert "1 source is late" in page
    assert page.index("fed-jobs") < page.index("fed-gpus")
    assert "sacct ended with 1: refused" in page
    assert "comments don&#x27;t come" in page
    assert page.count('class="status bad"') == 1


def test_of_a_late_feed_is_said_whether_it_was_asked(operator: Client) -> None:
    cluster, now = Cluster.objects.create(name="fed"), timezone.now()
    minute, old = timedelta(minutes=1), {"newest_ms": ms_from_datetime(now) - 7_200_000}
    held = {"next_at": now - 20 * minute, "claimed_by": "w", "claimed_until": now + minute}
    at_work: dict[str, Any] = {"last_ok_at": now - minute, "next_at": now}
    forgotten: dict[str, Any] = {"last_ok_at": now - 120 * minute, "next_at": now - 119 * minute}
    for name, kind, values in (
        ("fed-old", "prometheus", at_work | old),
        ("fed-behind", "slurm-jobs", at_work | {"cursor_ms": old["newest_ms"]}),
        ("fed-empty", "prometheus", at_work | held),
        ("fed-begun", "redfish", held),
        ("fed-left", "prometheus", forgotten | old),
        ("fed-dead", "redfish", forgotten | old | {"claimed_by": "w", "claimed_until": now - minute}),
    ):  # fmt: skip
        Feed.objects.create(cluster=cluster, name=name, kind=kind, every_s=60, late_after_s=600, **values)
    page = operator.get("/operations/sources/").content.decode()
    cells = page.split('id="feeds"')[1].split('<th role="rowheader" scope="row">')
    rows = {row.split("</th>")[0]: plain(row) for row in cells}
    asked = "is a worker at work?"
    assert {name for name, row in rows.items() if asked in row} == {"fed-left", "fed-dead"}
    at, newest = (date_format(localtime(one), "j M Y, H:i") for one in (now - minute, now - 120 * minute))
    assert f"asked at {at}, newest reading of {newest}: does the meter still log?" in rows["fed-old"]
    assert f"asked at {at}, and has come as far as {newest}" in rows["fed-behind"]
    assert f"asked at {at}, and nothing has come of it yet" in rows["fed-empty"]
    assert "its first turn is under way" in rows["fed-begun"]


# --- What to do next ----------------------------------------------------------------------------


def test_what_to_do_next_names_each_open_question_once_and_nothing_else(refused: Quarantine, operator: Client) -> None:
    said = plain(text(operator, "/operations/")).split("What to do next ")[1].split(" What came in")[0]
    lines = LINES_SHOWN + 52
    assert f"refused {lines} lines of the last 7 days were refused. unknown node ({LINES_SHOWN + 50})" in said
    assert "to decide 1 finding counts for now, and is doubtful: is it right? Doubtful readings" in said
    assert "tried" not in said
    Doubt.objects.update(decided_by="olga")
    Batch.objects.update(committed_at=timezone.now() - timedelta(days=8))
    Intake.objects.create(
        cluster=refused.batch.cluster,
        content="power",
        source="a.csv",
        path="a",
        state="tried",
        queued_at=timezone.now(),
    )
    said = plain(text(operator, "/operations/")).split("What to do next ")[1].split(" What came in")[0]
    assert "were refused" not in said, "they came in longer ago"
    assert "doubtful" not in said, "somebody decided"
    assert "to decide 1 file was tried and waits for your decision. Imports" in said


def test_a_site_where_all_is_well_says_so(site: None, operator: Client) -> None:
    assert "all is well" not in plain(text(operator, "/operations/"))
    Doubt.objects.all().delete()
    said = plain(text(operator, "/operations/"))
    sources = Batch.objects.order_by().values("cluster", "content").distinct().count()
    assert f"all is well Nothing. All {sources} sources are in time, nothing was refused in 7 days" in said


def test_a_node_that_is_switched_off_is_not_missed(site: None, operator: Client) -> None:
    newest_ms = max(ms for ms in Node.objects.values_list("last_sample_ms", flat=True) if ms is not None)
    node = Node.objects.get(name="thin2")
    Node.objects.filter(pk=node.pk).update(last_sample_ms=newest_ms - 24 * HOUR * 1000)

    def heard() -> tuple[int, int, int]:
        found = next(one for one, _ in operator.get("/operations/").context["states"] if one.name == CLUSTER).heard
        return found.nodes, found.silent, found.off

    nodes, silent, off = heard()
    assert (silent > 0, off) == (True, 0)
    assert "though" in plain(text(operator, "/operations/"))
    NodeState.objects.create(node=node, start_ms=newest_ms - 24 * HOUR * 1000, state="POWERED_DOWN", power="off")
    assert heard() == (nodes, silent - 1, 1)
