"""What the feeds of Slurm do with what they get: each thing goes to the service that takes it from a file, too."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from measurements.domain.slurm import NOT_ENDED
from measurements.domain.units import DAY_MS, MS_PER_S, S_PER_HOUR
from measurements.feeds import slurm_gpus, slurm_jobs, slurm_members, slurm_nodes, slurm_rest
from measurements.feeds.slurm_commands import LONGEST_S, Commands
from measurements.models import Feed, GpuHold, Membership, NodeState, Run
from measurements.parsers import sacct_text, slurm_json
from measurements.parsers.node_states import read_states
from measurements.parsers.records import JobChunk, NodeRecord, ParseOptions, Refusal
from measurements.parsers.sacctmgr import read_sacctmgr
from measurements.parsers.scontrol_nodes import read_nodes
from measurements.parsers.source import Source
from measurements.services import gpu_holds
from measurements.services.feed_batches import fold
from measurements.services.feed_turns import Turn
from measurements.services.ingest_jobs import JobsInput, Parser, ingest_jobs
from measurements.services.machine import load_nodes
from measurements.services.names import NodeNames
from measurements.services.people import load_members
from measurements.services.quarantine import QuarantineDraft
from measurements.services.states import load_states

OVERLAP_S = 3_600
DEEP_OVERLAP_MS = 2 * DAY_MS  # at a feed's first turn, and with the first one of each UTC day
PIECE_H = 24
PIECES = 8  # of one turn: then others get theirs
SEEN = "asked of sinfo"  # the reason of states that no event of Slurm's tells
UTC_TIMES = ParseOptions(time_zone=UTC)


def commands(turn: Turn) -> Commands:
    """Slurm's programs, as the site and this feed have them."""
    longest_s = float(turn.option("timeout_s", LONGEST_S))
    return Commands(settings.SLURM_BIN, turn.option("conf"), turn.option("clusters"), longest_s)


# --- jobs -------------------------------------------------------------------------------------------------------------


def ask_jobs(turn: Turn) -> None:
    """Jobs of all states from behind the cursor to now, piece by piece; then those that should have ended by now."""
    jobs: _BySacct | _ByRest = _ByRest(turn) if turn.option("address") else _BySacct(turn)
    start_ms = turn.start_ms(_overlap_ms(turn))
    first_ms, piece_ms = start_ms, int(turn.option("piece_h", PIECE_H)) * S_PER_HOUR * MS_PER_S
    seen: set[str] = set()
    for _ in range(PIECES):
        end_ms = min(start_ms + piece_ms, turn.now_ms)
        _take(turn, jobs.by_time(start_ms, end_ms), jobs.parser, seen)
        turn.keep(cursor_ms=end_ms, newest_ms=end_ms)
        start_ms = end_ms
        if start_ms >= turn.now_ms:
            break
    turn.behind = start_ms < turn.now_ms
    if not turn.behind:
        _ask_for_left(turn, jobs, seen, first_ms)
    turn.count({"gpus_placed": gpu_holds.apply_waiting(turn.now)})


def _overlap_ms(turn: Turn) -> int:
    """An hour, for records that come late; once a day, and after failures, two days."""
    cursor_ms = turn.feed.cursor_ms
    new_day = cursor_ms is None or cursor_ms // DAY_MS != turn.now_ms // DAY_MS
    overlap_ms = int(turn.option("overlap_s", OVERLAP_S)) * MS_PER_S
    return max(overlap_ms, DEEP_OVERLAP_MS) if new_day or turn.feed.failures else overlap_ms


