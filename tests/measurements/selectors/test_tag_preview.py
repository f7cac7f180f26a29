"""What a rule or an edit would change is what it then changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from measurements.models import Batch, Cluster, Job, TagRule
from measurements.selectors import tag_preview
from measurements.selectors.tag_preview import edit_effect, preview
from measurements.selectors.tag_rules import said_on_clusters
from measurements.services.tags import edit_tags, retag_due, save_rule
from tests.conftest import People
from tests.portal import world

pytestmark = [pytest.mark.django_db]
NOW = timezone.now


@pytest.fixture(autouse=True)
def site(tmp_path: Path) -> None:
    """Of the jobs named train bob's says itself what it is."""
    world.build(tmp_path)
    Job.objects.filter(job_id="36_2").update(comment="workload=own phase=train")
    retag_due(NOW())


def draft(pattern: str, **sets: Any) -> TagRule:
    return TagRule(**{"field": "name", "pattern": pattern} | sets)


def tags() -> dict[str, tuple[str, str]]:
    return {job.job_id: (job.workload, job.phase) for job in Job.objects.all()}


def test_a_new_rule(people: People) -> None:
    found = preview(people.olga, draft("train|wide", workload="w"))
    assert (found.looked_at, found.matched, found.stronger, found.changed, found.more) == (7, 3, 1, 2, False)
    assert found.moves == (("", "w", 2),)
    assert [(one.job_id, one.text, one.changes) for one in found.examples] == [
        ("36_1", "train", True), ("123", "wide", True), ("36_2", "train", False),
    ]  # fmt: skip
    assert found.examples[2].before.tags.workload == found.examples[2].after.tags.workload == "own"


def test_what_is_shown_comes_true(people: People) -> None:
    save_rule(draft("train", workload="first"))
    retag_due(NOW())
    edit_tags("olga", list(Job.objects.filter(job_id="123").values_list("pk", flat=True)), {"workload": "mine"}, NOW())
    rules = [draft(".", workload="late", phase="other"), TagRule.objects.get()]
    rules[1].pattern, rules[1].workload = "wide|unmetered", "second"
    for rule in rules:
        before, found = tags(), preview(people.olga, rule)
        assert before == tags(), "nothing is stored"
        save_rule(rule)
        retag_due(NOW())
        after = tags()
        listed = set(Job.objects.filter(start_ms__isnull=False).values_list("job_id", flat=True))
        assert found.changed == sum(before[name] != after[name] for name in listed) > 0
        moved = [(before[name][0], after[name][0]) for name in listed if before[name][0] != after[name][0]]
        assert sorted(move for a, b, n in found.moves for move in [(a, b)] * n) == sorted(moved)


def test_a_rule_that_is_switched_off_or_of_another_cluster_says_nothing(people: People) -> None:
    row = draft("train", workload="w")
    save_rule(row)
    retag_due(NOW())
    row.enabled = False
    assert preview(people.olga, row).moves == (("w", "", 1),)
    other = Cluster.objects.create(name="beta")
    assert preview(people.olga, draft("train", workload="w", cluster=other)).matched == 0


def test_only_jobs_that_one_may_see_are_looked_at(people: People) -> None:
    found = preview(people.bob, draft(".", workload="w"))
    assert {one.username for one in found.examples} == {"bob"}
    assert found.looked_at == 2
    assert preview(people.charlie, draft(".", workload="w")).looked_at == 0


def test_so_many_jobs_are_looked_at_and_few_queries_made(
    people: People, monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    olga = User.objects.get(username="olga")
    olga.has_perm("measurements.view_all_jobs")
    with django_assert_max_num_queries(3):
        preview(olga, draft(".", workload="w"))
    monkeypatch.setattr(tag_preview, "NEWEST", 3)
    found = preview(olga, draft(".", workload="w"))
    assert (found.looked_at, found.more, len(found.examples)) == (3, True, 3)


def test_the_effect_of_an_edit_comes_true(people: People) -> None:
    jobs = Job.objects.filter(username="alice")
    pks = list(jobs.values_list("pk", flat=True))
    edit_tags("alice", pks[:1], {"workload": "a", "phase": "other"}, NOW())
    for values in ({"workload": "a"}, {"workload": None}, {"phase": ""}, {"size": "s"}, {"work": 5.0, "unit": "q"}):
        found = edit_effect(Job.objects.filter(pk__in=pks), values)
        assert (found.jobs, found.changed) == (len(pks), edit_tags("alice", pks, values, NOW()))


def test_what_jobs_come_with(people: People) -> None:
    Job.objects.filter(job_id="123").update(wckey="k", submit_line="sbatch x", admin_comment="x")
    (said,) = said_on_clusters()
    assert (said.jobs, said.comments, said.wckeys, said.submit_lines) == (7, 2, 1, 1)
    assert said.comment_share == 2 / 7
    assert not said.lacks_comments, "not from Slurm"
    Job.objects.update(comment="", admin_comment="")
    assert not said_on_clusters()[0].lacks_comments
    Batch.objects.filter(content="jobs").update(options={"format": "sacct:JobID,State"})
    assert said_on_clusters()[0].lacks_comments
