"""Files that people give and that are no text: what they are by their first bytes, and what to give instead."""

from __future__ import annotations

_ZIP = b"PK\x03\x04"
_IN_WORKBOOK = (b"[Content_Types].xml", b"_rels/.rels", b"xl/")
_TEXT = "save it as CSV (UTF-8), and give that"
_KINDS: tuple[tuple[bytes, str], ...] = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", f"an old Excel workbook (.xls): {_TEXT}"),
    (b"%PDF-", f"a PDF: ask for the table behind it; {_TEXT}"),
    (b"PAR1", f"a Parquet file: {_TEXT}"),
    (b"SQLite format 3\0", f"a SQLite database: export its table; {_TEXT}"),
    (b"\x89HDF\r\n\x1a\n", f"an HDF5 file: export its table; {_TEXT}"),
    (b"\xfd7zXZ\0", "packed with xz: unpack it, or pack it with gzip or zstd"),
    (b"BZh", "packed with bzip2: unpack it, or pack it with gzip or zstd"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it and give the files in it, or pack them as .tar.gz"),
    (b"Rar!\x1a\x07", "a RAR archive: unpack it and give the files in it, or pack them as .tar.gz"),
)


def what_it_is(start: bytes) -> str:
    """What a file is by its first bytes, and the cure; empty where they tell nothing."""
    if start.startswith(_ZIP):
        if any(name in start for name in _IN_WORKBOOK):
            return f"an Excel workbook (.xlsx): {_TEXT}"
        return "a zip archive: unpack it and give the files in it, or pack them as .tar.gz"
    return next((said for mark, said in _KINDS if start.startswith(mark)), "")
