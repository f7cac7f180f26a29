"""Errors below /api/: programs get JSON in the form of the interface they speak, whatever went wrong."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError, connection
from django.test import Client

from measurements.models import Cluster
from tests.conftest import People

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["/api/", "/api/v1/", "/api/v1/nothing", "/api/v3/x", "/api/v1/power/", "/api/no/"])
def test_an_address_that_is_none_is_said_as_json(client: Client, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/json")
    assert answer.json() == {"detail": "not found"}
    assert "Content-Security-Policy" in answer.headers


@pytest.mark.parametrize("path", ["/api/v2/nothing", "/api/v2/buckets"])
def test_a_client_of_influxdb_gets_what_it_expects(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.json() == {"code": "not found", "message": "not found", "error": "not found"}


@pytest.mark.parametrize("path", ["/api/v2/write", "/write", "/query", "/api/write", "/api/write/"])
def test_a_method_that_is_not_offered_names_those_that_are(client: Client, path: str) -> None:
    answer = client.get(path)
    said = "method not allowed; allowed: POST"
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert answer.json() == {"code": "method not allowed", "message": said, "error": said}
    assert int(answer.headers["Content-Length"]) == len(answer.content)


def test_a_wrong_method_of_our_own_interface(client: Client, people: People) -> None:
    answer = client.delete("/api/v1/clusters")
    assert (answer.status_code, answer.json()) == (405, {"detail": "method not allowed; allowed: GET"})
    assert client.post("/ping").json()["error"] == "method not allowed; allowed: GET, HEAD"


def away(execute: Any, sql: str, *rest: Any) -> Any:
    """A database that does not answer when it is asked for clusters."""
    if Cluster._meta.db_table in sql:
        raise OperationalError("the database is away")
    return execute(sql, *rest)


def test_a_fault_of_the_site_is_said_as_json(people: People) -> None:
    client = Client(raise_request_exception=False)
    client.force_login(people.olga)
    with connection.execute_wrapper(away):
        answer = client.get("/api/v1/clusters")
    assert (answer.status_code, answer.headers["Content-Type"]) == (500, "application/json")
    assert answer.json() == {"detail": "internal error: the log of the site says more"}


def test_what_a_page_and_a_json_answer_say_stays(client: Client, people: People) -> None:
    assert b"<html" in client.get("/nothing/").content
    assert b"<html" in client.get("/apiary").content
    assert client.get("/api/v1/clusters").json() == {"detail": "Unauthorized"}
    client.force_login(people.olga)
    assert client.get("/api/v1/clusters?since=x").status_code in (200, 422)
    assert client.get("/api/v1/openapi.json").status_code in (200, 404)
    assert client.get("/api/v1/clusters/none").json() == {"detail": "not found"}


def test_a_host_that_is_not_ours_is_refused_as_json(client: Client) -> None:
    answer = client.get("/api/v1/clusters", headers={"Host": "elsewhere.example"})
    assert (answer.status_code, answer.json()) == (400, {"detail": "bad request"})
    assert "elsewhere.example" not in settings.ALLOWED_HOSTS
