"""One writer a table: which module writes to which model, read from the calls on its manager."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from django.apps import apps

ROOT = Path(__file__).resolve().parent.parent
SERVICES = Path("measurements/services")
WRITING = {
    "bulk_create", "bulk_update", "create", "delete", "get_or_create", "insert", "save", "update", "update_or_create",
}  # fmt: skip

# Models with several modules that write, and why each of them does.
SHARED = {
    "Allocation": {"job_changes": "", "machine": "gives them their node", "gpu_holds": "and their GPUs"},
    "Batch": {"push_commit": "of an hour", "feed_batches": "of a day", "replay": "counts what goes in later",
        "losses": "of what senders lost"},
    "Cluster": {"machine": "", "job_changes": "how long its longest run is"},
    "Feed": {"feeds": "", "feed_turns": "how far a turn has come"},
    "Intake": {"intake": "", "inbox": "clears away", "trying": "while nobody has decided"},
    "PendingCorrection": {
        "power_drafts": "of files", "job_changes": "of jobs", "gpu_holds": "of GPUs",
    },
    "Quarantine": {"quarantine": "", "replay": "takes out what goes in later"},
    "Seat": {"editions": "", "boards": "forgets them at a person's wish"},
    "Segment": {"power_drafts": "of files", "push_commit": "of pushes", "upkeep": "swaps them"},
}  # fmt: skip


def models() -> set[str]:
    return {model.__name__ for model in apps.get_app_config("measurements").get_models()}


def written(code: str, known: set[str]) -> Iterator[str]:
    """The models of which rows are made, changed or removed through their manager, or made by `bulk.insert`."""
    for call in (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)):
        if isinstance(call.func, ast.Attribute) and call.func.attr in WRITING:
            name = _root(call.func)
        elif isinstance(call.func, ast.Name) and call.func.id == "insert" and call.args:
            name = _root(call.args[0])
        else:
            continue
        if name in known:
            yield name


def _root(node: ast.AST) -> str:
    """Feed of Feed.objects.filter(…).update."""
    while isinstance(node, ast.Attribute | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def writers() -> dict[str, set[Path]]:
    """Of each model the modules that write to it, as paths below the root."""
    found: dict[str, set[Path]] = defaultdict(set)
    known = models()
    for house in ("measurements", "portal", "workers"):
        for path in (ROOT / house).rglob("*.py"):
            if "migrations" not in path.parts:
                for name in written(path.read_text(encoding="utf-8"), known):
                    found[name].add(path.relative_to(ROOT))
    return found


def test_only_services_write() -> None:
    """The demo may: it stands for a site's admin."""
    elsewhere = {
        (name, str(path))
        for name, paths in writers().items()
        for path in paths
        if path.parent != SERVICES and path.parts[:2] != ("measurements", "demo")
    }
    assert not elsewhere


def test_each_table_has_one_writer_or_a_reason_for_more() -> None:
    found = {name: {path.stem for path in paths if path.parent == SERVICES} for name, paths in writers().items()}
    said = {name: set(modules) for name, modules in SHARED.items()}
    assert {name: modules for name, modules in found.items() if len(modules) > 1} == said


def test_a_second_writer_is_seen() -> None:
    code = """
def f(now):
    Feed.objects.filter(pk=1).update(next_at=now)
    insert(Run, ("pk",), [])
    Run(pk=1)
"""
    assert list(written(code, {"Feed", "Run"})) == ["Feed", "Run"]
