"""What jobs count as, on pages: who may say it, one job and many, rules tried before they hold."""

from __future__ import annotations

import re
from html import unescape

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client, override_settings
from django.utils import timezone

from measurements.models import Job, Membership, PageRead, Project, TagEdit, TagRule
from measurements.services.tags import edit_tags, pass_progress, retag, retag_due, save_rule
from tests.conftest import People
from tests.portal.test_jobs import listed
from tests.portal.world import DAY

JOB, TAGS = "/jobs/alpha/123/", "/jobs/alpha/123/tags/"
RULES = "/operations/workloads/"
EMPTY = {"workload": "", "phase": "", "size": "", "target": "", "work": "", "unit": ""}


def text(client: Client, url: str) -> str:
    """A page's words."""
    response = client.get(url)
    assert response.status_code == 200, url
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


def job(job_id: str = "123") -> Job:
    return Job.objects.get(job_id=job_id)


def comment(job_id: str, said: str) -> None:
    Job.objects.filter(job_id=job_id).update(comment=said)
    retag(job(job_id).cluster, [job(job_id).pk])


def holder(*codenames: str) -> User:
    made = User.objects.create_user("hugo")
    made.user_permissions.add(*Permission.objects.filter(codename__in=codenames))
    return made


# --- One job --------------------------------------------------------------------------------------


def test_each_tag_says_where_it_is_from_and_what_else_is_said(site: None, olga: Client, people: People) -> None:
    row = TagRule(field="name", pattern="^wide", workload="rule-made", size="big")
    save_rule(row)
    comment("123", "workload=said phase=train work=1500000 queries")
    day = f"{timezone.localdate():%d %b %Y}".lstrip("0")
    edit_tags("olga", [job().pk], {"phase": "inference", "target": ""}, timezone.now())
    page = text(olga, JOB)
    assert f"Workload said from the job's comment Rule {row.pk} (job name matches ^wide) says: rule-made" in page
    assert f"Phase inference set by you on {day} Take back The job's comment says: training" in page
    assert f"Size big by rule {row.pk} (job name matches ^wide)" in page
    assert f"Target – taken away by you on {day} Take back" in page
    assert "Work done 1,500,000 queries from the job's comment" in page
    olga.force_login(people.alice)
    page = text(olga, JOB)
    assert f"set by olga on {day}" in page
    assert f"Rule {row.pk} (job name) says: rule-made" in page, "patterns are for who makes them"
    assert "^wide" not in page


def test_the_owner_sets_clears_and_takes_back(site: None, alice: Client) -> None:
    comment("123", "workload=said work=5 q")
    posted = EMPTY | {"workload": "My Model", "phase": "training", "work": "5", "unit": "q"}
    response = alice.post(TAGS, posted)
    assert response.headers["Location"] == f"{JOB}?start={job().start_ms}#tags"
    edit = TagEdit.objects.get()
    assert (edit.workload, edit.phase, edit.size, edit.work, edit.edited_by) == (
        "my-model",
        "training",
        None,
        None,
        "alice",
    )
    alice.post(TAGS, EMPTY | {"phase": "training", "work": "5", "unit": "q"})
    assert (job().workload, job().phase) == ("", "training"), "an emptied field takes the tag away"
    alice.post(TAGS, {"back": "workload"})
    assert job().workload == "said"
    alice.post(TAGS, {"back": "phase"})
    assert not TagEdit.objects.exists()


def test_what_is_wrong_stands_beside_its_field_and_nothing_is_kept(site: None, alice: Client) -> None:
    response = alice.post(TAGS, EMPTY | {"workload": "<b>", "work": "-1", "size": "ok"})
    page = response.content.decode()
    assert (response.status_code, page.count('role="alert"')) == (200, 2)
    assert "It is no number above 0." in page
    assert 'value="&lt;b&gt;"' in page
    assert "A unit comes with its work." in alice.post(TAGS, EMPTY | {"unit": "q"}).content.decode()
    assert alice.post(TAGS, {"back": "job"}).status_code == 404
    assert not TagEdit.objects.exists()


