"""What jobs count as through ingest, edits and rules, and that the roll-ups follow."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from measurements.domain.tag_edits import TagsRefused
from measurements.domain.tagging import KEYS
from measurements.models import (
    AllocationEnergy,
    Cluster,
    DirtyDay,
    DirtyJob,
    Job,
    JobTags,
    SealedDay,
    TagEdit,
    TagRule,
    UsageDay,
    WorkloadJob,
)
from measurements.parsers.detect_jobs import detect_jobs
from measurements.parsers.records import JobChunk, ParseOptions
from measurements.parsers.source import Source
from measurements.services import tags
from measurements.services.ingest_jobs import JobsInput, ingest_jobs
from measurements.services.rollups import rebuild_rollups
from measurements.services.tags import (
    MOST_EDITED,
    delete_rule,
    edit_tags,
    move_rule,
    pass_progress,
    retag,
    retag_due,
    save_rule,
    switch_rule,
)
from measurements.services.upkeep import seal
from tests.portal import world

pytestmark = [pytest.mark.django_db]
NOW = datetime(2025, 3, 20, tzinfo=UTC)
DAY = date(2025, 3, 10)
HEADER = "job_id,user,account,state,start,end,nodes,submit,name,cpus,gpus,gpu_indices,comment,wckey"


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    """The cluster of the pages' tests, booked; nothing is tagged."""
    world.build(tmp_path)
    retag_due(NOW)
    return Cluster.objects.get()


def job(job_id: str) -> Job:
    return Job.objects.get(job_id=job_id)


def ids(*job_ids: str) -> list[int]:
    return list(Job.objects.filter(job_id__in=job_ids).values_list("pk", flat=True))


def rule(field: str, pattern: str, **sets: Any) -> TagRule:
    made = TagRule(field=field, pattern=pattern, **sets)
    save_rule(made)
    return made


def counts_as(job_id: str) -> dict[str, Any]:
    """Its tags, as stored."""
    found, row = job(job_id), JobTags.objects.filter(job__job_id=job_id).first()
    said = {"workload": found.workload, "phase": found.phase}
    said |= {name: getattr(row, name) for name in ("size", "target", "work", "unit")} if row else {}
    return {name: value for name, value in said.items() if value}


def origins(job_id: str) -> dict[str, str]:
    row = JobTags.objects.filter(job__job_id=job_id).first()
    found = {key: str(getattr(row, f"{key}_origin", "")) for key in KEYS}
    return {key: origin for key, origin in found.items() if origin}


def ingest(cluster: Cluster, folder: Path, comment: str = "", *, state: str = "COMPLETED", wckey: str = "") -> None:
    """Job 300 of bob again, with a comment."""
    begin, end = world.DAY_S + 10 * world.HOUR, world.DAY_S + 11 * world.HOUR
    line = f'300,bob,physics,{state},{begin},{end},thin2,{world.DAY_S},"bob\'s <b>own</b>",4,,,"{comment}",{wckey}'
    path = folder / "again.csv"
    path.write_text(f"{HEADER}\n{line}\n")
    source = Source(path)
    ingest_jobs(cluster, source, JobsInput(detect_jobs(source, None)), NOW)


def book() -> None:
    rebuild_rollups(timezone.now)


def joules_by_workload() -> dict[str, float]:
    found: dict[str, float] = {}
    for row in UsageDay.objects.all():
        found[row.workload] = found.get(row.workload, 0.0) + row.energy_j
    return found


# --- Ingest ---------------------------------------------------------------------------------------


def test_ingest_tags_by_comment_edit_and_rule(cluster: Cluster, tmp_path: Path) -> None:
    made = rule("wckey", "^p-(.*)", size=r"\1", workload="from-rule")
    edit_tags("olga", ids("300"), {"target": "99"}, NOW)
    ingest(cluster, tmp_path, "workload=foo phase=train work=5 q", wckey="P-Big")
    expected = {"workload": "foo", "phase": "training", "work": 5.0, "unit": "q", "size": "big", "target": "99"}
    assert counts_as("300") == expected
    by = f"rule {made.pk}"
    assert origins("300") == {
        "workload": "comment",
        "phase": "comment",
        "work": "comment",
        "size": by,
        "target": "edit",
    }


