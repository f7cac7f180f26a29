"""What senders push: power as CSV or JSON, Prometheus remote write, and which job holds which GPU."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from ninja import Router

from measurements.domain.units import ms_from_datetime
from measurements.models import Token
from measurements.parsers import agent_losses, power_csv, power_json
from measurements.parsers.body import Body, json_object
from measurements.parsers.records import ParseOptions, PowerChunk
from measurements.services.directories import directory_of
from measurements.services.push import push, tell_losses
from measurements.services.quarantine import RefusedCount
from portal.push_answers import told
from portal.push_body import Refused, body_of
from portal.push_holds import take_holds
from portal.senders import Sender

router = Router(tags=["push"])
POWER, JOBS = Sender(Token.Scope.POWER_WRITE), Sender(Token.Scope.JOBS_WRITE)
_CSV = "timestamp,node,watts\n2025-03-01T12:00:00Z,n001,345\n"
_SAMPLE = {"timestamp": "2025-03-01T12:00:00Z", "node": "n001", "channel": "gpu0", "watts": 210.5}


def takes(**contents: Any) -> dict[str, Any]:
    """The description of a body that is not read by the interface's own parser."""
    return {"requestBody": {"required": True, "content": contents}}


@router.post(
    "/power",
    auth=POWER,
    summary="Send power readings",
    description="CSV or JSON, plain or packed (gzip, zstd). Answered once it is on disk; what came before is known.",
    openapi_extra=takes(
        **{
            "text/csv": {"schema": {"type": "string"}, "example": _CSV},
            "application/json": {"schema": {"type": "object"}, "example": {"samples": [_SAMPLE]}},
        }
    ),
)
def power(request: HttpRequest) -> HttpResponse:
    """Take readings in the plain forms."""
    now = timezone.now()
    with body_of(request) as body:
        chunks = _plain(request, body, ms_from_datetime(now))
        is_json = request.content_type == "application/json"
        losses = agent_losses.read(body) if is_json else []
        report = push(sender(request), chunks, now)
        if report.usable:
            tell_losses(sender(request), losses, now)
        if is_json and not report.read:
            report.refused.extend(_would_be_refused(sender(request), json_object(body).get("node"), now))
        return told(report)


def _would_be_refused(token: Token, node: Any, now: datetime) -> list[RefusedCount]:
    """Of a body without samples: that those of its node would be refused. An agent asks so whether it is known."""
    if not isinstance(node, str) or not node:
        return []
    if directory_of(token.cluster, [node]).at(node, ms_from_datetime(now)) >= 0:
        return []
    return [RefusedCount("unknown node", 0, 0, f"{node[:255]} is not described in the cluster {token.cluster.name}")]


def _plain(request: HttpRequest, body: bytes, now_ms: int) -> Sequence[PowerChunk]:
    match request.content_type:
        case "text/csv":
            return list(power_csv.read(Body(body), ParseOptions(), now_ms)) if body.strip() else []
        case "application/json":
            return power_json.read(body, now_ms)
    raise Refused(415, f"Content-Type {request.content_type!r}: send text/csv or application/json")


@router.post(
    "/gpu-holds",
    auth=JOBS,
    summary="Say which job holds which GPU",
    openapi_extra=takes(
        **{
            "application/json": {
                "schema": {"type": "object"},
                "example": {"holds": [{"job_id": "123", "node": "n001", "index": 0, "seen": "2025-03-01T12:00:00Z"}]},
            }
        }
    ),
)
def gpu_holds(request: HttpRequest) -> HttpResponse:
    """Take what a prolog or an agent saw."""
    if request.content_type != "application/json":
        raise Refused(415, f"Content-Type {request.content_type!r}: send application/json")
    with body_of(request) as body:
        status, content = take_holds(sender(request), json_object(body), timezone.now())
    return JsonResponse(content, status=status)


def sender(request: HttpRequest) -> Token:
    token: Token = request.auth  # type: ignore[attr-defined]
    return token