@pytest.mark.parametrize(("who", "status"), [("alice", 302), ("bob", 404), ("charlie", 404), ("olga", 302)])
def test_the_owner_and_who_manages_workloads_may_say_it(
    site: None, people: People, client: Client, who: str, status: int
) -> None:
    client.force_login(getattr(people, who))
    assert client.post(TAGS, EMPTY | {"workload": "x"}).status_code == status
    assert (job().workload == "x") == (status == 302)


@override_settings(LEADER_SEES="names")
def test_leaders_and_who_sees_all_jobs_may_read_but_not_say_it(site: None, people: People, client: Client) -> None:
    project = Project.objects.get_or_create(name="physics")[0]
    Membership.objects.create(project=project, username="charlie", role="leader")
    comment("123", "workload=said")
    for viewer in (people.charlie, holder("view_all_jobs")):
        client.force_login(viewer)
        page = text(client, JOB)
        assert "Workload said from the job's comment" in page
        assert "Change it" not in page
        assert client.get(TAGS).status_code == client.post(TAGS, EMPTY | {"workload": "x"}).status_code == 404
    assert job().workload == "said"


def test_who_manages_workloads_but_may_not_see_a_job_cannot_tag_it(site: None, client: Client, db: None) -> None:
    client.force_login(holder("manage_workloads"))
    assert client.post(TAGS, EMPTY | {"workload": "x"}).status_code == 404
    assert not TagEdit.objects.exists()


def test_a_forged_form_is_refused(site: None, people: People) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(people.olga)
    for url in (TAGS, "/jobs/tags/?t-workload=x", f"{RULES}new/"):
        assert client.post(url, {"workload": "x"}).status_code == 403
    assert not TagEdit.objects.exists()


def test_slurms_missing_comments_are_explained_where_none_came(site: None, alice: Client) -> None:
    assert "AccountingStoreFlags=job_comment" in text(alice, JOB)
    comment("123", "some words")
    assert "AccountingStoreFlags" not in text(alice, JOB)


# --- Lists ----------------------------------------------------------------------------------------


def test_jobs_are_found_by_workload_and_phase(site: None, alice: Client) -> None:
    comment("123", "workload=a phase=train")
    comment("36_1", "workload=a phase=dev")
    assert listed(alice, "?workload=a") == ["36_1", "123"]
    assert listed(alice, "?workload=A&phase=training") == ["123"]
    assert listed(alice, "?phase=development") == ["36_1"]
    assert listed(alice, "?workload=b") == []


# --- Many jobs ------------------------------------------------------------------------------------

BULK = "/jobs/tags/"


def test_many_jobs_are_shown_first_and_noted_on_confirmation(site: None, alice: Client) -> None:
    comment("123", "workload=a")
    query = f"?first={DAY}&last={DAY}&t-workload=New&t-phase=training"
    page = alice.get(BULK + query)
    assert (len(page.context["chosen"].ids), page.context["tried"].changed) == (5, 5), "hers that began, not bob's"
    assert "5 jobs would count as something else" in page.content.decode()
    assert {(m["before"], m["after"], m["jobs"]) for m in page.context["moves"]} == {
        ("none", "new", 4),
        ("a", "new", 1),
    }
    assert not TagEdit.objects.exists()
    done = alice.post(BULK + query, {"jobs": "5"}, follow=True)
    assert done.redirect_chain[-1][0] == f"/jobs/?first={DAY}&last={DAY}"
    assert "Noted: 5 of 5 jobs now count as something else." in done.content.decode()
    assert set(Job.objects.filter(workload="new", phase="training").values_list("username", flat=True)) == {"alice"}
    assert Job.objects.filter(workload="new").count() == 5


def test_many_edits_are_taken_back_or_taken_away(site: None, alice: Client) -> None:
    comment("123", "workload=a phase=train")
    alice.post(f"{BULK}?q=wide&t-workload=b", {"jobs": "1"})
    alice.post(f"{BULK}?q=wide&t-do_workload=back&t-do_phase=clear", {"jobs": "1"})
    assert (job().workload, job().phase) == ("a", "")


def test_jobs_that_came_meanwhile_are_shown_before_anything_is_noted(site: None, alice: Client) -> None:
    page = alice.post(f"{BULK}?t-workload=b", {"jobs": "4"})
    assert "others than a moment ago" in page.content.decode()
    assert not TagEdit.objects.exists()


