"""The REST interface under /api/v1/: the same figures as the commands, for whoever is logged in; tags are written."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import ValidationError
from ninja.security import django_auth

from measurements.domain.tag_edits import TagsRefused
from measurements.models import Token
from measurements.services.audit import NotNoted
from portal.api.boards import router as boards
from portal.api.clusters import router as clusters
from portal.api.energy import router as energy
from portal.api.node_types import router as node_types
from portal.api.push import router as push
from portal.api.push_series import router as push_series
from portal.api.tags import router as tags
from portal.api.usage import router as usage
from portal.api.workloads import router as workloads
from portal.push_answers import FAULTS, refusal
from portal.senders import note_unusable

api = NinjaAPI(
    title="Joulebook",
    version="1",
    description="Energy, emissions, cost and water of jobs. Joules, seconds and grams CO2e, unrounded; days are UTC.",
    docs_url=None,  # its page loads scripts from elsewhere; the description is at openapi.json
    auth=django_auth,
    urls_namespace="api",
)
api.add_router("", energy)
api.add_router("", usage)
api.add_router("", clusters)
api.add_router("", node_types)
api.add_router("", tags)
api.add_router("", boards)
api.add_router("", workloads)
api.add_router("", push)
api.add_router("", push_series)


@api.exception_handler(Http404)
def not_found(request: HttpRequest, exc: Http404 | type[Http404]) -> HttpResponse:
    """What does not exist and what one may not see look the same."""
    return api.create_response(request, {"detail": "not found"}, status=404)


@api.exception_handler(NotNoted)
def not_noted(request: HttpRequest, exc: NotNoted | type[NotNoted]) -> HttpResponse:
    """What is somebody else's is not shown while it cannot be noted who reads it."""
    return api.create_response(request, {"detail": "this read could not be noted; try again"}, status=503)


@api.exception_handler(TagsRefused)
def not_kept(request: HttpRequest, exc: TagsRefused | type[TagsRefused]) -> HttpResponse:
    """Which tag, and why."""
    said = [{"where": exc.key, "reason": exc.reason}] if isinstance(exc, TagsRefused) else []
    return api.create_response(request, {"detail": "not kept", "errors": said}, status=422)


@api.exception_handler(ValidationError)
def not_understood(request: HttpRequest, exc: ValidationError | type[ValidationError]) -> HttpResponse:
    """Which parameter, and why."""
    errors = exc.errors if isinstance(exc, ValidationError) else []
    said = [{"where": ".".join(map(str, row["loc"])), "reason": row["msg"]} for row in errors]
    return api.create_response(request, {"detail": "not understood", "errors": said}, status=422)


def not_taken(request: HttpRequest, exc: Exception | type[Exception]) -> HttpResponse:
    """Why a push was not taken."""
    if not isinstance(exc, Exception):
        return HttpResponse(status=500)
    shown = getattr(request, "auth", None)
    note_unusable(shown if isinstance(shown, Token) else None, exc)
    return refusal(exc)


for fault in FAULTS:
    api.add_exception_handler(fault, not_taken)
