"""What the simulated site's operators find in the morning: things that are late, refused, doubtful, to be decided.

All of it comes through the services that a real site's comes through. Nothing of it changes a figure but for the hours
that a frozen sensor repeated, which one of the operators left out.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from measurements.demo.cluster import CPU, HIGH_MEMORY, SWITCHES
from measurements.demo.faults import FROZEN_NODES
from measurements.demo.logs import nodes_csv, power_csv
from measurements.demo.note import write_bytes
from measurements.demo.people import OPERATOR, SECOND_OPERATOR
from measurements.demo.site import book_all, folder
from measurements.domain.plausibility import Rule
from measurements.domain.units import ms_from_datetime
from measurements.models import Batch, Cluster, Doubt, Feed, Intake, Token
from measurements.parsers.source import Source
from measurements.services import feeds
from measurements.services.doubts import decide
from measurements.services.giving import Upload
from measurements.services.taking import take
from measurements.services.tokens import make_token, note_uses, revoke_token
from measurements.services.trying import try_next

NEW_NODE = f"{CPU.prefix}{CPU.count + 1:02d}"  # it stands in its rack and logs, and nobody has described it
OF_RACK = f"power-rack3-{NEW_NODE}.csv"
OF_OUTLETS = "rack3-outlets.prom"
NEW_NODES = "nodes-rack3.csv"
NAIVE = f"bmc-{HIGH_MEMORY.nodes[0]}.csv"
AGENT, OUTLETS = "gpu-agents", "rack3-outlets"
SILENT_FOR = timedelta(hours=5)
FAILED_BEFORE_H = (9, 6, 4, 2)  # when the outlets were asked: so often that they are late
FULL_MINUTES = 60
REASON = "Its GPUs worked meanwhile: the BMC hung, and was reset."
BOTH = (Token.Scope.POWER_WRITE.value, Token.Scope.JOBS_WRITE.value)


def leave_questions(cluster: Cluster, seed: int, now: datetime) -> None:
    """Leave them once; a killed start goes on, a later one adds nothing."""
    if not Token.objects.filter(cluster=cluster).exists():
        _make_senders(cluster, now)
    if not Feed.objects.filter(cluster=cluster).exists():
        _ask_in_vain(cluster, now)
    _refuse(cluster, seed, now)
    if not Intake.objects.exclude(given_by="").exists():
        _give(cluster, seed, now)
    _decide(cluster, now)


def _make_senders(cluster: Cluster, now: datetime) -> None:
    """An agent that is silent since the night, one that was replaced, one that is to come."""
    made = now - timedelta(days=40)
    agents, _ = make_token(cluster, AGENT, BOTH, by=OPERATOR, now=made, late_after_s=900)
    old, _ = make_token(cluster, "telegraf-login", BOTH[:1], by=SECOND_OPERATOR, now=made)
    make_token(cluster, "rack3-gateway", BOTH[:1], by=OPERATOR, now=now - timedelta(hours=3), late_after_s=900)
    silent_since = now - SILENT_FOR
    note_uses([(agents, ms_from_datetime(silent_since))], silent_since)
    note_uses([(old, ms_from_datetime(now - timedelta(days=12)))], now - timedelta(days=12))
    revoke_token(old, now - timedelta(days=11))


def _ask_in_vain(cluster: Cluster, now: datetime) -> None:
    """A feed whose host nobody has allowed: it says so itself, and no network is touched."""
    listed = write_bytes(folder() / "outlets.csv", f"node,address\n{SWITCHES},https://rack3-pdu.invalid\n".encode())
    feed = feeds.add(cluster, OUTLETS, Feed.Kind.REDFISH, {"bmc_file": str(listed)}, now, every_s=300, late_after_s=900)
    feeds.logger.disabled = True  # who starts the demo need not read of it
    try:
        for hours in FAILED_BEFORE_H:
            feeds.ask(feed.pk, now - timedelta(hours=hours), at_once=True)
    finally:
        feeds.logger.disabled = False


# --- Files that hold what cannot be used --------------------------------------------------------


def _refuse(cluster: Cluster, seed: int, now: datetime) -> None:
    """A log with a node that nobody knows, and one with a metric that nobody mapped."""
    for name, text in ((OF_RACK, _rack_log(seed, now)), (OF_OUTLETS, _outlets(now))):
        if Batch.objects.filter(cluster=cluster, source__endswith=name).exists():
            continue
        take(
            Intake.Content.POWER, cluster, Source(write_bytes(folder() / name, text.encode()), name), {}, timezone.now()
        )


def _hour_of(seed: int, node: str, begin: datetime) -> list[str]:
    """The header and a node's own lines of an hour, as they came in already."""
    start_s = int(begin.timestamp())
    header, *lines = power_csv(seed, begin.date(), start_s, start_s + 3_600).decode().splitlines()
    return [header, *(line for line in lines if line.split(",")[1] == node)]


