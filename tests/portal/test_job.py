"""`/jobs/<cluster>/<job>/`: what one job drew, and how that is known."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from measurements.models import Channel, ChannelPeriod, DirtyJob, Job, MeterPeriod, Node, NodeConfig, PolicyPeriod, Run
from measurements.selectors.job import Unmeasured
from tests.conftest import People
from tests.portal.world import DAY_S, HOUR, TRAIN_J, WIDE_J

WIDE = "/jobs/alpha/123/"
TRAIN = "/jobs/alpha/36_1/"


def text(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return response.content.decode()


def energy(job: str) -> dict[str, Any]:
    out = StringIO()
    call_command("energy", "job", "alpha", job, "--json", stdout=out)
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


# --- Who may see it -----------------------------------------------------------------------------


@pytest.mark.parametrize(("who", "status"), [("alice", 200), ("bob", 404), ("charlie", 404), ("olga", 200)])
def test_a_job_is_seen_by_its_owner_and_by_operators(
    site: None, people: People, client: Client, who: str, status: int
) -> None:
    client.force_login(getattr(people, who))
    assert client.get(WIDE).status_code == status


def test_a_stranger_cannot_tell_that_a_job_exists(site: None, people: People, client: Client) -> None:
    client.force_login(people.charlie)
    pages = [client.get(url) for url in (WIDE, "/jobs/alpha/9999/", "/jobs/beta/123/")]
    tokens = [page.content.decode().split('csrfmiddlewaretoken" value="')[1].split('"')[0] for page in pages]
    bare = []
    for page, token, path in zip(pages, tokens, (WIDE, "/jobs/alpha/9999/", "/jobs/beta/123/"), strict=True):
        assert page.status_code == 404
        bare.append(page.content.decode().replace(token, "").replace(path, "").split("<main")[1])
    assert bare[0] == bare[1] == bare[2]


def test_anonymous_people_log_in_first(site: None, client: Client) -> None:
    assert client.get(WIDE).headers["Location"] == f"/login/?next={WIDE}"


@pytest.mark.parametrize("name", ["123", "36_1", "93+1", "s0000000000001"])
def test_a_job_has_many_names(site: None, alice: Client, name: str) -> None:
    Run.objects.filter(job__job_id="123").update(sluid="s0000000000001")
    assert alice.get(f"/jobs/alpha/{name}/").status_code == 200


def test_an_id_used_again_shows_the_newest_and_leads_to_the_others(site: None, alice: Client) -> None:
    old = Job.objects.get(job_id="123")
    assert old.start_ms is not None
    new = Job.objects.create(
        cluster=old.cluster,
        job_id="123",
        username="alice",
        state="COMPLETED",
        start_ms=old.start_ms + 1000,
        end_ms=None,
    )
    page = alice.get(WIDE)
    assert page.context["job"].pk == new.pk
    assert f'href="?start={old.start_ms}"' in page.content.decode()
    assert alice.get(WIDE, {"start": old.start_ms}).context["job"].pk == old.pk
    assert alice.get(WIDE, {"start": 1}).status_code == 404


# --- Figures ------------------------------------------------------------------------------------


def test_the_figures_are_those_of_the_command(site: None, alice: Client) -> None:
    for job in ("123", "36_1"):
        said, shown = energy(job), alice.get(f"/jobs/alpha/{job}/").context["report"].figures
        assert (shown.energy_j, shown.gpu_energy_j) == (said["energy_j"], said["gpu_energy_j"])
        assert (shown.coverage, shown.density, shown.quality) == (said["coverage"], said["density"], said["quality"])


def test_a_partly_measured_job_says_so_everywhere(site: None, alice: Client) -> None:
    report = alice.get(WIDE).context["report"]
    assert report.figures.energy_j == pytest.approx(WIDE_J, rel=1e-9)
    assert report.figures.covered_s == 7200 - 19 * 60
    assert report.mean_w == pytest.approx(WIDE_J / 6060 * 2)  # two nodes
    page = text(alice, WIDE)
    assert "Measured with gaps" in page
    assert "1\u00a0h 41\u00a0min of 2\u00a0h on its nodes were measured" in page
    assert "101 samples of 120 expected" in page


def test_the_estimate_from_runtime_stands_beside_the_metered_figure(site: None, alice: Client) -> None:
    report = alice.get(WIDE).context["report"]
    assert report.estimate.energy_j == 2 * 300 * HOUR
    assert report.estimate.covered_j == 300 * 6060
    assert report.ratio == pytest.approx(WIDE_J / (300 * 6060))
    page = text(alice, WIDE)
    assert "The job drew 46.8\u00a0% less than runtime alone says. Compared is the measured time only." in page
    assert "Energy can't be read off the runtime" in page


@pytest.mark.parametrize(
    ("rated_w", "words"),
    [(100, "59.4\u00a0% more"), (130, "22.6\u00a0% more"), (159.4, "is close"), (60, "drew 2.66 times")],
)
def test_the_comparison_is_said_in_words(site: None, alice: Client, rated_w: float, words: str) -> None:
    NodeConfig.objects.filter(node__name__startswith="thin").update(rated_w=rated_w)
    assert words in text(alice, WIDE)


def test_a_missing_estimate_says_why_and_how_to_supply_it(site: None, alice: Client) -> None:
    page = text(alice, TRAIN)
    assert "the rated power of mixed1 is not known" in page
    assert "rated_w" in page


def test_a_shared_node_is_explained(site: None, alice: Client) -> None:
    report = alice.get(TRAIN).context["report"]
    assert report.figures.energy_j == pytest.approx(TRAIN_J, rel=1e-9)
    assert report.figures.gpu_energy_j == pytest.approx(150 * HOUR, rel=1e-9)
    page = text(alice, TRAIN)
    assert "split by cores held" in page
    assert "The curve is of whole nodes, other jobs on them included" in page
    PolicyPeriod.objects.create(cluster=report.job.cluster, policy="hybrid")
    assert "what is above it by CPU time" in text(alice, TRAIN)
    assert "split by cores held" not in text(alice, WIDE)


@pytest.mark.parametrize(
    ("job", "reason", "words"),
    [
        ("93+1", Unmeasured.NO_METER, "None of its nodes has a power meter"),
        ("200", Unmeasured.NO_TIME, "it took no time"),
        ("201", Unmeasured.UNKNOWN_NODES, "None of its nodes is known here"),
        ("202", Unmeasured.NOT_STARTED, "The job has not started"),
    ],
)
def test_what_was_not_measured_is_no_zero(site: None, alice: Client, job: str, reason: Unmeasured, words: str) -> None:
    url = f"/jobs/alpha/{job}/"
    report = alice.get(url).context["report"]
    assert report.figures.energy_j is None
    assert report.unmeasured is reason
    page = text(alice, url)
    assert '<p class="figure none">no measurement</p>' in page
    assert words in page
    assert ">0</span>" not in page
    assert "canvas" not in page


def test_a_silent_meter_and_a_job_not_yet_booked_are_other_reasons(site: None, alice: Client) -> None:
    node = Node.objects.get(name="dark1")
    channel = Channel.objects.create(node=node, name="node", kind="gauge")
    MeterPeriod.objects.create(node=node).channels.set([channel])
    assert alice.get("/jobs/alpha/93+1/").context["report"].unmeasured is Unmeasured.NO_SAMPLES
    DirtyJob.objects.create(job=Job.objects.get(job_id="93+1"), version=1)
    assert alice.get("/jobs/alpha/93+1/").context["report"].unmeasured is Unmeasured.NOT_BOOKED
    DirtyJob.objects.create(job=Job.objects.get(job_id="123"), version=1)
    assert "New data of this job are being booked" in text(alice, WIDE)


def test_the_estimate_of_an_unmeasured_job_is_named_an_estimate(site: None, alice: Client) -> None:
    page = text(alice, "/jobs/alpha/93+1/")
    assert "Estimated from rated power: <strong>600\u00a0Wh</strong>" in page


def test_nodes_stand_one_by_one(site: None, alice: Client) -> None:
    nodes = alice.get(WIDE).context["report"].nodes
    assert [(n.node, n.figures.energy_j) for n in nodes] == [
        ("thin1", pytest.approx(100 * (HOUR - 19 * 60))),
        ("thin2", pytest.approx(200 * HOUR)),
    ]
    assert [n.figures.mean_node_w for n in nodes] == pytest.approx([100, 200])


# --- Meter --------------------------------------------------------------------------------------


def meter(node: str, *names: str, since_s: int | None = None) -> MeterPeriod:
    """A new meter of a node from an instant on."""
    host = Node.objects.get(name=node)
    row, _ = MeterPeriod.objects.get_or_create(node=host, valid_from_ms=1000 * since_s if since_s else 0)
    row.channels.set([Channel.objects.get_or_create(node=host, name=n, kind="gauge")[0] for n in names])
    return row


@pytest.mark.parametrize(
    ("channels", "said"),
    [
        (["node"], "node: the whole node with its GPUs, at the wall (AC)"),
        (["cpu0", "dram0"], "cpu0 + dram0: processor packages and memory only"),
        (["cpu0", "cpu1", "dram0", "dram1", "gpu0"], "cpu + dram + gpu: processor packages, memory and GPUs only"),
        (["fan"], "fan: fan only"),
    ],
)
def test_what_the_meter_covers(site: None, alice: Client, channels: list[str], said: str) -> None:
    meter("mixed1", *channels)
    assert f"<li>{said}</li>" in text(alice, TRAIN)


def test_what_is_declared_of_a_channel_is_said(site: None, alice: Client) -> None:
    channel = Channel.objects.get(node__name="mixed1", name="node")
    ChannelPeriod.objects.create(channel=channel, source="ipmi_dcmi", covers_gpus=False, dc=True)
    assert "node: the node without its GPUs, behind the power supply (DC), read by IPMI DCMI" in text(alice, TRAIN)


def test_a_meter_that_changes_under_a_job_is_told_with_its_time(site: None, alice: Client) -> None:
    meter("thin1", "cpu0", since_s=DAY_S + HOUR + 1800)
    page = text(alice, WIDE)
    assert "(since 10 Mar 2025, 01:30:00; thin1)" in page
    assert 'the whole node, at the wall (AC) <span class="fine">(thin[1-2])' in page


def test_a_meter_that_changes_after_a_job_is_not_told(site: None, alice: Client) -> None:
    meter("thin1", "cpu0", since_s=DAY_S + 2 * HOUR)
    (told,) = alice.get(WIDE).context["report"].meters
    assert (told.nodes, told.since) == ("thin[1-2]", None)


# --- How ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("url", "count"), [(WIDE, 40), (TRAIN, 43)])
def test_the_number_of_queries_is_that_of_any_job(
    site: None, alice: Client, url: str, count: int, django_assert_num_queries: Any
) -> None:
    alice.get(url)
    # session, user, cluster, ids of the name, permissions of the user and of their groups, the job; allocations,
    # descriptions, ledger rows; runs and their allocations; what waits to be booked; meters and their channels, what is
    # declared of them, descriptions; policy. Of the curve: allocations, meters and their channels, what is declared,
    # descriptions, nodes of the channels, segments, channels of parts. Idle GPUs: allocations, descriptions (and
    # channels). Company: allocations, those of others, descriptions (and names that may be seen). Tags: rules,
    # what the viewer's own jobs count as
    with django_assert_num_queries(count):
        alice.get(url)


def test_names_of_jobs_are_text(site: None, people: People, client: Client) -> None:
    client.force_login(people.bob)
    page = text(client, "/jobs/alpha/300/")
    assert "<b>own" not in page
    assert "&lt;b&gt;own&lt;/b&gt;" in page


def test_in_german(site: None, alice: Client) -> None:
    alice.post("/language/setlang/", {"language": "de", "next": WIDE})
    page = text(alice, WIDE)
    assert "Der Job brauchte 46,8\u00a0% weniger, als die Laufzeit allein sagt." in page
    assert "lückenhaft" in page
    assert "node: der ganze Knoten, an der Steckdose (AC)" in page