class _BySacct:
    """The jobs of accounting by Slurm's own program."""

    parser: Parser = staticmethod(sacct_text.read)

    def __init__(self, turn: Turn) -> None:
        self.slurm, self.spool = commands(turn), turn.spool
        self.steps = bool(turn.feed.options.get("steps", True))
        self.fields = slurm_jobs.fields(self.slurm, self.spool)
        for note in slurm_jobs.notes(self.slurm, self.spool):
            turn.note(note)

    def by_time(self, start_ms: int, end_ms: int) -> Path:
        return slurm_jobs.by_time(self.slurm, self.fields, start_ms, end_ms, self.spool, steps=self.steps)

    def by_id(self, ids: list[str]) -> Path:
        return slurm_jobs.by_id(self.slurm, self.fields, ids, self.spool, steps=self.steps)


class _ByRest:
    """The same by slurmrestd."""

    parser: Parser = staticmethod(slurm_json.read)

    def __init__(self, turn: Turn) -> None:
        self.spool = turn.spool
        self.rest = slurm_rest.Rest(
            turn.option("address"), turn.option("token_file"), turn.option("user"), turn.option("version"),
            float(turn.option("timeout_s", LONGEST_S)),
        )  # fmt: skip

    def by_time(self, start_ms: int, end_ms: int) -> Path:
        return slurm_rest.by_time(self.rest, start_ms, end_ms, self.spool)

    def by_id(self, ids: list[str]) -> Path:
        return slurm_rest.by_id(self.rest, ids, self.spool)


def _take(turn: Turn, path: Path, parser: Parser, seen: set[str]) -> None:
    def noting(source: Source, options: ParseOptions, now_ms: int) -> Iterator[JobChunk]:
        for chunk in parser(source, options, now_ms):
            seen.update(str(record.raw_id or record.job_id) for record in chunk.records)
            yield chunk

    what = JobsInput(noting, "feed", UTC_TIMES)
    report = ingest_jobs(turn.feed.cluster, Source(path, f"feed {turn.feed.name}"), what, turn.now)
    path.unlink()
    fold(report.batch, turn)
    turn.count({"read": report.read, "stored": report.stored, "duplicates": report.duplicates})
    _refused(turn, [(row.reason, row.count, row.example) for row in report.refused])
    for warning in report.warnings:
        turn.note(warning)


def _refused(turn: Turn, refused: list[tuple[str, int, str]]) -> None:
    known = turn.report.setdefault("refused", [])
    known += [{"reason": reason, "count": count, "example": example[:300]} for reason, count, example in refused]


def _ask_for_left(turn: Turn, jobs: _BySacct | _ByRest, seen: set[str], first_ms: int) -> None:
    """Jobs that are open here and were not among all that go on: their end was recorded late."""
    gone = set(turn.feed.last_report.get("gone", []))
    rows = Run.objects.filter(
        job__cluster=turn.feed.cluster, end_ms__isnull=True, state__in=NOT_ENDED, submit_ms__lt=first_ms
    )
    ids = rows.order_by("-pk").values_list("job__raw_id", "job__job_id")[: slurm_jobs.IDS_AT_ONCE * 4]
    left = [name for raw, text in ids if (name := str(raw or text)) not in seen | gone][: slurm_jobs.IDS_AT_ONCE]
    told: set[str] = set()
    if left:
        _take(turn, jobs.by_id(left), jobs.parser, told)
    turn.report["gone"] = sorted((gone | set(left)) - told - seen)[:1_000]


# --- nodes ------------------------------------------------------------------------------------------------------------


def ask_nodes(turn: Turn) -> None:
    """Nodes that are new here, and the states of all: Slurm's events, and what is switched off now."""
    slurm = commands(turn)
    if turn.feed.options.get("describe", True):
        _new_nodes(turn, slurm)
    start_ms = turn.start_ms(DEEP_OVERLAP_MS)
    off = [word.strip() for word in str(turn.option("off_states")).split(",") if word.strip()]
    events = slurm_nodes.events(slurm, start_ms, turn.now_ms, turn.spool)
    records, refusals, _ = read_states(Source(events, f"feed {turn.feed.name}"), UTC_TIMES, off)
    done = load_states(turn.feed.cluster, records)
    now_off = slurm_nodes.off_now(slurm, turn.spool, off)
    seen = load_states(turn.feed.cluster, slurm_nodes.snapshot(now_off, _told_off(turn), turn.now_ms, SEEN))
    turn.keep(cursor_ms=turn.now_ms, newest_ms=turn.now_ms)
    turn.count({
        "read": len(records) + len(refusals), "stored": done.created + done.changed + seen.created + seen.changed,
        "duplicates": done.unchanged,
    })  # fmt: skip
    _refused_lines(turn, refusals)
    for name in sorted({record.node for record in done.unknown})[:5]:
        turn.note(f"node {name} is not known here")


