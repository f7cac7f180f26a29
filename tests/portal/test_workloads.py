"""`/workloads/` and `/workloads/<name>/`: what they say, choose, and give away."""

from __future__ import annotations

import csv
import io
import json

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.conftest import People
from tests.portal.workload_world import crowd, ran

NAME = "org/model:v1@set+x"


def text(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200, address
    return " ".join(response.content.decode().replace("\u00a0", " ").split())


@pytest.fixture
def site(people: People, client: Client) -> Client:
    """cpu: slow and thrifty; gpu: fast, with idle GPUs; nine jobs each; some of another size."""
    for place in range(9):
        ran("alice", "cpu", 36e6 + 1e4 * place, runtime_s=7200.0, workload=NAME, work=100.0)
        ran(
            "bob", "gpu", 72e6 + 1e4 * place, runtime_s=3600.0, workload=NAME, work=100.0, gpus=1, gpu_held_s=3600.0,
            gpu_idle_j=18e6,
        )  # fmt: skip
    ran("bob", "gpu", 7.2e6, workload=NAME, state="FAILED")
    ran("bob", "gpu", 1e-3, workload=NAME, size="small", target="99", work=1.0, phase="inference")
    client.force_login(people.olga)
    return client


def test_the_page_says_what_was_measured(site: Client) -> None:
    page = text(site, f"/workloads/{NAME}/")
    for said in (
        f"<h1>{NAME} ",
        "On cpu a unit of work (epochs) drew 100 Wh (median of 9 jobs). Compared with that, on gpu 2.00 times as much.",
        "Ranked by the median of energy per unit of work",
        "By the estimate from runtime cpu would draw 2.00 times as much as gpu; metered it is the other way round: "
        "gpu drew 2.00 times as much for the same work.",
        "cpu takes 2.00 times as long as gpu, and yet draws less",
        "On gpu GPUs that were held and idle drew 24.9 % of the energy of these jobs. Without them a unit of work "
        "would come to 150 Wh instead of 200 Wh.",
        "Drawn by such jobs that did not complete: gpu 2.00 kWh.",
        "In training (no size declared · work in epochs) processors alone drew less",
        "For 100 epochs nothing is both faster and thriftier than gpu and cpu: it is a choice.",
        "Not among them: 1 that did not complete.",
        'Inference <span class="name">small · target 99 · work in epochs</span>',
        "whole node, at the wall (AC)",
    ):
        assert said in page, said


def test_links_choose_size_target_and_unit_and_keep_the_period(site: Client) -> None:
    page = text(site, f"/workloads/{NAME}/?period=all")
    assert "?size=small&amp;target=99&amp;unit=epochs" in page
    chosen = text(site, f"/workloads/{NAME}/?size=small&target=99&unit=epochs")
    assert "1.00 mJ" in chosen
    assert "On cpu" not in chosen
    year = text(site, f"/workloads/{NAME}/?size=small&target=99&unit=epochs&period=this-year")
    assert "There is nothing to compare here" in year
    assert "?size=small&amp;target=99&amp;unit=epochs&amp;period=last-year" in year


def test_all_sizes_together_are_in_order_and_not_ranked(site: Client) -> None:
    page = text(site, f"/workloads/{NAME}/?view=together")
    assert "All sizes together, work in epochs" in page
    assert page.index("1.00 mJ") < page.index("100 Wh") < page.index("200 Wh")
    assert "Rank" not in page


@pytest.mark.parametrize("query", ["?first=x&last=y", "?period=never", "?first=2025-01-01", "?view=x", "?size=%00"])
def test_what_makes_no_sense_counts_as_not_said(site: Client, query: str) -> None:
    assert site.get(f"/workloads/{NAME}/{query}").status_code == 200


def test_a_file_has_the_page_s_figures_in_base_units(site: Client) -> None:
    response = site.get("/workloads.csv", {"name": NAME})
    rows = list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))  # type: ignore[attr-defined]
    assert [(row["phase"], row["size"], row["node_type"], row["rank"]) for row in rows] == [
        ("training", "", "cpu", "1"), ("training", "", "gpu", "2"), ("inference", "small", "gpu", ""),
    ]  # fmt: skip
    cpu, gpu, single = rows
    assert float(cpu["energy_per_unit_median_j"]) == pytest.approx(3.604e5)
    assert float(gpu["idle_gpu_share"]) == pytest.approx(18e6 / 72.04e6)
    assert (float(gpu["failed_energy_j"]), gpu["meter_scope"]) == (7.2e6, "node_ac")
    assert (single["not_ranked_because"], single["energy_median_low_j"]) == ("one_type", "")


def test_the_interface_gives_the_same(site: Client) -> None:
    found = json.loads(site.get(f"/api/v1/workloads/{NAME}").content)
    training, inference = found["comparisons"]
    assert [row["node_type"] for row in training["node_types"]] == ["cpu", "gpu"]
    cpu = training["node_types"][0]
    assert cpu["energy_per_unit_j"]["median"] == pytest.approx(3.604e5)
    assert cpu["energy_per_unit_j"]["median_interval"][0] <= 3.604e5 <= cpu["energy_per_unit_j"]["median_interval"][1]
    assert {flip["guess"] for flip in training["flips"]} == {"estimate", "runtime"}
    assert [beside["verdict"] for beside in training["without_accelerators"]] == ["less"]
    assert [point["on_front"] for point in training["front"]["points"]] == [True, True]
    assert (inference["not_ranked_because"], inference["target"]) == ("one_type", "99")
    assert found["left_out"] == {"failed": 1, "unmeasured": 0, "several_node_types": 0, "excused": 0}
    assert site.get(f"/api/v1/workloads/{NAME}?first=2025-03-02&last=2025-03-01").status_code == 422
    chosen = json.loads(site.get(f"/api/v1/workloads/{NAME}?size=small").content)
    assert [one["size"] for one in chosen["comparisons"]] == ["small"]


@pytest.mark.parametrize("who", ["alice", "charlie", "viewer"])
def test_ten_queries_are_enough(site: Client, people: People, who: str) -> None:
    """Session, user and two of permissions are four of them."""
    viewer, _ = User.objects.get_or_create(username=who)
    if who == "viewer":
        viewer.user_permissions.add(Permission.objects.get(codename="view_all_jobs"))
    crowd("cpu", 1e6, workload=NAME)
    site.force_login(viewer)
    for address in ("/workloads/", f"/workloads/{NAME}/", f"/workloads/{NAME}/?period=this-year"):
        with CaptureQueriesContext(connection) as seen:
            assert site.get(address).status_code == 200
        assert len(seen.captured_queries) <= 10, (address, len(seen.captured_queries))


def test_the_list_has_own_workloads_and_the_operator_s_all(site: Client, people: People) -> None:
    ran("alice", "cpu", 3.6e6, workload="other", unit="cases", phase="inference")
    page = text(site, "/workloads/")
    assert page.index(NAME) < page.index(">other<"), "most energy first"
    assert "Everybody&#x27;s" in page or "Everybody's" in page
    site.force_login(people.alice)
    mine = text(site, "/workloads/")
    assert ">other<" in mine
    assert "1.00" in mine
    assert "inference" in mine
    assert "cases" in mine
    site.force_login(people.charlie)
    assert "No job that ended has a workload yet." in text(site, "/workloads/")
