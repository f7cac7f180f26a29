"""What a user declares of a job in its comment: `workload=nnunet phase=training work=500 epochs`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

LONGEST_WORKLOAD = 64
LONGEST_UNIT = 32
LONGEST_NAME = 32  # of a size, of a target
PHASES = {
    "training": "training",
    "train": "training",
    "finetuning": "training",
    "fine-tuning": "training",
    "inference": "inference",
    "infer": "inference",
    "prediction": "inference",
    "predict": "inference",
    "serving": "inference",
    "development": "development",
    "dev": "development",
    "debug": "development",
    "test": "development",
    "interactive": "development",
    "other": "other",
}
_ALIASES = {"scenario": "size", "quality": "target", "accuracy": "target"}
_KEY = r"(?:workload|phase|work|size|target|scenario|quality|accuracy)"
_PAIR = re.compile(  # a key without a value takes none from the pair behind it
    rf"""(?<![\w.-])({_KEY})\s*=\s*(?:"([^"]*)"|'([^']*)'|(?!{_KEY}\s*=)([^\s,;"']+))""", re.IGNORECASE
)
_AMOUNT = re.compile(r"([0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?)\s*([A-Za-z][A-Za-z0-9_/%-]*)?")
_UNIT = re.compile(r"\s+([A-Za-z][A-Za-z0-9_/%-]*)(?!\s*=)(?=[\s,;]|$)")
_WORD = re.compile(r"[a-z][a-z0-9_/%-]*")
_DECIMALS = re.compile(r",[0-9]")
_STOPS = ".:"  # of the sentence that a pair stands in
_NAME = re.compile(r"[a-z0-9][a-z0-9_.+/:@-]*")


@dataclass(frozen=True, slots=True)
class Tags:
    """What is declared; empty and None: nothing is."""

    workload: str = ""  # application, model, data set: lower case
    phase: str = ""  # training, inference, development, other
    work: float | None = None  # units of work done
    unit: str = ""
    size: str = ""  # of the problem, or the scenario it runs in: lower case
    target: str = ""  # quality of the result that is asked for: an accuracy, a precision; lower case


def declared(comment: str, admin_comment: str = "") -> Tags:
    """
    Read the tags of a job's comments; what the operator's comment says beats the user's, tag by tag.

    Parameters
    ----------
    comment, admin_comment : str
        Free text with pairs such as ``phase=training``, separated by blanks, commas or semicolons; quotes are allowed.
        A value that makes no sense counts as not said.

    Examples
    --------
    >>> declared("workload=nnUNet phase=train work=500 epochs")
    Tags(workload='nnunet', phase='training', work=500.0, unit='epochs', size='', target='')
    >>> declared("phase=inference scenario=Offline target=99.9", "phase=other; workload='ResNet 50'")
    Tags(workload='resnet-50', phase='other', work=None, unit='', size='offline', target='99.9')
    """
    user, operator = read_tags(comment), read_tags(admin_comment)
    work = operator if operator.work is not None else user
    return Tags(
        operator.workload or user.workload,
        operator.phase or user.phase,
        work.work,
        work.unit,
        operator.size or user.size,
        operator.target or user.target,
    )


def read_tags(text: str) -> Tags:
    """The tags of one text."""
    said = {key: (value, end) for key, value, end in _pairs(text)}
    workload = _name(said.get("workload", ("", 0))[0], LONGEST_WORKLOAD)
    phase = PHASES.get(said.get("phase", ("", 0))[0].strip().rstrip(_STOPS).lower(), "")
    amount, unit = _work(*said.get("work", ("", 0)), text)
    size, target = (_name(said.get(key, ("", 0))[0], LONGEST_NAME) for key in ("size", "target"))
    return Tags(workload, phase, amount, unit, size, target)


def tag_name(value: str, longest: int = LONGEST_WORKLOAD) -> str:
    """A workload, size or target as it is kept: lower case, blanks as hyphens; empty if it is no name.

    Examples
    --------
    >>> tag_name("ResNet  50"), tag_name("<b>")
    ('resnet-50', '')
    """
    return _name(value, longest)


def tag_unit(value: str) -> str:
    """A unit of work as it is kept: lower case, blanks as hyphens; empty if it is none.

    Examples
    --------
    >>> tag_unit("Simulated ns"), tag_unit("5"), tag_unit("img/s")
    ('simulated-ns', '', 'img/s')
    """
    unit = "-".join(value.lower().split())
    return unit if len(unit) <= LONGEST_UNIT and _WORD.fullmatch(unit) else ""


def _pairs(text: str) -> Iterator[tuple[str, str, int]]:
    """Key, value, and where the value ends."""
    for match in _PAIR.finditer(text):
        value = next((group for group in match.groups()[1:] if group is not None), "")
        key = match[1].lower()
        yield _ALIASES.get(key, key), value, match.end()


def _name(value: str, longest: int) -> str:
    name = "-".join(value.lower().split()).rstrip(_STOPS)
    return name if len(name) <= longest and _NAME.fullmatch(name) else ""


def _work(value: str, end: int, text: str) -> tuple[float | None, str]:
    """An amount and its unit: `500 epochs`, or `500epochs`, or without a unit."""
    match = _AMOUNT.fullmatch(value.strip())
    if match is None or _DECIMALS.match(text, end):  # 1,000 may be 1 or 1000
        return None, ""
    amount = float(match[1].replace("_", ""))
    if not math.isfinite(amount) or amount <= 0:
        return None, ""
    follows = _UNIT.match(text, end)
    unit = match[2] or (follows[1] if follows else "")
    return amount, unit.lower() if len(unit) <= LONGEST_UNIT else ""
