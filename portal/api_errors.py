"""Errors below /api/ in the form that programs expect: what Django answers with a page is said as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

LIKE_INFLUX = ("/api/v2/", "/api/write/", "/write/", "/query/", "/ping/")  # what clients of InfluxDB ask for
_CODES = {
    400: "invalid",
    401: "unauthorized",
    403: "forbidden",
    404: "not found",
    405: "method not allowed",
    413: "request too large",
    429: "too many requests",
    500: "internal error",
    503: "unavailable",
}


def influx_form(status: int, sentence: str) -> dict[str, str]:
    """As InfluxDB says it; `error` is where version 1 looks."""
    return {"code": _CODES.get(status, "unprocessable entity"), "message": sentence, "error": sentence}


def errors_as_json(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[..., HttpResponse]:
    """Replace the page of an error by the form of its interface; what an interface says itself stays."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        asked = f"{request.path_info.rstrip('/')}/"
        like_influx = asked.startswith(LIKE_INFLUX)
        if response.status_code < 400 or not (like_influx or asked.startswith("/api/")):
            return response
        if not response.headers.get("Content-Type", "").startswith("text/html"):
            return response
        sentence = _sentence(response)
        said = influx_form(response.status_code, sentence) if like_influx else {"detail": sentence}
        response.content = json.dumps(said)  # in its place: the other headers, Allow among them, stay
        response.headers["Content-Type"] = "application/json"
        response.headers["Content-Length"] = str(len(response.content))
        return response

    return middleware


def _sentence(response: HttpResponse) -> str:
    match response.status_code:
        case 404:
            return "not found"
        case 405:
            return f"method not allowed; allowed: {response.headers.get('Allow') or 'none'}"
        case 500:
            return "internal error: the log of the site says more"
    return response.reason_phrase.lower()
