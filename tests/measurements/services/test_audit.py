"""Who was shown what is somebody else's: one row a reader, subject, page and day, and nothing of one's own."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection
from django.test import override_settings

from measurements.models import Membership, PageRead, Project
from measurements.selectors.audit import projects_of, reads_of
from measurements.services import chores
from measurements.services.audit import AT_ONCE, NotNoted, Page, forget_reads, note_project_read, note_reads

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)

pytestmark = pytest.mark.django_db


def rows() -> list[tuple[str, str, str, str, date, int]]:
    names = ("reader", "username", "project", "page", "day", "count")
    return list(PageRead.objects.order_by("day", "reader", "username", "project", "page").values_list(*names))


def test_reads_of_a_day_are_one_row_that_counts() -> None:
    for hours in range(3):
        note_reads("olga", ["alice"], Page.JOB, NOON + hours * HOUR)
    assert rows() == [("olga", "alice", "", "job", date(2026, 3, 1), 3)]
    assert PageRead.objects.get().last_at == NOON + 2 * HOUR


def test_another_reader_person_page_project_or_day_is_another_row() -> None:
    note_reads("olga", ["alice", "bob", "alice"], Page.JOB, NOON)
    note_reads("victor", ["alice"], Page.JOB, NOON)
    note_reads("olga", ["alice"], Page.JOBS, NOON)
    note_project_read("olga", ["physics"], Page.PROJECT, NOON)
    note_reads("olga", ["alice"], Page.JOB, NOON + DAY)
    assert len(rows()) == 6
    assert {row[-1] for row in rows()} == {1}


def test_the_day_is_that_of_utc() -> None:
    berlin_morning = datetime.fromisoformat("2026-03-02T00:30:00+01:00")
    note_reads("olga", ["alice"], Page.JOB, berlin_morning)
    assert PageRead.objects.get().day == date(2026, 3, 1)


def test_what_is_one_s_own_or_nobody_s_is_not_noted() -> None:
    note_reads("alice", ["alice", ""], Page.JOBS, NOON)
    note_project_read("alice", [""], Page.PROJECT, NOON)
    assert rows() == []


def test_a_list_of_many_people_notes_each_of_them() -> None:
    people = [f"u{i}" for i in range(2 * AT_ONCE + 1)]
    for _ in range(2):
        note_reads("olga", people, Page.JOBS_TABLE, NOON)
    assert PageRead.objects.filter(count=2).count() == len(people)


def test_names_are_values_and_never_a_part_of_the_statement() -> None:
    name = "x'); DELETE FROM measurements_pageread; --"
    note_reads("olga", [name], Page.JOB, NOON)
    assert [row[1] for row in rows()] == [name]


def test_what_cannot_be_noted_is_said() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE measurements_pageread RENAME TO gone")
    with pytest.raises(NotNoted):
        note_reads("olga", ["alice"], Page.JOB, NOON)
    note_reads("alice", ["alice"], Page.JOB, NOON)  # nothing to note


def test_reads_are_forgotten_after_as_long_as_the_site_keeps_them() -> None:
    for days in (29, 30, 31):
        note_reads("olga", ["alice"], Page.JOB, NOON - days * DAY)
    with override_settings(AUDIT_KEEP_DAYS=30):
        assert forget_reads(NOON) == 1
        assert forget_reads(NOON) == 0
    assert {row[4] for row in rows()} == {date(2026, 1, 31), date(2026, 1, 30)}


def test_the_workers_forget_them() -> None:
    for days in (0, 366):
        note_reads("olga", ["alice"], Page.JOB, NOON - days * DAY)
    assert "forget old reads" not in chores.run_due(NOON)  # in a new site there is nothing to forget
    assert "forget old reads" in chores.run_due(NOON + DAY)
    assert len(rows()) == 1


# --- What the person sees ------------------------------------------------------------------------


def test_a_person_sees_who_looked_newest_first_and_nothing_of_others() -> None:
    note_reads("olga", ["alice", "bob"], Page.JOB, NOON - DAY)
    note_reads("victor", ["alice"], Page.JOBS, NOON)
    found = reads_of("alice")
    assert [(read.reader, read.page, read.count) for read in found] == [("victor", "jobs", 1), ("olga", "job", 1)]
    assert [read.reader for read in reads_of("bob")] == ["olga"]
    assert reads_of("charlie") == []
    assert len(reads_of("alice", 1)) == 1


def test_reads_of_a_project_and_of_those_above_are_seen_by_its_people() -> None:
    top = Project.objects.create(name="institute")
    middle = Project.objects.create(name="group", parent=top)
    Project.objects.create(name="other", parent=top)
    Membership.objects.create(project=middle, username="alice")
    for name in ("institute", "group", "other", "nowhere"):
        note_project_read("victor", [name], Page.PROJECT, NOON)
    assert {read.project for read in reads_of("alice")} == {"institute", "group"}
    assert reads_of("bob") == []


def test_the_reader_of_a_project_is_not_told_of_their_own_reads() -> None:
    Membership.objects.create(project=Project.objects.create(name="group"), username="victor", role="leader")
    note_project_read("victor", ["group"], Page.PROJECT, NOON)
    assert reads_of("victor") == []


def test_projects_that_lead_in_a_circle_are_walked_once() -> None:
    first = Project.objects.create(name="first")
    second = Project.objects.create(name="second", parent=first)
    first.parent = second
    first.save()
    Membership.objects.create(project=first, username="alice")
    assert projects_of("alice") == {"first", "second"}
