"""The arrows of the house, read from the imports: portal → measurements ← workers."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HOUSES = ("portal", "measurements", "workers")

# Whoever lies below the first name may import nothing below the second ones.
FORBIDDEN = {
    "measurements": ("portal", "workers", "celery", "tests"),
    "workers": ("portal", "tests"),
    "workers.agent": (
        "django", "measurements", "celery", "redis", "numpy", "pandas", "pyarrow", "urllib3", "psycopg",
        "workers.celery", "workers.loop", "workers.schedule", "workers.signals", "workers.tasks", "workers.work",
    ),
    "portal": ("tests",),
    "measurements.domain": (
        "django", "measurements.parsers", "measurements.models", "measurements.services", "measurements.selectors",
        "measurements.providers", "measurements.feeds",
    ),
    "measurements.parsers": (
        "django", "measurements.models", "measurements.services", "measurements.selectors", "measurements.providers",
        "measurements.feeds",
    ),
    "measurements.providers": (
        "django", "measurements.models", "measurements.services", "measurements.selectors", "measurements.management",
    ),
    "measurements.feeds": (
        "django", "measurements.models", "measurements.services", "measurements.selectors", "measurements.management",
    ),
    "measurements.models": (
        "measurements.parsers", "measurements.services", "measurements.selectors", "measurements.providers",
        "measurements.feeds",
    ),
    "measurements.selectors": (
        "measurements.parsers", "measurements.management", "measurements.providers", "measurements.feeds",
    ),
    "measurements.services": ("measurements.management",),
}  # fmt: skip


def module_name(path: Path) -> str:
    """measurements/domain/units.py is measurements.domain.units."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of whatever a module imports, inside functions too."""
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def below(name: str, house: str) -> bool:
    """Whether the dotted name is the house or lies in it."""
    return name == house or name.startswith(f"{house}.")


def wrong_imports(paths: Iterator[Path]) -> list[str]:
    """Every import that goes against an arrow."""
    return [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in paths
        for line, name in imports(path)
        for house, others in FORBIDDEN.items()
        if below(module_name(path), house) and any(below(name, other) for other in others)
    ]


@pytest.mark.parametrize("house", HOUSES)
def test_imports_follow_the_arrows(house: str) -> None:
    paths = [path for path in (ROOT / house).rglob("*.py") if "migrations" not in path.parts]
    assert paths
    assert wrong_imports(iter(paths)) == []


@pytest.mark.parametrize(
    ("where", "code"),
    [
        ("measurements/domain", "from django.db import models"),
        ("measurements/domain", "def f():\n    import measurements.services.ingest"),
        ("measurements/parsers", "from ..models import Node"),
        ("measurements/providers", "from django.conf import settings"),
        ("measurements/feeds", "from measurements.models import Feed"),
        ("measurements/services", "from portal.settings import DEBUG"),
        ("workers", "from portal import views"),
        ("workers/agent", "from django.conf import settings"),
        ("workers/agent", "from measurements.parsers import power_csv"),
    ],
)
def test_a_wrong_import_is_seen(where: str, code: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    path = tmp_path / where / "new.py"
    path.parent.mkdir(parents=True)
    path.write_text(code)
    assert len(wrong_imports(iter([path]))) == 1