def _new_nodes(turn: Turn, slurm: Commands) -> None:
    """Describe nodes that are not known; what a site said of its nodes is never changed by what Slurm guesses."""
    path = slurm_nodes.described(slurm, turn.spool)
    records, refusals, warnings = read_nodes(Source(path, f"feed {turn.feed.name}"), UTC_TIMES)
    names = NodeNames(turn.feed.cluster)
    fresh: list[NodeRecord] = [record for record in records if names.lookup(record.node) < 0]
    if fresh:
        turn.count({"nodes_created": load_nodes(turn.feed.cluster, fresh).created})
    _refused_lines(turn, refusals)
    for warning in warnings:
        turn.note(warning)


def _told_off(turn: Turn) -> dict[str, tuple[str, int, str]]:
    """The nodes of which it is known that they are off now: state, since when, reason."""
    rows = NodeState.objects.filter(node__cluster=turn.feed.cluster, end_ms__isnull=True, power=NodeState.Power.OFF)
    found = {}
    for name, state, start_ms, reason in rows.values_list("node__name", "state", "start_ms", "reason"):
        if name not in found or reason == SEEN:
            found[name] = (state, start_ms, reason)
    return found


def _refused_lines(turn: Turn, refusals: list[Refusal]) -> None:
    draft = QuarantineDraft()
    draft.add(refusals)
    _refused(turn, [(row.reason, row.count, row.example) for row in draft.counts()])


# --- people -----------------------------------------------------------------------------------------------------------


def ask_members(turn: Turn) -> None:
    """Accounts, members and coordinators; who is gone from them ends today."""
    path = slurm_members.dumped(commands(turn), turn.option("clusters") or turn.feed.cluster.name, turn.spool)
    found = read_sacctmgr(Source(path, f"feed {turn.feed.name}"))
    others = Feed.objects.filter(kind=Feed.Kind.SLURM_MEMBERS, enabled=True).exclude(pk=turn.feed.pk)
    if others.exists():
        found.complete = frozenset({"nobody"})
        turn.note("several clusters have such a feed: nobody's role ends, for it may go on in another one")
    report = load_members(found, Membership.Source.SACCTMGR, timezone.localdate(turn.now), since=None, dry_run=False)
    turn.keep(cursor_ms=turn.now_ms, newest_ms=turn.now_ms)
    stored = report.projects_created + report.projects_changed + report.created + report.changed + report.ended
    turn.count({"read": len(found.members) + len(found.projects), "stored": stored, "duplicates": report.unchanged})
    _refused_lines(turn, [*found.refusals, *report.refusals])


# --- GPUs -------------------------------------------------------------------------------------------------------------


def ask_gpus(turn: Turn) -> None:
    """Which GPUs the running jobs hold."""
    holds, refusals = slurm_gpus.held(commands(turn), turn.spool, turn.now_ms)
    report = gpu_holds.take(turn.feed.cluster, holds, GpuHold.Via.SCONTROL, turn.now)
    turn.keep(cursor_ms=turn.now_ms, newest_ms=turn.now_ms)
    turn.count({
        "read": len(holds), "stored": report.stored, "duplicates": report.known, "applied": report.applied,
        "waiting": report.waiting,
    })  # fmt: skip
    _refused_lines(turn, refusals)
    _refused(turn, [(reason, count, "") for reason, count in sorted(report.refused.items())])
