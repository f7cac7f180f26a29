"""InfluxDB's write interfaces: line protocol from whatever writes to an InfluxDB, with its stock settings.

`/api/v2/write` is version 2's (Telegraf's influxdb_v2, cc-metric-collector), `/write` version 1's; `/ping` is what
clients ask first. Organisation, bucket and database are not looked at: the token says which cluster it is.
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from measurements.domain.units import ms_from_datetime
from measurements.models import Token
from measurements.parsers.line_protocol import LineProtocol
from measurements.services.catalogues import catalogue_of
from measurements.services.push import push
from portal.push_answers import FAULTS, UNMAPPED, first_broken, first_words, status_of, with_headers
from portal.push_body import Refused, body_of
from portal.senders import sender_of

PRECISIONS = {"": "ns", "n": "ns", "ns": "ns", "u": "us", "us": "us", "µ": "us", "ms": "ms", "s": "s"}
_CODES = {400: "invalid", 401: "unauthorized", 403: "forbidden", 413: "request too large", 429: "too many requests"}


@require_safe
def ping(request: HttpRequest) -> HttpResponse:
    """Say that somebody is here."""
    return HttpResponse(status=204)


@csrf_exempt  # a sender has a token and no cookie
@require_POST
def write(request: HttpRequest) -> HttpResponse:
    """Take lines; 204 when they are on disk, 400 where some are broken: the good ones are stored all the same."""
    try:
        return _written(request)
    except FAULTS as fault:
        status, sentence = status_of(fault)
        return _refused(status, sentence)


def _written(request: HttpRequest) -> HttpResponse:
    now, token = timezone.now(), sender_of(request, Token.Scope.POWER_WRITE)
    precision = PRECISIONS.get(request.GET.get("precision", ""))
    if precision is None:
        raise Refused(400, "precision is none of ns, us, ms, s")
    with body_of(request) as body:
        with catalogue_of(token.cluster_id) as catalogue:
            now_ms = ms_from_datetime(now)
            chunk = LineProtocol(catalogue, precision, at_ms=now_ms).chunk(body, now_ms, told=set())
        broken = first_broken(chunk.refusals)
        report = push(token, [chunk], now)
    if broken:
        return _refused(400, f"partial write: {broken}" if report.usable else broken)
    words = first_words(report, UNMAPPED)
    return _refused(422, words) if words and not report.usable else HttpResponse(status=204)


def _refused(status: int, sentence: str) -> HttpResponse:
    """As InfluxDB says it; `error` is where version 1 looks."""
    code = _CODES.get(status, "unavailable" if status == 503 else "unprocessable entity")
    return with_headers(JsonResponse({"code": code, "message": sentence, "error": sentence}, status=status))
