"""Several files as one archive (.zip), streamed: nothing lies in memory or on disk as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from zipfile import ZIP_DEFLATED, ZipFile

ARCHIVE = "application/zip"


class _Outlet:
    """What is written to it is taken from it; it has no beginning to go back to."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing waits."""

    def taken(self) -> bytes:
        taken, self._parts = b"".join(self._parts), []
        return taken


def archive(files: Iterable[tuple[str, Iterable[str]]]) -> Iterator[bytes]:
    """The archive of some files, each a name and its text in pieces."""
    outlet = _Outlet()
    with ZipFile(outlet, "w", ZIP_DEFLATED) as made:  # type: ignore[call-overload] # it needs no more than that
        for name, pieces in files:
            with made.open(name, "w", force_zip64=True) as file:
                for piece in pieces:
                    file.write(piece.encode())
                    yield outlet.taken()
    yield outlet.taken()
