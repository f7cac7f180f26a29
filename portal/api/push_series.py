"""Prometheus remote write 1.0: series by their labels, read by the mappings."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Router

from measurements.domain.units import ms_from_datetime
from measurements.parsers.remote_write import RemoteWrite
from measurements.services.catalogues import catalogue_of
from measurements.services.push import push
from portal.api.push import POWER, sender, takes
from portal.push_answers import UNMAPPED, first_words
from portal.push_body import MIB, Refused, body_of

router = Router(tags=["push"])
_PROTOBUF = "application/x-protobuf"


@router.post(
    "/prometheus/write",
    auth=POWER,
    summary="Prometheus remote write 1.0",
    description="Answers 204. Series that no mapping knows are left out and counted: they are no fault of the sender.",
    openapi_extra=takes(**{_PROTOBUF: {"schema": {"type": "string", "format": "binary"}}}),
)
def remote_write(request: HttpRequest) -> HttpResponse:
    """Take what a Prometheus sends on."""
    if request.content_type != _PROTOBUF or "v2" in (request.content_params or {}).get("proto", ""):
        raise Refused(415, "send Prometheus remote write 1.0: Content-Type application/x-protobuf")
    now, token = timezone.now(), sender(request)
    with body_of(request, snappy=True, busy=503) as body:  # of 429 it says: drop
        with catalogue_of(token.cluster_id) as catalogue:
            chunk = RemoteWrite(catalogue).chunk(body, ms_from_datetime(now), set(), settings.PUSH_UNPACKED_MIB * MIB)
        report = push(token, [chunk], now)
    words = first_words(report, UNMAPPED)
    if words and not report.usable:  # 400 alone is dropped by all: vmagent sends any other one again and again
        return HttpResponse(words, status=400, content_type="text/plain; charset=utf-8")
    return HttpResponse(status=204)
