"""The quarantine browser and the replay: filters, what may be read, who may try again, what comes of it."""

from __future__ import annotations

import csv
import re
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from measurements.models import Batch, Quarantine
from measurements.services.replay import replay_due
from tests.portal import world
from tests.portal.test_queries import MOST, queries
from tests.portal.world import DAY_S

SCRIPT = "<script>alert(1)</script>"
FORMULA = "=cmd|calc"
PAGE, REPLAY, LINES = "/operations/quarantine/", "/operations/quarantine/replay/", "/operations/quarantine/lines.csv"


def user(name: str, *permissions: str) -> User:
    found = User.objects.create_user(name)
    found.user_permissions.add(*Permission.objects.filter(codename__in=permissions))
    return found


@pytest.fixture
def operator(db: None, client: Client) -> Client:
    """Who may see operations, and not the jobs of others."""
    client.force_login(user("oscar", "view_operations"))
    return client


@pytest.fixture
def keeper(db: None) -> Client:
    """Who may try lines again besides."""
    client = Client()
    client.force_login(user("karla", "view_operations", "change_quarantine"))
    return client


@pytest.fixture
def refused(site: None, tmp_path: Path) -> None:
    """Two logs and a file of jobs, of which something is refused."""
    one = "".join(f"{DAY_S + i},ghost,100\n" for i in range(30)) + f"{SCRIPT},thin1,5\n{DAY_S},thin1,0\n"
    (tmp_path / "one <b>.csv").write_text(f"timestamp,node,watts\n{one}{DAY_S + 7},thin1,77\n")
    (tmp_path / "two.csv").write_text(
        f"timestamp,node,watts\n{DAY_S},ghost10,100\n{FORMULA},thin1,5\n{DAY_S + 8},thin1,78\n"
    )
    jobs = f"1,mallory,x,NONSENSE,,,thin1\n2,bob,x,FAILED,{DAY_S},{DAY_S + 9},thin1\n"
    (tmp_path / "jobs.csv").write_text(f"job_id,user,account,state,start,end,nodes\n{jobs}")
    world.run("ingest_power", tmp_path / "one <b>.csv")
    world.run("ingest_power", tmp_path / "two.csv")
    world.run("ingest_jobs", tmp_path / "jobs.csv")


