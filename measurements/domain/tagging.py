"""What a job counts as, of all that is said of it: a person's edit, comments, and the site's rules.

Patterns of rules are those of RE2: found in a time that grows with the text and no faster, whatever the pattern and
whatever a user has named a job, and all texts of a lot at once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from measurements.domain.tags import LONGEST_NAME, LONGEST_WORKLOAD, PHASES, Tags, read_tags, tag_name

LOOKED_AT = 2_000  # characters of a field that a rule's pattern is tried on
LONGEST_PATTERN = 200
MOST_REPEATED = 100  # times, of all counts of a pattern multiplied: each repetition is tried at every letter
EDIT, OPERATOR, COMMENT, RULE = "edit", "operator", "comment", "rule"
KEYS = ("workload", "phase", "size", "target", "work")
_NAMES = {"workload": LONGEST_WORKLOAD, "size": LONGEST_NAME, "target": LONGEST_NAME}  # of a rule; may take groups
_GROUP = re.compile(r"\\[0-9]")
_COUNT = re.compile(r"(?<!\\)\{([0-9]+)(?:,([0-9]*))?\}")
_ONE_BYTE = re.compile(r"(?<!\\)(?:\\\\)*\\C")  # would cut a letter in two
_NOTHING = Tags()


class Tagged(NamedTuple):
    """A job's effective tags, and where each is from: `edit`, `operator`, `comment`, `rule 7`; empty: not tagged."""

    tags: Tags
    origin: dict[str, str]  # by key


class Said(NamedTuple):
    """What one source says of a job."""

    origin: str
    tags: Tags


@dataclass(frozen=True, slots=True)
class Rule:
    """Whatever has ``pattern`` in ``field`` is tagged so, where nothing stronger says otherwise."""

    number: int  # its id: what provenance names
    field: str  # wckey, name, submit_line, partition, account
    pattern: str  # as `compiled` gives it
    workload: str = ""  # may refer to the pattern's groups: \\1
    phase: str = ""
    size: str = ""
    target: str = ""

    @property
    def origin(self) -> str:
        """As provenance names it."""
        return f"{RULE} {self.number}"

    def found(self, texts: Sequence[str]) -> dict[int, Tags]:
        """What it says of some jobs, by their place; of those in whose field the pattern is found."""
        looked_at = pa.array([text[:LOOKED_AT] for text in texts], pa.string())
        places = pc.indices_nonzero(pc.match_substring_regex(looked_at, self.pattern))
        found = looked_at.take(places)
        said = {name: self._names(name, found) for name in _NAMES}
        phase = PHASES.get(self.phase, "")
        return {
            place: Tags(said["workload"][i], phase, size=said["size"][i], target=said["target"][i])
            for i, place in enumerate(places.to_pylist())
        }

    def _names(self, name: str, texts: pa.StringArray) -> list[str]:
        template: str = getattr(self, name)
        if not _GROUP.search(template):
            return [tag_name(template, _NAMES[name])] * len(texts)
        try:
            values = pc.replace_substring_regex(texts, pattern=_whole(self.pattern), replacement=template).to_pylist()
        except pa.ArrowInvalid:  # a group that the pattern does not have
            return [""] * len(texts)
        return [tag_name(value, _NAMES[name]) for value in values]


def compiled(pattern: str) -> str:
    """
    A rule's pattern as it is tried: found anywhere, in capitals or not.

    Raises
    ------
    ValueError
        With the reason, if it is no regular expression as RE2 reads it, or too long.

    Examples
    --------
    >>> compiled("^train-(.+)$")
    '(?i:^train-(.+)$)'
    """
    if not pattern or len(pattern) > LONGEST_PATTERN:
        raise ValueError(f"a pattern has 1 to {LONGEST_PATTERN} characters")
    if "\0" in pattern or _ONE_BYTE.search(pattern):
        raise ValueError("no regular expression: \\C and the character 0 can't be looked for")
    if math.prod(max(int(low), int(high or 0), 1) for low, high in _COUNT.findall(pattern)) > MOST_REPEATED:
        raise ValueError(f"no regular expression for this: its counts {{n}} multiply to more than {MOST_REPEATED}")
    ready = f"(?i:{pattern})"
    for one in (pattern, ready, _whole(ready)):
        try:
            pc.match_substring_regex(pa.array([""]), one)
        except pa.ArrowInvalid as error:
            reason = str(error).partition(": ")[2] or str(error)
            raise ValueError(f"no regular expression: {reason}") from error
    return ready


def check_names(pattern: str, **names: str) -> None:
    """
    Whether what a rule sets (workload, size, target) can be kept.

    Raises
    ------
    ValueError
        With the key and the reason: a group that the pattern (as `compiled` gives it) lacks, or what is no name.
    """
    for key, template in names.items():
        if not _GROUP.search(template):
            if template and not tag_name(template, _NAMES[key]):
                raise ValueError(f"{key}: {name_rule(_NAMES[key])}")
            continue
        try:
            pc.replace_substring_regex(pa.array([""]), pattern=_whole(pattern), replacement=template)
        except pa.ArrowInvalid as error:
            raise ValueError(f"{key}: the pattern has no such group, or a backslash stands alone") from error


def name_rule(longest: int) -> str:
    """What a workload, size or target may consist of."""
    return f"a name has at most {longest} of the characters a-z 0-9 _ . + / : @ - and begins with a letter or digit"


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
    return strongest(sources([job], rules)[0], edit)


def sources(jobs: Sequence[Mapping[str, str]], rules: Sequence[Rule]) -> list[list[Said]]:
    """What comments and rules say of each job, the strongest first."""
    said = [_of_comments(job) for job in jobs]
    texts = {name: [job.get(name, "") for job in jobs] for name in {rule.field for rule in rules}}
    for rule in rules:
        for place, tags in rule.found(texts[rule.field]).items():
            said[place].append(Said(rule.origin, tags))
    return said


def strongest(said: Sequence[Said], edit: Mapping[str, object] | None = None) -> Tagged:
    """The tags of a job of which its sources say this (`sources`), and a person has set that (`tagged`)."""
    values: dict[str, object] = {}
    origin: dict[str, str] = {}
    for key in KEYS:
        if edit and (chosen := edit.get(key)) is not None:
            values[key], origin[key] = chosen, EDIT
            unit = edit.get("unit", "")
        elif first := next((one for one in said if getattr(one.tags, key)), None):
            values[key], origin[key] = getattr(first.tags, key), first.origin
            unit = first.tags.unit
        else:
            continue
        if key == "work":
            values["unit"] = unit
    work = values.pop("work", None)
    amount = float(work) if isinstance(work, (int, float)) and work > 0 else None
    return Tagged(Tags(work=amount, **{key: str(value) for key, value in values.items()}), origin)


def _of_comments(job: Mapping[str, str]) -> list[Said]:
    found = [(OPERATOR, job.get("admin_comment", "")), (COMMENT, job.get("comment", ""))]
    said = [Said(origin, read_tags(text)) for origin, text in found if text]
    return [one for one in said if one.tags != _NOTHING]


def _whole(pattern: str) -> str:
    """The pattern with all that stands around it, its groups numbered as they are; of several places the first."""
    return rf"\A(?s:.*?){pattern}(?s:.*)\z"
