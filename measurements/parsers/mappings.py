"""Mapping files: which series of an exporter is which channel of which node, in which unit.

One TOML file an exporter, shipped in ``measurements/mappings/``; a site's own files lie in a folder of its own and
are asked first. They are checked when they are loaded: a fault names file, entry, key, reason and cure.

    ``load_mappings(own folder or None) -> Mappings``, then ``mappings.rules(metric) -> (Rule, …)``
"""

from __future__ import annotations

import hashlib
import tomllib
from functools import lru_cache
from pathlib import Path

from measurements.parsers.mapping_files import rules_of
from measurements.parsers.mapping_rules import MappingFault, Mappings, Rule

__all__ = ["SHIPPED", "MappingFault", "Mappings", "load_mappings"]

SHIPPED = Path(__file__).resolve().parent.parent / "mappings"


def load_mappings(own: Path | None = None) -> Mappings:
    """The shipped mappings behind those of a site's own folder, where there is one."""
    files = _files(own) if own is not None else ()
    return _loaded(files + _files(SHIPPED))


def _files(folder: Path) -> tuple[tuple[Path, int, int], ...]:
    """The mapping files of a folder, each with what changes when it is written."""
    try:
        found = [path for path in sorted(folder.glob("*.toml")) if not path.name.startswith(".")]
        return tuple((path, path.stat().st_mtime_ns, path.stat().st_size) for path in found)
    except OSError as error:
        raise MappingFault(f"{folder}: {error.strerror or error}; is the folder of mappings readable?") from error


@lru_cache(maxsize=4)
def _loaded(files: tuple[tuple[Path, int, int], ...]) -> Mappings:
    rules: list[Rule] = []
    digest = hashlib.sha256()
    for path, _, _ in files:
        try:
            raw = path.read_bytes()
            content = tomllib.loads(raw.decode("utf-8-sig"))
        except OSError as error:
            raise MappingFault(f"{path}: {error.strerror or error}; is it readable?") from error
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise MappingFault(f"{path}: no TOML ({error}); correct it there") from error
        rules += rules_of(content, path.name)
        digest.update(raw)
    return Mappings(rules, digest.hexdigest())