def test_ingest_again_keeps_an_edit(cluster: Cluster, tmp_path: Path) -> None:
    edit_tags("bob", ids("300"), {"workload": "Mine", "work": ""}, NOW)
    ingest(cluster, tmp_path, "workload=theirs phase=dev work=5 q")
    assert counts_as("300") == {"workload": "mine", "phase": "development"}
    ingest(cluster, tmp_path, "workload=other", state="FAILED")
    assert counts_as("300")["workload"] == "mine"
    edit_tags("bob", ids("300"), {"workload": None, "work": None}, NOW)
    assert counts_as("300")["workload"] == "other", "what the comment says by now"
    assert not TagEdit.objects.exists()


def test_ingest_of_what_is_known_changes_nothing(cluster: Cluster, tmp_path: Path) -> None:
    ingest(cluster, tmp_path, "workload=foo")
    book()
    ingest(cluster, tmp_path, "workload=foo")
    assert not DirtyJob.objects.exists()
    assert not DirtyDay.objects.exists()


def test_a_rule_that_changes_while_a_file_is_read_holds_for_its_jobs(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rule is stored, and the pass over all jobs is done, before the file's first jobs are written."""
    path = tmp_path / "two.csv"
    lines = [
        f"{n},bob,physics,COMPLETED,{world.DAY_S},{world.DAY_S + 60},thin2,{world.DAY_S},new,4,,,," for n in (900, 901)
    ]
    path.write_text("\n".join([HEADER, *lines]))
    parser = detect_jobs(Source(path), None)

    def read(source: Source, options: ParseOptions, now_ms: int) -> Any:
        chunks: list[JobChunk] = list(parser(source, options, now_ms))
        rule("name", "^new$", workload="newest")
        assert retag_due(NOW)
        yield from chunks

    ingest_jobs(cluster, Source(path), JobsInput(read), NOW)
    assert pass_progress().waiting == 0
    assert [counts_as(n) for n in ("900", "901")] == [{"workload": "newest"}] * 2


# --- Edits ----------------------------------------------------------------------------------------


def test_an_edit_moves_energy_between_workloads_and_no_joule_changes(cluster: Cluster) -> None:
    before = sum(joules_by_workload().values())
    assert (
        edit_tags("olga", ids("123", "300"), {"workload": "A", "phase": "train", "work": 3, "unit": "runs"}, NOW) == 2
    )
    book()
    assert joules_by_workload()["a"] == pytest.approx(world.WIDE_J + world.BOBS_J)
    assert sum(joules_by_workload().values()) == pytest.approx(before, rel=1e-12)
    compared = WorkloadJob.objects.values_list("job__job_id", "workload", "phase", "work")
    assert set(compared) == {("123", "a", "training", 3.0), ("300", "a", "training", 3.0)}
    edit_tags("olga", ids("300"), {"workload": ""}, NOW)
    book()
    assert joules_by_workload()["a"] == pytest.approx(world.WIDE_J)
    assert WorkloadJob.objects.count() == 1


def test_what_stays_the_same_marks_nothing(cluster: Cluster) -> None:
    Job.objects.filter(job_id="300").update(comment="workload=foo")
    retag(cluster, ids("300"))
    book()
    assert edit_tags("bob", ids("300"), {"workload": "foo"}, NOW) == 0
    assert origins("300") == {"workload": "edit"}, "who says it has changed"
    assert retag(cluster, ids("300")) == 0
    assert not DirtyJob.objects.exists()
    assert not DirtyDay.objects.exists()
    assert edit_tags("bob", ids("300"), {}, NOW) == 0


def test_tags_that_roll_ups_do_not_have_mark_the_job_alone(cluster: Cluster) -> None:
    edit_tags("bob", ids("300"), {"size": "big"}, NOW)
    assert list(DirtyJob.objects.values_list("job__job_id", flat=True)) == ["300"]
    assert not DirtyDay.objects.exists()


def test_an_edit_says_who_and_when_and_leaves_the_rest_of_an_earlier_one(cluster: Cluster) -> None:
    edit_tags("bob", ids("300"), {"workload": "a", "work": 5, "unit": "q"}, NOW)
    edit_tags("olga", ids("300"), {"phase": "infer"}, NOW.replace(day=21))
    row = TagEdit.objects.get()
    assert (row.workload, row.phase, row.work, row.unit) == ("a", "inference", 5.0, "q")
    assert (row.edited_by, row.edited_at.day) == ("olga", 21)
    edit_tags("olga", ids("300"), {"work": None}, NOW)
    assert counts_as("300") == {"workload": "a", "phase": "inference"}


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ({"workload": "<b>"}, "workload"), ({"workload": "x" * 65}, "workload"), ({"phase": "lunch"}, "phase"),
        ({"work": -1}, "work"), ({"work": "nan"}, "work"), ({"work": 5, "unit": "x y!"}, "unit"),
        ({"unit": "q"}, "unit"), ({"colour": "red"}, "colour"), ({"size": ["a"]}, "size"), ({"work": True}, "work"),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_is_refused_whole(cluster: Cluster, said: Mapping[str, object], key: str) -> None:
    with pytest.raises(TagsRefused) as refused:
        edit_tags("bob", ids("300"), {"target": "99", **said}, NOW)
    assert refused.value.key == key
    assert not TagEdit.objects.exists()


def test_ten_thousand_jobs_at_once_take_as_many_queries_as_a_thousand(cluster: Cluster) -> None:
    with pytest.raises(TagsRefused, match="at most 10000"):
        edit_tags("olga", range(MOST_EDITED + 1), {"workload": "a"}, NOW)

    def queries(count: int) -> int:
        made = Job.objects.bulk_create(
            [Job(cluster=cluster, job_id=f"x{count}{i}", state="COMPLETED") for i in range(count)]
        )
        with CaptureQueriesContext(connection) as seen:
            assert edit_tags("olga", [one.pk for one in made], {"workload": "a"}, NOW) == count
        return len(seen)

    few, many = queries(1_000), queries(10_000)
    assert many <= few + 9_000 * 3 // 500 + 120, "lots of 500, and no query a job"


def test_edits_across_clusters(cluster: Cluster) -> None:
    other = Cluster.objects.create(name="beta")
    far = Job.objects.create(cluster=other, job_id="1", state="COMPLETED", username="bob")
    assert edit_tags("olga", [*ids("300"), far.pk], {"workload": "both"}, NOW) == 2


# --- Rules ----------------------------------------------------------------------------------------


def test_a_rule_retags_all_jobs_and_the_roll_ups_follow(cluster: Cluster) -> None:
    made = rule("name", "^(train|wide)$", workload=r"\1", phase="training")
    assert pass_progress().waiting > 0
    assert retag_due(NOW) == Job.objects.count()
    assert pass_progress().waiting == 0
    book()
    assert {name: round(joules) for name, joules in joules_by_workload().items() if name} == {
        "wide": round(world.WIDE_J), "train": round(world.TRAIN_J + (250 * 4 / 8 + 100) * 3_600),
    }  # fmt: skip
    assert WorkloadJob.objects.count() == 3
    switch_rule(made, enabled=False)
    retag_due(NOW)
    book()
    assert set(joules_by_workload()) == {""}
    assert not WorkloadJob.objects.exists()
    assert not JobTags.objects.exists()


def test_the_first_rule_that_says_a_tag_wins_and_moving_it_changes_that(cluster: Cluster) -> None:
    first, second = rule("name", "wide", workload="a"), rule("account", "physics", workload="b", phase="development")
    retag_due(NOW)
    assert counts_as("123") == {"workload": "a", "phase": "development"}
    move_rule(second, -1)
    retag_due(NOW)
    assert origins("123") == {"workload": f"rule {second.pk}", "phase": f"rule {second.pk}"}
    move_rule(second, -1)
    assert pass_progress().waiting == 0, "it was the first already"
    delete_rule(second)
    retag_due(NOW)
    assert counts_as("123") == {"workload": "a"}
    assert counts_as("300") == {}
    assert list(TagRule.objects.values_list("pk", flat=True)) == [first.pk]


def test_a_rule_of_another_cluster_says_nothing(cluster: Cluster) -> None:
    other = Cluster.objects.create(name="beta")
    rule("account", ".", workload="theirs", cluster=other)
    retag_due(NOW)
    assert not Job.objects.exclude(workload="").exists()


def test_a_stored_pattern_that_is_none_stops_nothing(cluster: Cluster, tmp_path: Path) -> None:
    rule("name", "wide", workload="a")
    TagRule.objects.create(field="name", pattern="(", workload="b", position=1)
    ingest(cluster, tmp_path, "workload=foo")
    retag_due(NOW)
    assert (counts_as("300")["workload"], counts_as("123")["workload"]) == ("foo", "a")


def test_the_pass_goes_on_in_lots_and_begins_again_when_a_rule_changes(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tags, "LOT", 3)
    monkeypatch.setattr(tags, "PASS_S", 0.0)
    rule("account", "physics", workload="a")
    assert retag_due(NOW) == 0, "no time at all"
    monkeypatch.setattr(tags, "PASS_S", 1e-9)
    seen = tags._next_lot()
    assert seen == 3
    assert Job.objects.filter(workload="a").count() == 3
    assert pass_progress().waiting == pass_progress().jobs - sorted(Job.objects.values_list("pk", flat=True))[2]
    rule("account", "phys", workload="b", phase="development")
    monkeypatch.setattr(tags, "PASS_S", 20.0)
    assert retag_due(NOW) == Job.objects.count()
    assert set(Job.objects.values_list("workload", "phase")) == {("a", "development")}
    assert retag_due(NOW) == 0


def test_tagging_again_changes_no_row(cluster: Cluster) -> None:
    rule("account", "physics", workload="a", size="s")
    retag_due(NOW)
    book()
    before = list(JobTags.objects.order_by("pk").values()), list(Job.objects.order_by("pk").values())
    tags.rules_changed()
    assert retag_due(NOW) == Job.objects.count()
    assert (list(JobTags.objects.order_by("pk").values()), list(Job.objects.order_by("pk").values())) == before
    assert not DirtyJob.objects.exists()


def test_a_lot_takes_few_queries_whatever_it_tags(cluster: Cluster) -> None:
    rule("account", "physics", workload="a")
    with CaptureQueriesContext(connection) as seen:
        assert tags._next_lot() == Job.objects.count()
    few = len(seen)
    Job.objects.bulk_create(
        [Job(cluster=cluster, job_id=f"y{i}", account="physics", state="FAILED") for i in range(400)]
    )
    rule("account", "physic", phase="development")
    with CaptureQueriesContext(connection) as seen:
        tags._next_lot()
    assert len(seen) <= few + 3


# --- Sealed days ---------------------------------------------------------------------------------


def test_jobs_of_sealed_days_are_added_up_under_their_new_name_and_keep_their_joules(cluster: Cluster) -> None:
    book()
    seal(cluster, date(2025, 3, 12), NOW)
    assert SealedDay.objects.filter(day=DAY).exists()
    ledger = list(AllocationEnergy.objects.order_by("pk").values())
    rule("name", "wide", workload="late")
    retag_due(NOW)
    book()
    assert joules_by_workload()["late"] == pytest.approx(world.WIDE_J)
    assert list(AllocationEnergy.objects.order_by("pk").values()) == ledger
