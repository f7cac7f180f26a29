"""Reading inputs: compression, breaks, line numbers, bounded memory, folders, streams."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import random
import sys
import threading
import tracemalloc
import zlib
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from measurements.parsers.records import UnusableFile
from measurements.parsers.source import LINE_LIMIT_BYTES, Source, expand
from tests.measurements.parsers.reading import source_of

LINES = b"".join(
    b"2025-03-01T12:%02d:%02dZ,n%03d,%d\n" % (i // 60 % 60, i % 60, i % 7, i * 37 % 500) for i in range(9000)
)


def zstd(data: bytes, step: int = 1 << 30) -> bytes:
    """Compressed, flushed every ``step`` bytes as a logger does."""
    target = pa.BufferOutputStream()
    with pa.CompressedOutputStream(target, "zstd") as stream:
        for start in range(0, len(data), step):
            stream.write(data[start : start + step])
            stream.flush()
    return bytes(target.getvalue())


def content(source: Source, size: int = 8 << 20) -> bytes:
    return b"".join(block for _, block in source.blocks(size))


@pytest.mark.parametrize("packed", [LINES, gzip.compress(LINES, mtime=0), zstd(LINES), gzip.compress(LINES[:90]) * 3])
def test_content_is_the_same_however_it_is_packed(tmp_path: Path, packed: bytes) -> None:
    source = source_of(tmp_path, packed)
    assert content(source) == (LINES if len(packed) > 999 else LINES[:90] * 3)
    assert source.sha256 == hashlib.sha256(packed).hexdigest()


@given(whole=st.text("ab\r\né,", max_size=200).map(lambda text: f"x{text}".encode()), size=st.integers(1, 60))
def test_blocks_are_whole_lines_with_exact_numbers(
    tmp_path_factory: pytest.TempPathFactory, whole: bytes, size: int
) -> None:
    got = list(source_of(tmp_path_factory.mktemp("blocks"), whole).blocks(size))
    assert b"".join(block for _, block in got) == whole
    assert all(block.endswith(b"\n") for _, block in got[:-1])
    before = 0
    for first, block in got:
        assert first == before + 1
        before += block.count(b"\n")


def test_byte_order_mark_and_line_ends_are_taken_off(tmp_path: Path) -> None:
    source = source_of(tmp_path, b"\xef\xbb\xbfa\r\n\r\nb")
    assert list(source.lines()) == [(1, "a"), (2, ""), (3, "b")]
    assert source.head() == b"a\r\n\r\nb"


@pytest.mark.parametrize("cut", [40_000, 20_000, 700])
def test_of_a_truncated_gzip_all_whole_lines_come_and_the_cut_one_is_refused(tmp_path: Path, cut: int) -> None:
    packed = gzip.compress(LINES, mtime=0)[:cut]
    good = zlib.decompressobj(31).decompress(packed)
    source = source_of(tmp_path, packed)
    kept = good[: good.rfind(b"\n") + 1]
    assert kept
    assert content(source) == kept
    (refusal,) = source.take_refusals()
    assert (refusal.reason, refusal.line) == ("truncated gzip", kept.count(b"\n") + 1)
    assert refusal.text == good[len(kept) :].decode()


def test_a_compressed_file_that_is_cut_before_its_first_byte_is_empty(tmp_path: Path) -> None:
    for packed in (gzip.compress(LINES, mtime=0)[:11], zstd(LINES)[:5]):
        with pytest.raises(UnusableFile, match="empty"):
            content(source_of(tmp_path, packed))


def test_a_broken_checksum_is_told_and_costs_no_line(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(LINES, mtime=0))
    packed[-6] ^= 255
    source = source_of(tmp_path, bytes(packed))
    assert content(source) == LINES
    assert [(r.reason, r.line) for r in source.take_refusals()] == [("corrupt gzip", LINES.count(b"\n") + 1)]


def test_of_a_truncated_zstd_every_flushed_byte_comes(tmp_path: Path) -> None:
    packed = zstd(LINES, step=1000)
    source = source_of(tmp_path, packed[: len(packed) // 2])
    got = content(source)
    (refusal,) = source.take_refusals()
    assert (refusal.reason, refusal.line) == ("truncated zstd", got.count(b"\n") + 1)
    assert got == LINES[: len(got)]
    # what is kept is short of a flushed thousand bytes only by the line that was cut
    assert (len(got) + len(refusal.text)) % 1000 == 0


def test_zeros_behind_a_gzip_member_are_padding_but_other_bytes_are_told(tmp_path: Path) -> None:
    padded, followed = gzip.compress(LINES, mtime=0) + bytes(600), gzip.compress(LINES) + b"junk"
    source = source_of(tmp_path, padded)
    assert content(source) == LINES
    assert source.take_refusals() == []
    source = source_of(tmp_path, followed)
    assert content(source) == LINES
    assert [r.reason for r in source.take_refusals()] == ["corrupt gzip"]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "empty"),
        (b"\n \n", "empty"),
        (gzip.compress(b"", mtime=0), "empty"),
        (b"\x7fELF\0\0\0\0" * 99, "not a text file"),
        (random.Random(7).randbytes(9000), "not a text file"),
        ("timestamp,node,watts\n".encode("utf-16-le"), "byte order mark"),
        (b"PK\x03\x04rest", "a zip archive: unpack it"),
        (b"PK\x03\x04 [Content_Types].xml", r"an Excel workbook \(.xlsx\): save it as CSV"),
        (b"%PDF-1.7", "a PDF"),
        (b"\xfd7zXZ\0\0", "packed with xz"),
    ],
)
def test_what_is_no_text_is_refused_as_a_whole(tmp_path: Path, raw: bytes, said: str) -> None:
    with pytest.raises(UnusableFile, match=said):
        list(source_of(tmp_path, raw).blocks())


@pytest.mark.parametrize("code", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("packed", [False, True])
def test_utf_16_with_its_mark_is_read_as_the_text_it_is(tmp_path: Path, code: str, packed: bool) -> None:  # noqa: FBT001 - a case
    text = "timestamp,Zähler\r\n" * 200_000
    raw = ("\ufeff" + text).encode(code)
    source = source_of(tmp_path, gzip.compress(raw, mtime=0) if packed else raw)
    assert content(source) == text.encode()
    assert source.head(20) == text.encode()[:20]
    assert source.packing() == (("gzip",) if packed else ()) + ("UTF-16",)


def test_a_run_of_zeros_inside_a_log_does_not_make_it_unusable(tmp_path: Path) -> None:
    raw = LINES[:6000] + bytes(600) + b"\n" + LINES[:60]
    assert content(source_of(tmp_path, raw)) == raw


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnusableFile, match=r"gone\.csv: No such file.*is the path right"):
        expand([tmp_path / "gone.csv"], tmp_path)


@pytest.mark.parametrize("packed", [False, True])
def test_a_line_of_64_mib_is_refused_in_bounded_memory(tmp_path: Path, packed: bool) -> None:  # noqa: FBT001 - a case
    path = tmp_path / "long.csv"
    with gzip.open(path, "wb", compresslevel=1) if packed else path.open("wb") as stream:
        stream.write(b"one\ntwo\n")
        for _ in range(64):
            stream.write(b"x" * (1 << 20))
        stream.write(b"\nfour\n" + b"y" * (LINE_LIMIT_BYTES + 1))
    source = Source(path)
    tracemalloc.start()
    got = list(source.blocks())
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert b"".join(block for _, block in got) == b"one\ntwo\nfour\n"
    assert got[-1] == (4, b"four\n")
    refusals = source.take_refusals()
    assert [(r.reason, r.line) for r in refusals] == [("line too long", 3), ("line too long", 5)]
    assert all(len(r.text) == 500 for r in refusals)
    assert peak_bytes < 16 << 20


def test_the_longest_line_that_is_taken(tmp_path: Path) -> None:
    raw = b"a\n" + b"x" * LINE_LIMIT_BYTES + b"\n" + b"y" * (LINE_LIMIT_BYTES + 1) + b"\nz\n"
    source = source_of(tmp_path, raw)
    assert content(source, 1000) == b"a\n" + b"x" * LINE_LIMIT_BYTES + b"\nz\n"
    assert [(r.reason, r.line) for r in source.take_refusals()] == [("line too long", 3)]


def test_standard_input_is_spooled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(LINES, mtime=0))))
    (source,) = expand(["-"], tmp_path / "spool")
    assert content(source) == content(source) == LINES
    assert source.path.parent == tmp_path / "spool"


def test_a_named_pipe_is_spooled(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(LINES,))
    writer.start()
    (source,) = expand([pipe], tmp_path / "spool")
    writer.join()
    assert content(source) == LINES
    assert source.name == str(pipe)


def test_a_folder_gives_its_job_folders_and_files_in_order(tmp_path: Path) -> None:
    job = tmp_path / "archive" / "emmy" / "1403" / "244" / "1608923076"
    job.mkdir(parents=True)
    for path in (
        job / "meta.json",
        job / "data.json.gz",
        job.parents[2] / "cluster.json",
        tmp_path / "archive" / "b.csv",
    ):
        path.write_bytes(b"{}")
    (tmp_path / "archive" / ".hidden").write_bytes(b"{}")
    (tmp_path / "archive" / "loop").symlink_to(tmp_path)
    found = expand([tmp_path / "archive"], tmp_path)
    assert [(source.path.name, source.folder) for source in found] == [("b.csv", None), ("data.json.gz", job)]
    assert found[1].meta_path == job / "meta.json"
    (tmp_path / "void").mkdir()
    with pytest.raises(UnusableFile, match="an empty folder"):
        expand([tmp_path / "void"], tmp_path)


def test_the_hash_of_a_job_folder_covers_its_meta_data(tmp_path: Path) -> None:
    (tmp_path / "meta.json").write_text("{}")
    (tmp_path / "data.json").write_text("{}")
    (before,) = expand([tmp_path], tmp_path)
    first = before.sha256
    (tmp_path / "meta.json").write_text('{"startTime": 1}')
    (after,) = expand([tmp_path], tmp_path)
    assert after.sha256 != first


def test_a_log_that_grows_is_read_up_to_where_it_was(tmp_path: Path) -> None:
    source = source_of(tmp_path, b"a\nb\n")
    with source.path.open("ab") as stream:
        stream.write(b"c\n")
    assert content(source) == b"a\nb\n"
    assert source.sha256 == hashlib.sha256(b"a\nb\n").hexdigest()


def test_texts_of_some_lines(tmp_path: Path) -> None:
    source = source_of(tmp_path, LINES)
    assert source.texts([2, 9000]) == {2: LINES.splitlines()[1].decode(), 9000: LINES.splitlines()[-1].decode()}
