"""Static files, sent packed: what a page needs for its first view is a third of what lies on the disk.

Only static files are. They are the same for everybody; a page stands beside what its reader typed (`?q=`), and whoever
can make a browser ask for it could guess the one from the other by the packed length (BREACH). Pages are small enough.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from typing import Any
from wsgiref.headers import Headers

from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.responders import Response, StaticFile

PACKED = (".css", ".js", ".json", ".map", ".svg", ".txt")
LEAST_BYTES = 256  # below this the header costs more than it saves
TAKES_GZIP = re.compile(r"\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))")


class PackedFile(StaticFile):  # type: ignore[misc]  # whitenoise has no types
    """A static file, packed for a browser that asks for all of it."""

    def get_response(self, method: str, request_headers: Mapping[str, str]) -> Response:
        """As it lies on the disk, or packed."""
        response = super().get_response(method, request_headers)
        asked = TAKES_GZIP.search(request_headers.get("HTTP_ACCEPT_ENCODING", ""))
        if response.status != HTTPStatus.OK or not asked:
            return response
        path: str = self.get_path_and_headers(request_headers)[0]
        packed = _packed(path, Path(path).stat().st_mtime_ns)
        if packed is None:
            return response
        if response.file:
            response.file.close()
        headers = [(name, value) for name, value in response.headers if name != "Content-Length"]
        headers += [("Content-Encoding", "gzip"), ("Content-Length", str(len(packed)))]
        return Response(response.status, headers, BytesIO(packed) if response.file else None)


class PackedStaticFiles(WhiteNoiseMiddleware):  # type: ignore[misc]
    """Serves the static files of the clone."""

    def get_static_file(self, path: str, url: str, stat_cache: Mapping[str, Any] | None = None) -> StaticFile:
        """As whitenoise does, but for its packed neighbours on the disk, of which there are none."""
        if stat_cache is None and not Path(path).exists():
            return super().get_static_file(path, url)  # raises what its caller knows
        headers = Headers([("Vary", "Accept-Encoding")])
        self.add_mime_headers(headers, path, url)
        self.add_cache_headers(headers, path, url)
        return PackedFile(path, headers.items(), stat_cache=stat_cache)


@lru_cache(maxsize=512)
def _packed(path: str, _written_ns: int) -> bytes | None:
    """Packed once and kept; None if it is not worth it."""
    if not path.endswith(PACKED):
        return None
    content = Path(path).read_bytes()
    packed = gzip.compress(content, 9, mtime=0)
    return packed if len(content) >= LEAST_BYTES and len(packed) < len(content) else None
