"""InfluxDB's write interfaces: line protocol from whatever writes to an InfluxDB, with its stock settings.

`/api/v2/write` is version 2's (Telegraf's influxdb_v2, cc-metric-collector), `/write` version 1's; `/ping` is what
clients ask first, `/query` where version 1's make their database. `/api/write` is no InfluxDB's but cc-metric-store's:
seconds, and 200. Organisation, bucket and database are not looked at: the token says which cluster it is.
"""

from __future__ import annotations

import re

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from measurements.domain.units import ms_from_datetime
from measurements.models import Token
from measurements.parsers import line_protocol
from measurements.services.catalogues import catalogue_of
from measurements.services.push import push
from portal.api_errors import influx_form
from portal.push_answers import FAULTS, UNMAPPED, first_broken, first_words, status_of, with_headers
from portal.push_body import Refused, body_of
from portal.senders import note_unusable, sender_of

PRECISIONS = {"n": "ns", "ns": "ns", "u": "us", "us": "us", "µ": "us", "ms": "ms", "s": "s"}
_MADE = re.compile(r"\s*CREATE\s+DATABASE\b", re.IGNORECASE)


@require_safe
def ping(request: HttpRequest) -> HttpResponse:
    """Say that somebody is here."""
    return HttpResponse(status=204)


@csrf_exempt  # a sender has a token and no cookie
@require_POST
def write(request: HttpRequest, busy: int = 429) -> HttpResponse:
    """Take lines; 204 when they are on disk, 400 where some are broken: the good ones are stored all the same.

    ``busy``: what is answered where too much waits; version 1's clients drop what comes with 429.
    """
    return _taken(request, "ns", 204, busy)


@csrf_exempt
@require_POST
def write_as_store(request: HttpRequest) -> HttpResponse:
    """The same for the http sink of cc-metric-collector: whatever is not 200 is an error to it."""
    return _taken(request, "s", 200, 503)


@csrf_exempt
@require_POST
def query(request: HttpRequest) -> HttpResponse:
    """``CREATE DATABASE``, with which clients of version 1 begin: there is nothing to make. All else is refused."""
    try:
        sender_of(request, Token.Scope.POWER_WRITE)
    except FAULTS as fault:
        return _refused(*status_of(fault))
    if _MADE.match(request.GET.get("q") or request.POST.get("q", "")):
        return JsonResponse({"results": [{"statement_id": 0}]})
    return _refused(400, "nothing can be asked here: readings are written, and shown on pages")


def _taken(request: HttpRequest, precision: str, status: int, busy: int) -> HttpResponse:
    token = None
    try:
        token = sender_of(request, Token.Scope.POWER_WRITE)
        return _written(request, token, precision, status, busy)
    except FAULTS as fault:
        note_unusable(token, fault)
        return _refused(*status_of(fault))


def _written(request: HttpRequest, token: Token, precision: str, status: int, busy: int) -> HttpResponse:
    now = timezone.now()
    said = PRECISIONS.get(request.GET.get("precision") or precision)
    if said is None:
        raise Refused(400, "precision is none of ns, us, ms, s")
    with body_of(request, busy=busy) as body:
        with catalogue_of(token.cluster_id) as catalogue:
            chunks = list(line_protocol.chunks(body, catalogue, said, ms_from_datetime(now)))
        broken = first_broken([refusal for chunk in chunks for refusal in chunk.refusals])
        report = push(token, chunks, now)
    if broken:
        broken = broken.replace("epoch times are in seconds", f"times were read as {said}: is ?precision= right?")
        return _refused(400, f"partial write: {broken}" if report.usable else broken)
    words = first_words(report, UNMAPPED)
    return _refused(422, words) if words and not report.usable else HttpResponse(status=status)


def _refused(status: int, sentence: str) -> HttpResponse:
    return with_headers(JsonResponse(influx_form(status, sentence), status=status))
