"""`/operations/imports/`: who may give a file, what the pages say of it, and that no nonsense is a fault."""

from __future__ import annotations

import gzip
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import Client, override_settings

from measurements.models import Batch, Cluster, Intake, SealedDay
from measurements.services import giving
from measurements.services.giving import Upload
from measurements.services.intake import take_next, var
from measurements.services.trying import forget_undecided, try_next
from tests.conftest import People
from tests.imports_world import JOBS, NODES, POWER, described, now, tried

NEW = "/operations/imports/new/"
LIST = "/operations/imports/"
pytestmark = pytest.mark.django_db
Sent = Callable[..., Any]


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return described(tmp_path)


@pytest.fixture
def olga(client: Client, people: People, cluster: Cluster) -> Client:
    """The operator, logged in."""
    client.force_login(people.olga)
    return client


@pytest.fixture
def bare(people: People, cluster: Cluster) -> Client:
    """May give files, and may not see every job."""
    rights = ("view_operations", "add_intake", "change_intake")
    people.charlie.user_permissions.add(*Permission.objects.filter(codename__in=rights))
    client = Client()
    client.force_login(User.objects.get(pk=people.charlie.pk))
    return client


def send(client: Client, *texts: str | bytes, names: tuple[str, ...] = ("log.csv",), **said: Any) -> Any:
    """What the form of files sends."""
    files = [
        SimpleUploadedFile(name, text.encode() if isinstance(text, str) else text)
        for name, text in zip(names, texts, strict=False)
    ]
    return client.post(NEW, {"cluster": "c", "files": files, "all_here": "1"} | said)


