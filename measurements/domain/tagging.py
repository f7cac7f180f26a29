"""What a job counts as, of all that is said of it: a person's edit, comments, and the site's rules."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from measurements.domain.tags import LONGEST_NAME, PHASES, Tags, read_tags, tag_name

LOOKED_AT = 2_000  # characters of a field that a rule's pattern is tried on
LONGEST_PATTERN = 200
EDIT, OPERATOR, COMMENT, RULE = "edit", "operator", "comment", "rule"
KEYS = ("workload", "phase", "size", "target", "work")


class Tagged(NamedTuple):
    """A job's effective tags, and where each is from: `edit`, `operator`, `comment`, `rule 7`; empty: not tagged."""

    tags: Tags
    origin: dict[str, str]  # by key


@dataclass(frozen=True, slots=True)
class Rule:
    """Whatever has ``pattern`` in ``field`` is tagged so, where nothing stronger says otherwise."""

    number: int  # its id: what provenance names
    field: str  # wckey, name, submit_line, partition, account
    pattern: re.Pattern[str]
    workload: str = ""  # may refer to the pattern's groups: \\1
    phase: str = ""
    size: str = ""
    target: str = ""

    def tags(self, job: Mapping[str, str]) -> Tags | None:
        """What it says of a job (its fields by name); None: nothing."""
        found = self.pattern.search(job.get(self.field, "")[:LOOKED_AT])
        if found is None:
            return None
        return Tags(
            workload=tag_name(_expanded(found, self.workload)),
            phase=PHASES.get(self.phase, ""),
            size=tag_name(_expanded(found, self.size), LONGEST_NAME),
            target=tag_name(_expanded(found, self.target), LONGEST_NAME),
        )


def compiled(pattern: str) -> re.Pattern[str]:
    """
    A rule's pattern: found anywhere, in capitals or not.

    Raises
    ------
    ValueError
        With the reason, if it is no regular expression, too long, or repeats a repetition, which can take for ever.
    """
    if not pattern or len(pattern) > LONGEST_PATTERN:
        raise ValueError(f"a pattern has 1 to {LONGEST_PATTERN} characters")
    if re.search(r"[*+}]\)[*+{]", pattern):
        raise ValueError("a repetition of a repetition can take for ever: write it without the inner or the outer one")
    try:
        return re.compile(pattern, re.IGNORECASE)
    except re.error as error:
        raise ValueError(f"no regular expression: {error}") from error


def tagged(job: Mapping[str, str], rules: Sequence[Rule] = (), edit: Mapping[str, object] | None = None) -> Tagged:
    """
    The tags of a job, tag by tag from the strongest source that says it: edit, operator, comment, the first rule.

    Parameters
    ----------
    job : mapping
        Its fields by name: comment, admin_comment, and those that rules look at.
    rules : sequence of Rule
        In the site's order.
    edit : mapping, optional
        What a person set on the site, by key; `""` takes a tag away, a missing key or None leaves it alone. `work`
        comes with `unit`.

    Examples
    --------
    >>> rule = Rule(7, "name", compiled("^train-(.+)$"), workload=r"\\1", phase="training")
    >>> tagged({"name": "train-unet", "comment": "phase=inference"}, [rule])
    Tagged(tags=Tags(workload='unet', phase='inference', work=None, unit='', size='', target=''), origin={'workload': \
'rule 7', 'phase': 'comment'})
    """
    sources = [(OPERATOR, read_tags(job.get("admin_comment", ""))), (COMMENT, read_tags(job.get("comment", "")))]
    sources += [(f"{RULE} {rule.number}", said) for rule in rules if (said := rule.tags(job)) is not None]
    values: dict[str, object] = {}
    origin: dict[str, str] = {}
    for key in KEYS:
        chosen = edit.get(key) if edit else None
        if chosen is not None:
            values[key], origin[key] = chosen, EDIT
            if key == "work" and edit:
                values["unit"] = edit.get("unit", "")
            continue
        name, said = next(((name, said) for name, said in sources if getattr(said, key)), ("", Tags()))
        if name:
            values[key], origin[key] = getattr(said, key), name
            if key == "work":
                values["unit"] = said.unit
    work = values.get("work")
    return Tagged(
        Tags(
            workload=str(values.get("workload", "")),
            phase=str(values.get("phase", "")),
            work=float(work) if isinstance(work, (int, float)) and work > 0 else None,
            unit=str(values.get("unit", "")),
            size=str(values.get("size", "")),
            target=str(values.get("target", "")),
        ),
        origin,
    )


def _expanded(found: re.Match[str], template: str) -> str:
    try:
        return found.expand(template) if template else ""
    except (re.error, IndexError):
        return ""
