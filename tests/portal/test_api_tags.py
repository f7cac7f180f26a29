"""Tags over the REST interface: read with their origin, said of one job and of many, refused with key and reason."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from measurements.models import Job, PageRead, TagEdit, TagRule
from measurements.services.tags import retag_due, save_rule
from tests.conftest import People

URL = "/api/v1/jobs/alpha/123/tags"
MANY = "/api/v1/tags"


def send(client: Client, method: str, url: str, said: Any, status: int = 200) -> Any:
    answer = client.generic(method, url, json.dumps(said), content_type="application/json")
    assert answer.status_code == status, answer.content
    return answer.json()


def patch(client: Client, said: Any, status: int = 200) -> Any:
    return send(client, "PATCH", URL, said, status)


def test_tags_with_their_origin_and_what_else_is_said(site: None, alice: Client) -> None:
    Job.objects.filter(job_id="123").update(comment="workload=said work=5 q")
    row = TagRule(field="name", pattern="wide", workload="ruled", size="big")
    save_rule(row)
    retag_due(timezone.now())
    found = alice.get(URL).json()
    by = f"rule {row.pk}"
    assert found["tags"]["workload"] == {
        "value": "said", "unit": "", "origin": "comment", "others": [{"origin": by, "value": "ruled", "unit": ""}],
    }  # fmt: skip
    assert found["tags"]["size"] == {"value": "big", "unit": "", "origin": by, "others": []}
    assert found["tags"]["work"] == {"value": 5.0, "unit": "q", "origin": "comment", "others": []}
    assert found["tags"]["phase"] == {"value": None, "unit": "", "origin": "", "others": []}
    assert (found["cluster"], found["job"], found["may_edit"], found["edited_by"]) == ("alpha", "123", True, None)


def test_the_owner_says_takes_away_and_takes_back(site: None, alice: Client) -> None:
    found = patch(alice, {"workload": "My Model", "phase": "train", "work": 1e6, "unit": "Images", "target": 99})
    assert {key: tag["value"] for key, tag in found["tags"].items()} == {
        "workload": "my-model", "phase": "training", "size": None, "target": "99", "work": 1e6,
    }  # fmt: skip
    assert found["tags"]["work"]["unit"] == "images"
    assert found["edited_by"] == "alice"
    assert patch(alice, {"phase": ""})["tags"]["phase"] == {"value": None, "unit": "", "origin": "edit", "others": []}
    assert patch(alice, {"phase": None, "workload": None, "work": None, "target": None})["edited_by"] is None
    assert not TagEdit.objects.exists()


@pytest.mark.parametrize(
    ("said", "where"),
    [
        ({"workload": "<b>"}, "workload"), ({"phase": "lunch"}, "phase"), ({"work": -1}, "work"),
        ({"work": "inf"}, "work"), ({"unit": "q"}, "unit"), ({"work": 1, "unit": "?"}, "unit"),
        ({"colour": "red"}, "body.said.colour"), ({"size": ["a"]}, "body.said.size"),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_is_refused_with_key_and_reason(
    site: None, alice: Client, said: dict[str, Any], where: str
) -> None:
    found = patch(alice, said, 422)
    assert found["errors"][0]["where"].startswith(where)
    assert found["errors"][0]["reason"]
    assert not TagEdit.objects.exists()


def test_many_jobs_all_or_none(site: None, alice: Client) -> None:
    names = ["alpha/123", "alpha/36_1", "alpha/93+1"]
    assert send(alice, "POST", MANY, {"jobs": [*names, names[0]], "workload": "m"}) == {"jobs": 3, "changed": 3}
    assert Job.objects.filter(workload="m").count() == 3
    for odd in ("alpha/300", "alpha/nothing", "beta/123", "123", "\0/1"):
        found = send(alice, "POST", MANY, {"jobs": [names[0], odd], "workload": "n"}, 422)
        assert found["errors"][0]["where"] == "jobs"
        assert odd in found["errors"][0]["reason"]
    assert send(alice, "POST", MANY, {"jobs": names, "phase": "x"}, 422)["errors"][0]["where"] == "phase"
    assert send(alice, "POST", MANY, {"jobs": [], "workload": "x"}, 422)
    assert send(alice, "POST", MANY, {"jobs": ["alpha/1"] * 10_001, "workload": "x"}, 422)
    assert not Job.objects.filter(workload="n").exists()


def test_an_id_used_again_is_the_newest_job(site: None, alice: Client) -> None:
    old = Job.objects.get(job_id="123")
    new = Job.objects.create(
        cluster=old.cluster, job_id="123", username="alice", state="COMPLETED", start_ms=(old.start_ms or 0) + 1
    )
    send(alice, "POST", MANY, {"jobs": ["alpha/123"], "workload": "m"})
    assert TagEdit.objects.get().pk == new.pk


def test_who_may(site: None, people: People, client: Client) -> None:
    assert client.get(URL).status_code == 401
    for viewer in (people.bob, people.charlie):
        client.force_login(viewer)
        assert client.get(URL).status_code == 404
        patch(client, {"workload": "x"}, 404)
    people.charlie.user_permissions.add(Permission.objects.get(codename="view_all_jobs"))
    client.force_login(people.charlie)
    assert client.get(URL).json()["may_edit"] is False
    assert PageRead.objects.filter(reader="charlie", username="alice", page="api job").exists()
    assert patch(client, {"workload": "x"}, 403)["detail"]
    send(client, "POST", MANY, {"jobs": ["alpha/123"], "workload": "x"}, 422)
    client.force_login(people.olga)
    assert patch(client, {"workload": "x"})["edited_by"] == "olga"


def test_a_forged_request_is_refused(site: None, people: People) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(people.olga)
    assert client.patch(URL, "{}", content_type="application/json").status_code == 403
    assert client.post(MANY, '{"jobs": ["alpha/123"]}', content_type="application/json").status_code == 403
    client.get("/jobs/")
    token = client.cookies["csrftoken"].value
    answer = client.patch(URL, '{"workload": "x"}', content_type="application/json", headers={"x-csrftoken": token})
    assert answer.status_code == 200
