"""What a user declares of a job in its comment: `workload=nnunet phase=training work=500 epochs`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

LONGEST_WORKLOAD = 64
LONGEST_UNIT = 32
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
_KEY = r"(?:workload|phase|work)"
_PAIR = re.compile(  # a key without a value takes none from the pair behind it
    rf"""(?<![\w.-])({_KEY})\s*=\s*(?:"([^"]*)"|'([^']*)'|(?!{_KEY}\s*=)([^\s,;"']+))""", re.IGNORECASE
)
_AMOUNT = re.compile(r"([0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?)\s*([A-Za-z][A-Za-z0-9_/%-]*)?")
_UNIT = re.compile(r"\s+([A-Za-z][A-Za-z0-9_/%-]*)(?!\s*=)(?=[\s,;]|$)")
_STOPS = ".:"  # of the sentence that a pair stands in
_NAME = re.compile(r"[a-z0-9][a-z0-9_.+/:@-]*")


@dataclass(frozen=True, slots=True)
class Tags:
    """What is declared; empty and None: nothing is."""

    workload: str = ""  # application, model, data set: lower case
    phase: str = ""  # training, inference, development, other
    work: float | None = None  # units of work done
    unit: str = ""


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
    Tags(workload='nnunet', phase='training', work=500.0, unit='epochs')
    >>> declared("phase=inference", "phase=other; workload='ResNet 50'")
    Tags(workload='resnet-50', phase='other', work=None, unit='')
    """
    user, operator = _read(comment), _read(admin_comment)
    work = operator if operator.work is not None else user
    return Tags(operator.workload or user.workload, operator.phase or user.phase, work.work, work.unit)


def _read(text: str) -> Tags:
    said = {key: (value, after) for key, value, after in _pairs(text)}
    workload = _workload(said.get("workload", ("", ""))[0])
    phase = PHASES.get(said.get("phase", ("", ""))[0].strip().rstrip(_STOPS).lower(), "")
    amount, unit = _work(*said.get("work", ("", "")))
    return Tags(workload, phase, amount, unit)


def _pairs(text: str) -> Iterator[tuple[str, str, str]]:
    """Key, value, and what follows the value."""
    for match in _PAIR.finditer(text):
        value = next((group for group in match.groups()[1:] if group is not None), "")
        yield match[1].lower(), value, text[match.end() :]


def _workload(value: str) -> str:
    name = "-".join(value.lower().split()).rstrip(_STOPS)
    return name if len(name) <= LONGEST_WORKLOAD and _NAME.fullmatch(name) else ""


def _work(value: str, after: str) -> tuple[float | None, str]:
    """An amount and its unit: `500 epochs`, or `500epochs`, or without a unit."""
    match = _AMOUNT.fullmatch(value.strip())
    if match is None or re.match(r",[0-9]", after):  # 1,000 may be 1 or 1000
        return None, ""
    amount = float(match[1].replace("_", ""))
    if not math.isfinite(amount) or amount <= 0:
        return None, ""
    follows = _UNIT.match(after)
    unit = match[2] or (follows[1] if follows else "")
    return amount, unit.lower() if len(unit) <= LONGEST_UNIT else ""