def words(answer: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def do(client: Client, row: Intake, action: str, **said: Any) -> Any:
    said = {"action": action, "version": row.preview.get("version", "")} | said
    return client.post(f"{LIST}{row.pk}/do/", said, follow=True)


# --- The way ------------------------------------------------------------------------------------


def test_a_file_is_given_tried_and_taken_and_each_step_noted(olga: Client, people: People) -> None:
    answer = send(olga, POWER)
    row = Intake.objects.get()
    assert answer.headers["Location"] == f"{LIST}{row.pk}/"
    assert (row.state, row.given_by, row.size_bytes) == ("trying", "olga", len(POWER))
    assert "It waits for its turn" in words(olga.get(f"{LIST}{row.pk}/"))
    row = tried()
    shown = words(olga.get(f"{LIST}{row.pk}/"))
    for said in ("CSV table: one reading a line; 2 nodes, power in watts.", "known in c: 1; unknown: 1",
                 "Would be stored 3", "unknown node", "line 5", ",n3,70 W",
                 "Sun 1 Mar 2026 (UTC) are made anew", "nothing was assumed", "100", "120"):  # fmt: skip
        assert said in shown, said
    assert "waits to be taken" in words(do(olga, row, "take"))
    assert "meanwhile" in words(do(olga, row, "take")), "a second click is told"
    assert take_next(now)
    batch = Batch.objects.get()
    shown = olga.get(f"{LIST}{row.pk}/").content.decode()
    assert f"/operations/batches/{batch.pk}/" in shown
    assert "/operations/coverage/?first=2026-03-01&amp;last=2026-03-01&amp;cluster=c" in shown
    notes = LogEntry.objects.order_by("pk").values_list("user__username", "change_message")
    assert list(notes) == [("olga", "given"), ("olga", "to be taken")]


def test_several_files_are_given_at_once_each_recognised_by_itself(olga: Client) -> None:
    answer = send(
        olga, NODES, POWER, gzip.compress(JOBS.encode()), names=("n.csv", "p.csv", "j.csv.gz"), node="n1", interval="60"
    )
    assert answer.headers["Location"] == LIST
    rows = Intake.objects.order_by("pk")
    assert [(row.content, row.options) for row in rows] == [
        ("nodes", {}), ("power", {"node": "n1", "interval": 60.0}), ("jobs", {}),
    ]  # fmt: skip
    assert words(olga.get(LIST)).count("to be tried") == 3


def test_it_is_tried_otherwise_until_it_can_be_used(olga: Client) -> None:
    send(olga, POWER.replace("Z", ""))
    row = tried()
    shown = olga.get(f"{LIST}{row.pk}/")
    assert "none was said" in words(shown)
    assert 'value="take"' not in shown.content.decode()
    assert "No such time zone" in words(do(olga, row, "otherwise", time_zone="Europe/Karlsruhe"))
    do(olga, row, "otherwise", time_zone="Europe/Berlin", interval="60", content="power")
    row = tried(row)
    assert row.options == {"time_zone": "Europe/Berlin", "interval": 60.0}
    shown = olga.get(f"{LIST}{row.pk}/")
    assert "read as Europe/Berlin because that was said" in words(shown)
    assert 'value="take"' in shown.content.decode()


def test_a_table_of_odd_columns_is_read_once_they_are_renamed(olga: Client) -> None:
    send(olga, "Zeit,Leistung\n2026-03-01T12:00:00Z,100\n2026-03-01T12:01:00Z,101\n")
    row = tried()
    assert row.preview["fault"]
    assert "say below what it holds" in words(olga.get(f"{LIST}{row.pk}/"))
    do(olga, row, "otherwise", content="power", format="csv", rename="Zeit=time\nLeistung=n1")
    assert tried(row).preview["stored"] == 2


def test_a_sensor_that_nobody_knows_is_read_once_it_is_renamed(olga: Client) -> None:
    send(olga, "PDB Power        | 220 Watts         | ok\n", names=("n1-2026-03-01.txt",), at="2026-03-01T12:00:00Z")
    row = tried()
    shown = olga.get(f"{LIST}{row.pk}/")
    assert '“Columns renamed” "PDB Power=node"' in words(shown).replace("&quot;", '"')
    assert "rename" in re.findall(r'data-option="(\w+)"', shown.content.decode())
    do(olga, row, "otherwise", content="power", at="2026-03-01T12:00:00Z", node="n1", rename="PDB Power=node")
    assert tried(row).preview["stored"] == 1


def test_what_a_command_would_ask_for_is_asked_for_in_a_field(olga: Client) -> None:
    send(olga, "timestamp, index, power.draw [W]\n2026/03/01 12:00:00.000, 0, 61.10 W\n")
    row = tried()
    shown = olga.get(f"{LIST}{row.pk}/")
    assert "name it at “Node”" in words(shown)
    assert "What it lacks can be said below: Node , Time zone" in words(shown)
    assert "power: CSV of nvidia-smi." in words(shown)
    fields = set(re.findall(r'data-option="(\w+)"', shown.content.decode()))
    assert fields == {"content", "format", "time_zone", "node", "channel", "at", "interval", "max_gap"}
    do(olga, row, "otherwise", node="n1", time_zone="UTC", content="power")
    assert tried(row).preview["channels"][0]["name"] == "gpu0"


def test_a_withdrawn_file_is_gone(olga: Client) -> None:
    send(olga, POWER)
    row = tried()
    assert "It was withdrawn" in words(do(olga, row, "withdraw"))
    assert not (var() / row.path).exists()
    assert LogEntry.objects.latest("pk").change_message == "withdrawn"


def test_nodes_that_are_loaded_meanwhile_are_said_to_make_it_old(olga: Client, tmp_path: Path) -> None:
    send(olga, POWER)
    row = tried()
    assert "Nodes were loaded since" not in words(olga.get(f"{LIST}{row.pk}/"))
    (tmp_path / "more.csv").write_text("node,node_type\nn3,a\n")
    call_command("load_nodes", tmp_path / "more.csv", cluster="c")
    assert "Nodes were loaded since" in words(olga.get(f"{LIST}{row.pk}/"))
    do(olga, row, "again")
    assert tried(row).preview["stored"] == 4


def test_sealed_days_are_said_before_anything_is_taken(olga: Client, cluster: Cluster) -> None:
    SealedDay.objects.create(cluster=cluster, day="2026-03-01", sealed_at=now())
    send(olga, POWER)
    row = tried()
    assert row.preview["pending"] == 3
    assert "is sealed and stays as it is" in words(olga.get(f"{LIST}{row.pk}/"))


def test_a_new_cluster_is_made_for_its_list_of_nodes(olga: Client) -> None:
    assert send(olga, NODES, new_cluster="fresh", names=("nodes.csv",)).status_code == 302
    assert Intake.objects.get().cluster.name == "fresh"
    assert "can&#x27;t name a cluster" in send(olga, NODES, new_cluster="../x").content.decode()
    assert Cluster.objects.count() == 2


# --- Who ----------------------------------------------------------------------------------------


def test_who_may_only_look_gives_nothing_and_decides_nothing(olga: Client, people: People) -> None:
    send(olga, POWER)
    row = tried()
    people.charlie.user_permissions.add(Permission.objects.get(codename="view_operations"))
    onlooker = Client()
    onlooker.force_login(User.objects.get(pk=people.charlie.pk))
    shown = onlooker.get(f"{LIST}{row.pk}/")
    assert shown.status_code == onlooker.get(LIST).status_code == 200
    assert "<button" not in shown.content.decode().partition("<main")[2]
    assert "Give it a file" not in words(onlooker.get(LIST)) + words(onlooker.get("/operations/"))
    assert onlooker.get(NEW).status_code == send(onlooker, POWER).status_code == 404
    for action in ("take", "withdraw", "again", "otherwise"):
        assert do(onlooker, row, action).status_code == 404
    assert Intake.objects.get().state == "tried"
    assert not list((var() / "inbox-spool").glob(".*")), "nothing of it was even kept"


def test_for_users_and_strangers_there_is_no_such_page(client: Client, people: People, olga: Client) -> None:
    send(olga, POWER)
    row = Intake.objects.get()
    addresses = (LIST, NEW, f"{LIST}{row.pk}/", f"{LIST}{row.pk}/do/")
    assert [Client().get(address).status_code for address in addresses[:3]] == [302, 302, 302]
    user = Client()
    user.force_login(people.alice)
    assert {user.get(address).status_code for address in addresses[:3]} == {404}
    assert user.post(addresses[3]).status_code == 404


def test_lines_of_job_records_are_for_those_who_may_see_every_job(olga: Client, bare: Client) -> None:
    send(olga, JOBS)
    row = tried()
    assert "SECRETNAME" in olga.get(f"{LIST}{row.pk}/").content.decode()
    shown = bare.get(f"{LIST}{row.pk}/")
    assert "SECRETNAME" not in shown.content.decode()
    assert "end before start" in words(shown)
    assert "only those who may see" in words(shown)


def test_files_that_were_not_given_here_are_not_shown_here(olga: Client, cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(POWER)
    call_command("ingest_power", tmp_path / "p.csv", cluster="c", queue=True)
    row = Intake.objects.get()
    assert olga.get(f"{LIST}{row.pk}/").status_code == 404
    assert "p.csv" not in words(olga.get(LIST))


def test_a_forged_form_is_refused_and_leaves_nothing(people: People, cluster: Cluster) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(people.olga)
    assert client.get(NEW).status_code == 200  # its cookie is there
    assert send(client, POWER).status_code == 403
    assert not Intake.objects.exists()
    assert not spool()


# --- Uploads that can't be kept -------------------------------------------------------------------


def spool() -> list[Path]:
    place = var() / "inbox-spool"
    return list(place.iterdir()) if place.exists() else []


@override_settings(IMPORT_MIB=1)
@pytest.mark.parametrize("sizes", [(3 << 20,), (700_000, 700_000)])
def test_what_is_too_large_is_said_and_not_kept(olga: Client, sizes: tuple[int, ...]) -> None:
    answer = send(olga, *(b"x" * size for size in sizes), names=("a.csv", "b.csv"))
    assert "larger than 1 MiB" in words(answer)
    assert not spool()


def test_a_full_disk_is_said_and_nothing_kept(olga: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Upload, "write", full)
        assert "no room for it" in words(send(olga, POWER))
    with monkeypatch.context() as patched:
        patched.setattr(giving, "RESERVE_BYTES", shutil.disk_usage(var()).free * 2)
        assert "no room for it" in words(send(olga, POWER))
    assert not spool()
    assert not Intake.objects.exists()


def test_an_upload_that_broke_off_is_not_taken_for_a_whole_one(olga: Client) -> None:
    body = b"\r\n".join([
        b"--x", b'Content-Disposition: form-data; name="cluster"', b"", b"c",
        b"--x", b'Content-Disposition: form-data; name="files"; filename="log.csv"', b"", POWER[:80].encode(),
    ])  # fmt: skip
    answer = olga.generic("POST", NEW, body, "multipart/form-data; boundary=x")
    assert answer.status_code == 200
    assert "broke off" in words(answer)
    assert not spool()
    assert not Intake.objects.exists()


def test_no_file_at_all_is_said(olga: Client) -> None:
    assert "Choose a file" in words(olga.post(NEW, {"cluster": "c", "all_here": "1"}))
    assert "Say whose the files are" in words(olga.post(NEW, {"all_here": "1"}))


NONSENSE: list[bytes] = [
    b"", b"\n\n\n", b"\x00" * 100, b"\xff\xfe" + "timestamp".encode("utf-16-le"), b"{", b"[[[[", b'{"jobs": [{}]}',
    b'{"nodes": 7}', b"<nvidia_smi_log>", b"\x1f\x8b broken", gzip.compress(b"timestamp,node,watts\n1")[:-4],
    b"timestamp,node,watts\n" + b"," * 5000, b"NodeName=", b"node,start,end,state\n,,,\n", b"job_id,user\n",
    b"node,node_type\nn[1-999999999],a\n", b'm{a="b"} 1\n', b"a b=1 x\n", b"JobID|State\n1|x\n", "💥".encode() * 1000,
    b'{"metric": ' * 2000, b'"' * 5000, b"timestamp;node;watts\n9e999;n1;nan\n", b"timestamp,node,joules\n1,n1,-1\n",
]  # fmt: skip


@pytest.mark.parametrize("content", ["", "power", "jobs", "nodes", "states"])
def test_no_nonsense_is_a_fault(olga: Client, content: str) -> None:
    for text in NONSENSE:
        assert send(olga, text, names=("x.csv",), content=content).status_code in (200, 302), text[:40]
    while try_next(now):
        pass
    for row in Intake.objects.all():
        assert row.state == "tried"
        assert "unexpected error" not in row.error, (row.error, row.content)
        assert olga.get(f"{LIST}{row.pk}/").status_code == 200
    assert olga.get(LIST).status_code == 200


def test_addresses_and_forms_of_nonsense_are_no_fault(olga: Client) -> None:
    send(olga, POWER)
    row = tried()
    for address in (f"{LIST}999999/", f"{LIST}?before=x", f"{LIST}{10**30}/"):
        assert olga.get(address).status_code == 404
    assert do(olga, row, "explode").status_code == 404
    nonsense: list[dict[str, str]] = [
        {"version": "x" * 5000}, {"interval": "nan"}, {"rename": "=" * 90}, {"content": "x"}, {"format": "exe"},
        {"node": "\x00"}, {"interval": "-1"}, {"rename": "a\nb=c"}, {"time_zone": "../x"}, {"max_gap": "1e999"},
    ]  # fmt: skip
    for said in nonsense:
        assert do(olga, Intake.objects.get(), "otherwise", **said).status_code == 200
    assert Intake.objects.get().state == "tried"


# --- By path ------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "logs"
    place.mkdir()
    with override_settings(IMPORT_FOLDERS=(place,)):
        yield place


def test_a_path_is_only_asked_for_where_one_may_be_read(olga: Client) -> None:
    assert 'name="path"' not in olga.get(NEW).content.decode()
    assert "Choose a file" in words(olga.post(NEW, {"cluster": "c", "all_here": "1", "path": "/etc/hostname"}))


def test_a_path_below_the_folders_is_given_and_no_other(olga: Client, folder: Path) -> None:
    (folder / "day.csv").write_text(POWER)
    assert str(folder) in olga.get(NEW).content.decode()
    for wrong in ("/etc/hostname", f"{folder}/../nodes.csv", "day.csv", "/nowhere"):
        answer = olga.post(NEW, {"cluster": "c", "all_here": "1", "path": wrong})
        assert "none of the folders" in words(answer)
    assert "no such file" in words(olga.post(NEW, {"cluster": "c", "all_here": "1", "path": f"{folder}/x.csv"}))
    answer = olga.post(NEW, {"cluster": "c", "all_here": "1", "path": str(folder)})
    assert answer.status_code == 302
    assert tried().preview["stored"] == 3


# --- The list -----------------------------------------------------------------------------------


def test_the_list_goes_on_and_takes_few_queries(
    olga: Client, cluster: Cluster, django_assert_max_num_queries: Any
) -> None:
    Intake.objects.bulk_create(
        Intake(cluster=cluster, content="power", source=f"log{n}", path=f"x{n}", state="done", given_by="olga",
               queued_at=now())
        for n in range(70)
    )  # fmt: skip
    with django_assert_max_num_queries(10):
        first = olga.get(LIST)
    link = first.content.decode().partition("?before=")[2].partition('"')[0]
    second = olga.get(f"{LIST}?before={link}")
    shown = [set(re.findall(r">(log\d+)<", answer.content.decode())) for answer in (first, second)]
    assert [len(some) for some in shown] == [30, 30]
    assert not shown[0] & shown[1]


def test_a_files_page_takes_few_queries(olga: Client, django_assert_max_num_queries: Any) -> None:
    send(olga, POWER)
    row = tried()
    with django_assert_max_num_queries(10):
        olga.get(f"{LIST}{row.pk}/")


def test_what_was_withdrawn_by_itself_says_so_and_when_stands_on_the_page(olga: Client) -> None:
    send(olga, POWER)
    row = tried()
    assert "If nobody decides it is withdrawn by itself on" in words(olga.get(f"{LIST}{row.pk}/"))
    assert "What nobody decides on for 7 days is withdrawn by itself" in words(olga.get(LIST))
    assert forget_undecided(now() + timedelta(days=8)) == 1
    assert "Nobody decided on it for so long" in words(olga.get(f"{LIST}{row.pk}/"))


def test_how_far_a_file_is_stands_on_its_page_and_in_the_list(olga: Client) -> None:
    send(olga, POWER)
    said = {"rows": 12_345, "begun_at": (now() - timedelta(seconds=10)).isoformat()}
    Intake.objects.update(claimed_by="somebody", size_bytes=4 << 20, done_bytes=1 << 20, report=said)
    for address in (LIST, f"{LIST}{Intake.objects.get().pk}/"):
        answer = olga.get(address)
        shown = words(answer).replace("\u00a0", " ")
        assert "1.00 MiB of 4.00 MiB, 12,345 rows, " in shown
        assert 'class="fill" width="25.00"' in answer.content.decode()


def test_what_goes_on_is_renewed_by_itself_and_without_scripts_by_a_link(olga: Client) -> None:
    send(olga, POWER)
    row = Intake.objects.get()
    for address in (LIST, f"{LIST}{row.pk}/"):
        assert "data-refresh" in olga.get(address).content.decode()
        assert "Reload this page" in words(olga.get(address))
    tried()
    for address in (LIST, f"{LIST}{row.pk}/"):
        assert "data-refresh" not in olga.get(address).content.decode()