def _yesterday(now: datetime, hour: int) -> datetime:
    return (now - timedelta(days=1)).replace(hour=hour, minute=0, second=0, microsecond=0)


def _rack_log(seed: int, now: datetime) -> str:
    """What is known already, the same of a node that is not, and a sensor that answered 0 W five times."""
    known = CPU.nodes[-1]
    header, *lines = _hour_of(seed, known, _yesterday(now, 8))
    new = [line.replace(f",{known},", f",{NEW_NODE},") for line in lines]
    zeros = [f"{_yesterday(now, 9) + timedelta(minutes=7 * k):%Y-%m-%dT%H:%M:%SZ},{known},0" for k in range(5)]
    blank = "," * (header.count(",") - 2)
    return "\n".join([header, *lines, *new, *(line + blank for line in zeros), ""])


def _outlets(now: datetime) -> str:
    """An hour of an exporter's own metric, as OpenMetrics text."""
    first_s = int(_yesterday(now, 8).timestamp())
    said = [f'rack_outlet_watts{{host="{SWITCHES}"}} {742 + k % 9} {first_s + 60 * k}' for k in range(FULL_MINUTES)]
    return "\n".join(["# TYPE rack_outlet_watts gauge", *said, "# EOF", ""])


# --- Files that wait for a decision -------------------------------------------------------------


def _give(cluster: Cluster, seed: int, now: datetime) -> None:
    """The list that the new node is missing from, and a log whose clock nobody named; both are tried."""
    header, *rows = nodes_csv().splitlines()
    like = next(row for row in rows if row.startswith(f"{CPU.nodes[-1]},"))
    _upload(
        cluster, NEW_NODES, Intake.Content.NODES, "\n".join([header, like.replace(CPU.nodes[-1], NEW_NODE), ""]), now
    )
    _upload(cluster, NAIVE, Intake.Content.POWER, _naive_log(seed, now), now)
    while try_next(timezone.now):
        pass


def _naive_log(seed: int, now: datetime) -> str:
    """An hour of a BMC as the clock on the wall has it."""
    _header, *lines = _hour_of(seed, HIGH_MEMORY.nodes[0], _yesterday(now, 10))
    cells = [line.split(",") for line in lines]
    return "\n".join(["timestamp,node,node_w", *(f"{at[:19]},{node},{watts}" for at, node, watts, *_ in cells), ""])


def _upload(cluster: Cluster, name: str, content: str, text: str, now: datetime) -> None:
    coming = Upload(name)
    coming.write(text.encode())
    coming.close()
    coming.give(cluster, content, {}, OPERATOR, now)


# --- Readings that no true sensor shows ---------------------------------------------------------


def _decide(cluster: Cluster, now: datetime) -> None:
    """One of the two that froze is decided about."""
    frozen = Doubt.objects.filter(cluster=cluster, rule=Rule.FROZEN.value, state=Doubt.State.REPORTED)
    undecided = list(frozen.filter(channel__node__name=FROZEN_NODES[0], decided_by="").values_list("pk", flat=True))
    if undecided:
        with transaction.atomic():
            decide(undecided, Doubt.State.REFUSED, OPERATOR, now, REASON)
        book_all(cluster, lambda _share, _what: None)
