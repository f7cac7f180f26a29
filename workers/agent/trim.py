"""A module reduced to what is asked of it: pynvml binds a thousand functions, of which the agent calls a dozen.

Whole, it takes 18 MB of the agent's memory; this is a tool of the build and no part of the agent.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from pathlib import Path


def asked_of(module: str, sources: Iterable[Path]) -> set[str]:
    """Names of functions that the agent calls by name: string constants that begin like the module's functions."""
    found: set[str] = set()
    for path in sources:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(module):
                found.add(node.value)
            elif isinstance(node, ast.Attribute):
                found.add(node.attr)
    return found


def trimmed(source: str, wanted: Iterable[str], always: Sequence[str]) -> str:
    """The module with all that ``wanted`` and names beginning with ``always`` need, without docstrings."""
    statements = ast.parse(source).body
    defined = {name: place for place, one in enumerate(statements) for name in _defined(one)}
    keep = {place for place, one in enumerate(statements) if not _defined(one)}  # imports, calls, conditions
    names = {name for name in defined if name in set(wanted) or name.startswith(tuple(always))}
    for place in keep:
        names |= _used(statements[place])
    while names:
        places = {defined[name] for name in names if name in defined} - keep
        keep |= places
        names = {name for place in places for name in _used(statements[place])}
    body = [_bare(one) for place, one in enumerate(statements) if place in keep and not _is_text(one)]
    return ast.unparse(ast.Module(body=body, type_ignores=[])) + "\n"


def _defined(one: ast.stmt) -> list[str]:
    if isinstance(one, (ast.FunctionDef, ast.ClassDef)):
        return [one.name]
    if isinstance(one, ast.Assign) and all(isinstance(target, ast.Name) for target in one.targets):
        return [target.id for target in one.targets if isinstance(target, ast.Name)]
    return []


def _used(one: ast.stmt) -> set[str]:
    return {node.id for node in ast.walk(one) if isinstance(node, ast.Name)}


def _is_text(one: ast.stmt) -> bool:
    return isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant)


def _bare(one: ast.stmt) -> ast.stmt:
    for node in ast.walk(one):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            node.body = [inner for inner in node.body if not _is_text(inner)] or [ast.Pass()]
    return one
