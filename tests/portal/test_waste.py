"""`/waste/`: what is unused and what to do about it, put away and brought back; each person their own."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from measurements.domain.advice_kinds import Advice, Directive, Kind, Thresholds, Why
from measurements.models import Dismissal, Job, JobEnergy, Run
from measurements.selectors.waste import site_thresholds
from measurements.services import dismissals
from measurements.services.dismissals import dismiss
from portal import wording_waste
from portal.waste_page import job_advice
from tests.conftest import People
from tests.portal.test_jobs import made
from tests.portal.world import PERIOD, TRAIN_J, WIDE_J

URL = f"/waste/?{PERIOD}"
LINES = f"/waste/lines/?{PERIOD}"


def text_of(client: Client, url: str = URL) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return re.sub(r"[ \n]+", " ", unescape(re.sub(r"<[^>]+>", " ", response.content.decode())))


def failing(*ids: str) -> None:
    """The jobs of the world that came to nothing after all."""
    Job.objects.filter(job_id__in=ids).update(state="FAILED")


def fields(page: str, do: str = "dismiss") -> dict[str, str]:
    """What the first form of a kind sends."""
    form = next(part for part in page.split('<form method="post"')[1:] if f'value="{do}"' in part)
    found = dict(re.findall(r'name="(advice|subject)" value="([^"]*)"', form))
    return {name: unescape(value) for name, value in found.items()} | {"do": do}


def test_a_line_says_what_happened_what_to_do_and_by_which_jobs(site: None, people: People, client: Client) -> None:
    failing("123")
    client.force_login(people.alice)
    page, said = client.get(URL).content.decode(), text_of(client)
    assert "1 job failed; it drew 268\u00a0Wh." in said
    assert '<code data-copy="Copy" data-copied="Copied">sbatch --time=01:15:00 job.sh</code>' in page
    assert "Nothing is promised: none of them began after one like it had failed." in said
    assert re.search(r'href="/jobs/alpha/123/\?start=\d+">123</a>', page)
    assert "unused, 49.3\u00a0% of what your jobs drew: all of it by jobs that came to nothing." in said


def test_the_total_is_the_tile_of_my_energy(site: None, people: People, client: Client) -> None:
    failing("123", "36_1")
    client.force_login(people.alice)
    assert client.get(URL).context["waste"].advised.lost_j == pytest.approx(WIDE_J + TRAIN_J, rel=1e-9)


def test_nothing_stands_out_no_jobs_not_measured_and_still_running_are_four_things(
    site: None, people: People, client: Client
) -> None:
    client.force_login(people.alice)
    nothing = text_of(client)
    assert "Nothing stands out in this period." in nothing
    assert "No job came to nothing, and no GPU was held idle." in nothing
    assert "2 jobs of the period were not measured: they are in no figure here." in nothing
    none = text_of(client, "/waste/?first=2025-03-01&last=2025-03-02")
    assert "None of your jobs ran in this period, as far as this site knows." in none
    assert "has not begun" in text_of(client, "/waste/?first=2099-01-01&last=2099-01-02")
    JobEnergy.objects.filter(job__username="alice").update(covered_us=0, energy_j=0)
    unmeasured = text_of(client)
    assert "Your jobs of this period were not measured" in unmeasured
    assert "Nothing stands out" not in unmeasured
    Job.objects.filter(username="alice").exclude(job_id="36_1").delete()
    JobEnergy.objects.update(covered_us=1)
    Job.objects.filter(username="alice").update(end_ms=None, state="RUNNING")
    running = text_of(client)
    assert "Your jobs of this period are still running: there is nothing to say yet." in running
    assert "1 job is still running: of it only idle GPUs count." in running


def test_everybody_sees_their_own_lines_only(site: None, people: People, client: Client) -> None:
    failing("300")
    for who, seen in ((people.alice, False), (people.bob, True), (people.olga, False)):
        client.force_login(who)
        for url in (URL, LINES):
            assert ("failed; it drew" in text_of(client, url)) is seen


def test_a_line_is_put_away_for_its_reader_only_and_comes_back(site: None, people: People, client: Client) -> None:
    failing("123", "300")
    client.force_login(people.alice)
    sent = fields(client.get(URL).content.decode())
    assert sent == {"advice": "failed", "subject": "alpha/wide", "do": "dismiss"}
    answer = client.post(URL, sent)
    assert (answer.status_code, answer["Location"]) == (302, URL)
    client.post(URL, sent)  # twice changes nothing
    assert list(Dismissal.objects.values_list("username", "advice", "subject")) == [("alice", "failed", "alpha/wide")]
    page = client.get(URL).content.decode()
    assert "You have put away all there was to say of this period." in text_of(client)
    assert "Failed: wide" in text_of(client)
    assert "failed; it drew" not in text_of(client, LINES)
    client.force_login(people.bob)
    assert "failed; it drew" in text_of(client)
    client.force_login(people.alice)
    client.post(URL, fields(page, "restore"))
    assert not Dismissal.objects.exists()
    assert "failed; it drew" in text_of(client)


def test_what_was_put_away_is_still_in_the_total(site: None, people: People, client: Client) -> None:
    failing("123")
    client.force_login(people.alice)
    before = client.get(URL).context["waste_total"]
    dismiss("alice", Kind.FAILED, "alpha/wide", timezone.now())
    assert client.get(URL).context["waste_total"] == before != ""


@pytest.mark.parametrize(
    "sent",
    [
        {"advice": "nonsense", "subject": "x", "do": "dismiss"},
        {"advice": "failed", "subject": "x" * 256, "do": "dismiss"},
        {"advice": "failed", "subject": "x\0", "do": "dismiss"},
        {"advice": "failed", "subject": "x", "do": "delete"},
        {},
    ],
)
def test_nonsense_is_refused(site: None, people: People, client: Client, sent: dict[str, str]) -> None:
    client.force_login(people.alice)
    assert client.post(URL, sent).status_code == 400
    assert not Dismissal.objects.exists()


def test_who_is_not_logged_in_or_forges_a_form_changes_nothing(site: None, people: People) -> None:
    sent = {"advice": "failed", "subject": "x", "do": "dismiss"}
    stranger, forged = Client(), Client(enforce_csrf_checks=True)
    for url in (URL, LINES):
        assert stranger.get(url)["Location"].startswith("/login/")
    assert stranger.post(URL, sent)["Location"].startswith("/login/")
    forged.force_login(people.alice)
    assert forged.post(URL, sent).status_code == 403
    assert not Dismissal.objects.exists()


def test_nobody_fills_the_table(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dismissals, "MOST_DISMISSED", 3)
    for i in range(5):
        dismiss("alice", Kind.CORES, f"alpha/{i}", timezone.now())
    dismiss("bob", Kind.CORES, "alpha/0", timezone.now())
    assert sorted(Dismissal.objects.filter(username="alice").values_list("subject", flat=True)) == [
        "alpha/2", "alpha/3", "alpha/4",
    ]  # fmt: skip
    assert Dismissal.objects.filter(username="bob").count() == 1


def test_the_first_lines_stand_in_another_page(site: None, people: People, client: Client) -> None:
    failing("123")
    Job.objects.filter(job_id="36_1").update(state="TIMEOUT")
    client.force_login(people.alice)
    page = client.get(LINES).content.decode()
    assert "<html" not in page
    assert "1 job failed; it drew" in page
    assert "1 job ran out of time; it drew" in page
    assert f'href="/waste/?{PERIOD.replace("&", "&amp;")}"' in page


@pytest.mark.parametrize("url", [URL, LINES])
def test_ten_queries_are_enough_for_any_amount_of_jobs(site: None, people: People, client: Client, url: str) -> None:
    failing("123", "36_1")
    made(120, state="FAILED")
    Run.objects.update(total_cpu_s=10.0, max_rss_bytes=10, memory_bytes=1 << 30)
    client.force_login(people.alice)
    assert client.get(url).status_code == 200
    with CaptureQueriesContext(connection) as seen:
        client.get(url)
    assert len(seen.captured_queries) <= 10


def test_a_jobs_page_gives_the_advice_that_speaks_of_it(site: None, people: People) -> None:
    failing("123", "300")
    mine, bobs = (Job.objects.get(job_id=job) for job in ("123", "300"))
    (line,) = job_advice(mine, people.alice)["job_advice"]
    assert (line.subject, line.directive) == ("wide", "sbatch --time=01:15:00 job.sh")
    assert job_advice(bobs, people.alice)["job_advice"] == []
    assert job_advice(bobs, AnonymousUser())["job_advice"] == []
    assert job_advice(Job.objects.get(job_id="36_1"), people.alice)["job_advice"] == []
    assert job_advice(Job.objects.get(job_id="202"), people.alice)["job_advice"] == []


def test_a_name_cannot_break_out_of_a_line(site: None, people: People, client: Client) -> None:
    failing("300")
    client.force_login(people.bob)
    page = client.get(URL).content.decode()
    assert "bob&#x27;s &lt;b&gt;own&lt;/b&gt;" in page
    assert "<b>own" not in page


@override_settings(WASTE_LEAST_JOBS=7, WASTE_LEAST_KWH=0.5, WASTE_LEAST_SHARE=0.4, WASTE_MARGIN=1.5)
def test_the_site_sets_from_when_on_there_is_a_line(site: None, people: People, client: Client) -> None:
    assert site_thresholds() == Thresholds(least_jobs=7, least_j=1.8e6, least_share=0.4, margin=1.5)
    failing("123")
    client.force_login(people.alice)
    said = text_of(client)
    assert "Nothing stands out in this period." in said
    assert "It is about 500\u00a0Wh at least." in said
    assert "like jobs that completed, 7 of them at least" in said
    assert "1.50 times what was needed" in said


def test_every_sentence_can_be_said_in_both_languages(people: People) -> None:
    for language in ("en-gb", "de"):
        with translation.override(language):
            assert all(_said(kind) for kind in Kind)


def _said(kind: Kind) -> str:
    figures: dict[str, Any] = {
        "time_s": 60, "took_s": 60, "needed_s": 60, "like": 3, "spared": 1, "asked": 4, "used": 1, "cores": 2,
        "memory_bytes": 1, "asked_bytes": 2, "used_bytes": 1, "asked_s": 99, "gpus": 4, "fewer": 2, "share": 0.5,
    }  # fmt: skip
    said = ""
    for figure in (figures, {"time_s": 0, "gpus": 4, "fewer": 4, "took_s": 1, "like": 0}):
        for why in (None, *Why):
            directive = Directive((("array", "1"),))
            line = Advice(kind, "c", "", directive, 1.0, 2.0, None if why else 1.0, why, (1, 2), 1, figure)
            said += wording_waste.in_a_mail(line) + wording_waste.saving(line) + wording_waste.kind_name(kind)
    return said