def text(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return "".join(part.decode() for part in response) if response.streaming else response.content.decode()


def counts(client: Client, query: str) -> dict[str, int]:
    response = client.get(f"{PAGE}?{query}")
    assert response.status_code == 200
    return {row.reason: row.count for row in response.context["reasons"]}


@pytest.mark.usefixtures("refused")
def test_each_filter_leaves_what_fits_it(operator: Client) -> None:
    whole = {"unknown node": 31, "unreadable time": 2, "zero watts": 1, "unknown state": 1}
    assert counts(operator, "") == whole
    assert counts(operator, "cluster=alpha") == whole
    assert counts(operator, "reason=zero+watts") == {"zero watts": 1}
    assert counts(operator, "source=two") == {"unknown node": 1, "unreadable time": 1}
    assert counts(operator, "content=jobs") == {"unknown state": 1}
    assert counts(operator, "node=ghost") == {"unknown node": 30}
    assert counts(operator, "state=in") == {}
    assert counts(operator, "first=2024-01-01&last=2024-01-02") == {}
    batch = Batch.objects.get(source__contains="two").pk
    assert counts(operator, f"batch={batch}") == {"unknown node": 1, "unreadable time": 1}
    for nonsense in ("state=nothing", "batch=9999999", "node=%00", "reason=%27%22"):
        assert operator.get(f"{PAGE}?{nonsense}").status_code == 200
    assert operator.get(f"{PAGE}?cluster=nowhere").status_code == 404


@pytest.mark.usefixtures("refused")
def test_a_reason_has_its_cure_its_batches_and_its_first_lines(operator: Client) -> None:
    page = text(operator, f"{PAGE}?reason=unreadable+time")
    assert "Write ISO 8601 with an offset" in page
    assert "one &lt;b&gt;.csv" in page
    assert FORMULA in page
    assert SCRIPT not in text(operator, f"{PAGE}?reason=unreadable+time&source=one")


@pytest.mark.usefixtures("refused")
def test_a_german_page_names_reasons_in_german_and_keeps_addresses_and_files(keeper: Client) -> None:
    german = Client(headers={"accept-language": "de"})
    german.force_login(User.objects.get(username="karla"))
    page = text(german, PAGE)
    assert '<option value="unknown node">unbekannter Knoten</option>' in page
    assert "Schreiben Sie ISO 8601" in page
    assert "ISO 8601 with an offset" not in page, "the parser's own cure, in English, as the example of a line"
    assert 'reason=unknown%20node">unbekannter Knoten</a>' in page
    batch = Batch.objects.get(source__contains="two").pk
    for address in ("/operations/", PAGE, REPLAY, f"/operations/batches/{batch}/"):
        shown = re.sub(r"<[^>]*>", " ", text(german, address))
        assert "unbekannter Knoten" in shown, address
        assert "unknown node" not in shown, address
    assert '<code lang="en">unknown node</code>' in text(german, f"{PAGE}?reason=unknown+node")
    listed = text(german, f"{LINES}?reason=unknown+node")
    assert "unknown node" in listed
    assert "unbekannter" not in listed
    german.post(f"{REPLAY}?reason=unknown+node&state=open", {"do": "replay"})
    noted = "noch einmal versucht: Grund: unbekannter Knoten, Zustand: noch nicht wieder versucht (2)"
    assert noted in text(german, REPLAY)
    assert "tried again: reason: unknown node, state: not tried again yet (2)" in text(keeper, REPLAY)


@pytest.mark.usefixtures("refused")
def test_a_reason_is_chosen_among_those_that_are_there_and_the_one_that_is_asked_for(operator: Client) -> None:
    def offered(query: str) -> list[str]:
        select = re.search(r'<select name="reason".*?</select>', text(operator, f"{PAGE}?{query}"), re.DOTALL)
        assert select
        return re.findall(r'<option value="([^"]*)"', select[0])

    assert offered("") == ["", "unknown node", "unknown state", "unreadable time", "zero watts"]
    assert offered("reason=zero+watts") == ["", "zero watts"]
    assert offered("reason=%22%3E%3Cb%3E") == ["", "&quot;&gt;&lt;b&gt;"]
    assert '<option value="zero watts" selected>' in text(operator, f"{PAGE}?reason=zero+watts")


@pytest.mark.usefixtures("refused")
def test_the_lines_of_a_filter_are_one_table_safe_in_a_spreadsheet(operator: Client) -> None:
    rows = list(csv.DictReader(StringIO(text(operator, f"{LINES}?reason=unreadable+time"))))
    assert [(row["line"], row["text"]) for row in rows] == [
        ("32", f"{SCRIPT},thin1,5"), ("3", f"'{FORMULA},thin1,5"),
    ]  # fmt: skip
    assert len(text(operator, LINES).splitlines()) == 1 + 31 + 2 + 1


@pytest.mark.usefixtures("refused")
def test_lines_of_jobs_are_for_those_who_may_see_every_job(operator: Client) -> None:
    for address in (PAGE, f"{PAGE}?reason=unknown+state", LINES, f"{LINES}?content=jobs", REPLAY):
        assert "mallory" not in text(operator, address)
    officer = Client()
    officer.force_login(user("ruth", "view_operations", "view_all_jobs"))
    assert "mallory" in text(officer, f"{LINES}?content=jobs")
    assert "mallory" in text(officer, f"{PAGE}?reason=unknown+state")


@pytest.mark.usefixtures("refused")
def test_replay_is_tried_first_then_asked_for_noted_and_done(keeper: Client, tmp_path: Path) -> None:
    query = "reason=unknown+node"
    page = text(keeper, f"{REPLAY}?{query}")
    assert "See what would go in" in page
    assert "Try them again now" not in page
    described = tmp_path / "ghost.csv"
    described.write_text("node,node_type,cpus\nghost,thin,8\n")
    world.run("load_nodes", described)
    tried = keeper.post(f"{REPLAY}?{query}", {"do": "try"})
    assert tried.context["total"] == {"went_in": 30, "moved": 0}
    assert Quarantine.objects.filter(replayed_by="karla").count() == 0
    asked = keeper.post(f"{REPLAY}?{query}", {"do": "replay"}, follow=True)
    assert asked.context["progress"].waiting == 2
    entry = LogEntry.objects.get(user__username="karla")
    assert "unknown node" in entry.change_message
    replay_due(timezone.now())
    after = keeper.get(f"{REPLAY}?{query}")
    assert (after.context["progress"].waiting, after.context["progress"].went_in) == (0, 30)
    assert counts(keeper, query) == {"unknown node": 1}
    assert counts(keeper, "state=in") == {"unknown node": 0}
    assert "all of it went in" in text(keeper, f"{PAGE}?state=in&{query}")
    assert Batch.objects.get(source__contains="one").refused == 2


@pytest.mark.usefixtures("refused")
def test_who_may_only_look_tries_nothing(operator: Client) -> None:
    assert "See what would go in" not in text(operator, REPLAY)
    for do in ("try", "replay"):
        assert operator.post(f"{REPLAY}?reason=zero+watts", {"do": do}).status_code == 404
    assert Quarantine.objects.exclude(replayed_by="").count() == 0


@pytest.mark.usefixtures("refused")
def test_nobody_else_finds_these_pages(client: Client) -> None:
    client.force_login(user("eve", "change_quarantine"))
    for address in (PAGE, REPLAY, LINES, "/operations/sources/"):
        assert client.get(address).status_code == 404
    assert client.post(REPLAY, {"do": "replay"}).status_code == 404
    assert Client().get(REPLAY).status_code == 302


@pytest.mark.usefixtures("refused")
def test_ten_queries_are_enough(keeper: Client) -> None:
    for address in (PAGE, f"{PAGE}?reason=unknown+node&cluster=alpha", REPLAY, "/operations/sources/"):
        assert queries(keeper, address) <= MOST, address
