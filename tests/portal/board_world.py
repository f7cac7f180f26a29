"""Boards with editions in every state, their frozen documents written by hand: what the pages must show of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.contrib.auth.models import Permission, User

from measurements.domain.board_document import BandRow, Document, Measure, NamedRow, Withheld, canonical
from measurements.domain.boards import RULES
from measurements.domain.statement import hash_of
from measurements.models import Board, Cluster, Edition, Project, Seat
from measurements.selectors.seats import whose

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)
FIRST, LAST = date(2026, 10, 1), date(2026, 10, 31)
State = Edition.State

TYPES = (
    NamedRow("gpu-b", "A", 1, 2, 12.0, 11.5, 12.6),
    NamedRow("gpu-a", "A", 1, 2, 11.9, 11.4, 12.7),  # its value is less, and its place the same: names decide
    NamedRow("thin", "E", 3, 3, 120.0, 110.0, None),
)
BANDS = (
    BandRow("A–B", ("amber-kite", "brisk-mole", "calm-otter", "dark-reed", "early-fox"), 0.012, 0.008, 0.02),
    BandRow("C", ("flat-stone", "green-pond", "hazel-wren", "iron-lark", "jolly-newt"), None, None, None, "dominated"),
    BandRow("D–E", ("keen-swan", "loud-wasp", "mild-yew", "new-zinc", "old-acorn"), 0.35, 0.3, 0.41),
)
PROJECTS = (
    NamedRow("physics", "B", 1, 2, 0.1, 0.08, 0.13),
    NamedRow("chemistry", "D", 1, 2, 0.2, 0.12, 0.3),
)


def make_board(slug: str, **fields: Any) -> Board:
    """A board of node types that everybody may read, or as ``fields`` say."""
    said: dict[str, Any] = {"kind": "node_types", "scope": "node_type", "audience": "public", "workload": "nnunet"}
    if fields.get("kind") in ("failed_energy", "idle_accelerators"):
        said["workload"] = ""
    said |= {"title": f"Board {slug}", "created_by": "olga", "created_at": NOW} | fields
    return Board.objects.create(slug=slug, **said)


def document(board: Board, number: int = 1, revision: int = 0, **changed: Any) -> Document:
    """What an edition of it says."""
    work = board.kind in ("node_types", "energy_per_work")
    names = ("slug", "title", "kind", "scope", "audience", "workload", "phase", "size", "target", "unit", "note")
    said = Document(
        board={name: str(getattr(board, name)) for name in names}
        | {"project": board.project.name if board.project else "", "cluster": ""},
        edition={
            "number": number,
            "revision": revision,
            "first": FIRST.isoformat(),
            "last": LAST.isoformat(),
            "zone": "UTC",
            "cutoff_at": NOW.isoformat(),
        },
        method="1",
        factors="",
        code="0.6",
        smallest_group=5,
        coverage=0.98,
        scope="NODE_AC" if work else "",
        measure=Measure(board.kind, "Wh" if work else "", "query" if work else "", 3 if work else 2),
        rules=RULES,
        withheld=(Withheld("little_energy", "old-type"),) if board.scope == "node_type" else (),
        bands=BANDS if board.scope == "user" else (),
        rows={"node_type": TYPES, "project": PROJECTS}.get(board.scope, ()),
        left_out=2 if board.scope == "project" else None,
    )
    return replace(said, **changed)


def make_edition(board: Board, state: str, number: int = 1, revision: int = 0, **more: Any) -> Edition:
    """An edition that has come as far as ``state``; ``doc`` changes what it says."""
    text = canonical(document(board, number, revision, **more.pop("doc", {})))
    said: dict[str, Any] = {"first": FIRST, "last": LAST, "drafted_by": "olga", "drafted_at": NOW}
    if state != State.DRAFT:
        said |= {"frozen": text, "sha256": hash_of(text), "submitted_by": "olga", "submitted_at": NOW}
        said |= {"cutoff_at": NOW, "review_until": NOW + timedelta(days=14)}
    if state not in (State.DRAFT, State.REVIEW):
        said |= {"approved_by": "omar", "published_at": NOW + timedelta(days=15)}
    return Edition.objects.create(board=board, number=number, revision=revision, state=state, **(said | more))


def people() -> dict[str, User]:
    """Two admins, somebody in the project physics, somebody who is logged in."""
    users = {name: User.objects.create_user(name) for name in ("olga", "omar", "alice", "charlie")}
    may = Permission.objects.get(codename="publish_boards")
    for name in ("olga", "omar"):
        users[name].user_permissions.add(may)
    project = Project.objects.create(name="physics")
    project.memberships.create(username="alice", role="member")
    Cluster.objects.create(name="alpha")
    return users


def seat(edition: Edition, username: str, pseudonym: str, **own: Any) -> Seat:
    """Where somebody is in it, with figures that are unmistakable."""
    figures = {"project": "", "band": "A–B", "best": 1, "worst": 7, "of": 15, "value": 0.0123456, "low": 0.011}
    figures |= {"high": 0.0177, "reasons": [], "jobs": 4711, "excused": 3, "energy_j": 987.6e6, "whole": 5.0}
    return Seat.objects.create(
        edition=edition, whose=whose(edition.pk, username), pseudonym=pseudonym, own=[figures | own]
    )