def test_nobody_tags_jobs_of_others_at_once(site: None, people: People, client: Client) -> None:
    client.force_login(people.charlie)
    assert "no job of this filter that you may tag" in text(client, f"{BULK}?t-workload=x")
    client.post(f"{BULK}?t-workload=x", {"jobs": "0"})
    client.force_login(holder("view_all_jobs"))
    assert client.get(f"{BULK}?user=bob&t-workload=x").context["chosen"].ids == ()
    client.post(f"{BULK}?user=bob&t-workload=x", {"jobs": "2"})
    assert not TagEdit.objects.exists()
    client.force_login(people.olga)
    client.post(f"{BULK}?user=bob&t-workload=x", {"jobs": "2"})
    assert set(TagEdit.objects.values_list("job__username", flat=True)) == {"bob"}


def test_too_many_jobs_are_not_tagged_at_once(site: None, alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portal.views.jobs_tags.MOST_EDITED", 3)
    assert "more than 3 jobs: narrow the filter" in text(alice, f"{BULK}?t-workload=x")
    alice.post(f"{BULK}?t-workload=x", {"jobs": "4"})
    assert not TagEdit.objects.exists()


def test_the_list_leads_there_with_its_filter(site: None, alice: Client, people: People) -> None:
    assert 'href="/jobs/tags/?q=train"' in alice.get("/jobs/?q=train").content.decode()
    alice.force_login(holder("view_all_jobs"))
    assert "/jobs/tags/" not in alice.get("/jobs/").content.decode(), "nothing there is theirs"


@pytest.mark.parametrize(
    "query", ["?t-phase=lunch", "?t-work=x", "?t-unit=q", "?t-workload=%00", "?t-do_work=x", "?t-x=1"]
)
def test_nonsense_in_an_address_changes_nothing(site: None, alice: Client, query: str) -> None:
    assert alice.get(BULK + query).status_code == 200
    assert alice.post(BULK + query, {"jobs": "5"}).status_code == 200
    assert not TagEdit.objects.exists()


# --- Rules ----------------------------------------------------------------------------------------

NEW = {"field": "name", "pattern": "^(wide|train)$", "workload": r"x-\1", "enabled": "on"}


def test_a_rule_is_tried_then_stored_and_holds(site: None, olga: Client) -> None:
    page = olga.post(f"{RULES}new/", NEW)
    assert not TagRule.objects.exists()
    words = " ".join(unescape(re.sub(r"<[^>]+>", " ", page.content.decode())).split())
    assert "The pattern is found in 3 of all 7 jobs that you may see." in words
    assert "3 jobs would count as something else" in words
    assert "36_2 bob train – x-train" in words
    assert PageRead.objects.filter(reader="olga", username="bob").exists(), "whose jobs were shown is noted"
    assert olga.post(f"{RULES}new/", NEW | {"store": "1"}).headers["Location"] == RULES
    assert pass_progress().waiting > 0
    assert "Jobs are being tagged" in text(olga, RULES)
    retag_due(timezone.now())
    assert "All jobs are tagged by these rules." in text(olga, RULES)
    assert job("36_2").workload == "x-train"


def test_a_rule_is_changed_moved_switched_off_and_deleted(site: None, olga: Client) -> None:
    for pattern in ("a", "b"):
        olga.post(f"{RULES}new/", NEW | {"pattern": pattern, "workload": "w", "store": "1"})
    first, second = TagRule.objects.order_by("position")
    url = f"{RULES}{second.pk}/"
    olga.post(url, NEW | {"pattern": "c", "workload": "Two Words", "store": "1"})
    second.refresh_from_db()
    assert (second.pattern, second.workload) == ("c", "two-words")
    olga.post(f"{url}change/", {"do": "up"})
    assert list(TagRule.objects.order_by("position").values_list("pk", flat=True)) == [second.pk, first.pk]
    for do, enabled in (("off", False), ("on", True)):
        olga.post(f"{url}change/", {"do": do})
        assert TagRule.objects.get(pk=second.pk).enabled is enabled
        retag_due(timezone.now())
    olga.post(f"{url}change/", {"do": "delete"})
    assert pass_progress().waiting > 0
    assert list(TagRule.objects.values_list("pk", flat=True)) == [first.pk]
    assert olga.post(f"{RULES}{first.pk}/change/", {"do": "x"}).status_code == 404
    assert olga.get(f"{RULES}{first.pk}/change/").status_code == 405


@pytest.mark.parametrize(
    ("said", "field", "fault"),
    [
        ({"pattern": "("}, "pattern", "no regular expression"),
        ({"pattern": r"(a)\1"}, "pattern", "no regular expression"),
        ({"pattern": "a{10}{11}"}, "pattern", "no regular expression"),
        ({"workload": r"\2"}, "workload", "no such group"),
        ({"workload": "a<b"}, "workload", "At most 64"),
        ({"workload": ""}, "__all__", "at least one"),
        ({"field": "comment"}, "field", "valid choice"),
    ],
)
def test_a_rule_that_cannot_hold_is_refused(
    site: None, olga: Client, said: dict[str, str], field: str, fault: str
) -> None:
    page = olga.post(f"{RULES}new/", NEW | said | {"store": "1"})
    assert page.status_code == 200
    assert fault in str(page.context["form"].errors[field])
    assert not TagRule.objects.exists()


def test_rules_are_for_who_manages_workloads_and_sees_operations(site: None, client: Client, people: People) -> None:
    row = TagRule(field="name", pattern="a", workload="w")
    save_rule(row)
    urls = (RULES, f"{RULES}new/", f"{RULES}{row.pk}/")
    for viewer in (people.alice, holder("view_operations", "view_all_jobs")):
        client.force_login(viewer)
        assert [client.get(url).status_code for url in urls] == [404] * 3
        assert client.post(f"{RULES}{row.pk}/change/", {"do": "delete"}).status_code == 404
        assert "Workloads" not in client.get("/operations/").content.decode().split("<main")[1]
    hugo = User.objects.get(username="hugo")
    hugo.user_permissions.set(Permission.objects.filter(codename__in=["view_operations", "manage_workloads"]))
    client.force_login(hugo)
    assert [client.get(url).status_code for url in urls] == [200] * 3
    page = client.post(f"{RULES}new/", NEW).content.decode()
    assert "no job yet that it could be tried on" in page, "he may see no jobs"
    assert "36_2" not in page


def test_the_admin_changes_rules_by_the_same_way(site: None, olga: Client) -> None:
    posted = {"field": "name", "pattern": "wide", "workload": "w", "position": "5", "enabled": "on"}
    assert olga.post("/admin/measurements/tagrule/add/", posted).status_code == 302
    assert pass_progress().waiting > 0
    retag_due(timezone.now())
    assert job().workload == "w"
    row = TagRule.objects.get()
    assert olga.post("/admin/measurements/tagrule/add/", posted | {"pattern": "("}).status_code == 200
    assert olga.get(f"/admin/measurements/tagrule/{row.pk}/change/").status_code == 200
    reader = User.objects.create_user("rita", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_tagrule"))
    other = Client()
    other.force_login(reader)
    assert other.get(f"/admin/measurements/tagrule/{row.pk}/change/").status_code == 200
    assert other.post(f"/admin/measurements/tagrule/{row.pk}/change/", posted).status_code == 403
    assert olga.post(f"/admin/measurements/tagrule/{row.pk}/delete/", {"post": "yes"}).status_code == 302
    retag_due(timezone.now())
    assert job().workload == ""


def test_who_changed_which_rule_stands_below_the_rules(olga: Client) -> None:
    said = {"field": "name", "pattern": "^nnu", "workload": "nnunet", "enabled": "on", "store": "1"}
    assert "Nobody has changed a rule" in text(olga, RULES)
    assert olga.post(f"{RULES}new/", said).status_code == 302
    rule = TagRule.objects.get()
    assert olga.post(f"{RULES}{rule.pk}/", said | {"pattern": "^nnunet"}).status_code == 302
    assert olga.post(f"{RULES}{rule.pk}/change/", {"do": "off"}).status_code == 302
    assert olga.post(f"{RULES}{rule.pk}/change/", {"do": "delete"}).status_code == 302
    below = text(olga, RULES).partition("Who changed what")[2]
    order = [below.index(f"olga {what}") for what in ("deleted", "changed enabled", "changed pattern", "added")]
    assert order == sorted(order)
    assert "name ~ ^nnunet" in below
