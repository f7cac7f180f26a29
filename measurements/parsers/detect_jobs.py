"""Which parser reads a file of job records: by name, or by what it begins with; file names say nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from measurements.parsers import clustercockpit_job, jobs_csv, lsf, pbs, sacct_text, sge, slurm_json, swf
from measurements.parsers.csv_rows import columns_in
from measurements.parsers.job_rows import LATEST_MS
from measurements.parsers.records import JobChunk, ParseOptions, UnusableFile
from measurements.parsers.source import Source

Read = Callable[[Source, ParseOptions, int], Iterator[JobChunk]]
_DELIMITED = re.compile(r"JobID(?:Raw)?[^\w |]\w")
_DECLARED = "sacct:"
_CURE = (
    "name the format with --format csv, sacct, sacct:JobID,State,…, sacct-xdmod, slurm-json, clustercockpit, "
    "pbs, lsf, swf or sge"
)


@dataclass(frozen=True, slots=True)
class JobParser:
    """One format of job records; call it with (source, options, now_ms) for the jobs."""

    name: str
    read: Read

    def __call__(self, source: Source, options: ParseOptions, now_ms: int = LATEST_MS) -> Iterator[JobChunk]:
        """The jobs of a source, in chunks; raises nothing but UnusableFile."""
        return self.read(source, options, now_ms)


JOB_PARSERS: dict[str, JobParser] = {
    parser.name: parser
    for parser in (
        JobParser("csv", jobs_csv.read),
        JobParser("sacct", sacct_text.read),
        JobParser("sacct-xdmod", partial(sacct_text.read, fields=sacct_text.XDMOD_FIELDS)),
        JobParser("slurm-json", slurm_json.read),
        JobParser("clustercockpit", clustercockpit_job.read_job),
        JobParser("pbs", pbs.read),
        JobParser("lsf", lsf.read),
        JobParser("swf", swf.read),
        JobParser("sge", sge.read),
    )
}


_OTHERS = (("pbs", pbs.matches), ("lsf", lsf.matches), ("swf", swf.matches), ("sge", sge.matches))


def detect_jobs(source: Source, fmt: str | None = None) -> JobParser:
    """The parser for a source; ``fmt`` names it outright, ``sacct:Field1,Field2,…`` with the columns of a text."""
    if fmt and fmt.lower().startswith(_DECLARED):
        return _declared(fmt)
    if fmt:
        if fmt not in JOB_PARSERS:
            raise UnusableFile(f"no job format {fmt!r}; {_CURE}")
        return JOB_PARSERS[fmt]
    name = "clustercockpit" if source.meta_path else _by_content(source)
    return JOB_PARSERS[name]


def _declared(fmt: str) -> JobParser:
    fields = tuple(name.partition("%")[0].strip() for name in fmt[len(_DECLARED) :].split(","))
    lower = [name.lower() for name in fields]
    if not all(fields) or len(set(lower)) < len(lower):
        raise UnusableFile(f"{fmt!r}: name each column once, as given to sacct --format")
    return JobParser(fmt, partial(sacct_text.read, fields=fields))


def _by_content(source: Source) -> str:
    head = source.head().decode("utf-8", errors="replace")
    if head.lstrip().startswith(("{", "[")):
        return "clustercockpit" if clustercockpit_job.matches_job(head) else "slurm-json"
    lines = [line.rstrip("\r") for line in head.split("\n") if line.strip()][: sacct_text.PREAMBLE_LINES] or [""]
    if "job_id" in columns_in(head):
        return "csv"
    if any(map(sacct_text.columns_of, lines)):
        return "sacct"
    if any(sacct_text.is_xdmod_row(line) for line in lines):
        return "sacct-xdmod"
    for name, matches in _OTHERS:
        if matches(lines):
            return name
    raise UnusableFile(
        f"{source.name}, line 1: no job records that are known: {lines[0][:120]!r}; {_hint(lines)}{_CURE}"
    )


def _hint(lines: list[str]) -> str:
    """What to do about a text of sacct that can't be taken as it is."""
    if _DELIMITED.match(lines[0]):
        return "columns of sacct divided by what stands in its fields too: ask for --parsable2 without --delimiter; "
    if lines[0].split()[:1] == ["JobID"]:
        return "columns of sacct cut to a width lose names: ask for --parsable2; "
    if {"jobid", "jobidraw"} & set(lines[0].lower().split("|")):
        return "columns of sacct without State: add it to --format (and Submit, Start, End, NodeList); "
    if "|" in lines[0]:
        return "rows of sacct without a header; "
    return ""
