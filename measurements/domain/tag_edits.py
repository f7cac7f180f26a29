"""What a person may set of a job's tags: checked, and as it is kept."""

from __future__ import annotations

import math
from collections.abc import Mapping

from measurements.domain.tagging import KEYS, name_rule
from measurements.domain.tags import LONGEST_NAME, LONGEST_UNIT, LONGEST_WORKLOAD, PHASES, tag_name, tag_unit

FIELDS = (*KEYS, "unit")
_NAMES = {"workload": LONGEST_WORKLOAD, "size": LONGEST_NAME, "target": LONGEST_NAME}
_MOST_SAID = 1_000  # characters of a value


class TagsRefused(ValueError):
    """Tags that can't be set: which, and why."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key}: {reason}")
        self.key, self.reason = key, reason


def checked_edit(said: Mapping[str, object]) -> dict[str, str | float | None]:
    """
    The values to be kept of an edit.

    Parameters
    ----------
    said : mapping
        Any of workload, phase, size, target, work and unit. `""` takes a tag away, None takes the edit back; what is
        missing stays as it is. A unit comes with its work.

    Raises
    ------
    TagsRefused
        For the first value that can't be kept.

    Examples
    --------
    >>> checked_edit({"workload": "ResNet 50", "phase": "train", "work": "1e6", "unit": "Images"})
    {'workload': 'resnet-50', 'phase': 'training', 'work': 1000000.0, 'unit': 'images'}
    >>> checked_edit({"workload": None, "size": "", "work": ""})
    {'workload': None, 'size': '', 'work': 0.0, 'unit': ''}
    """
    for key, value in said.items():
        if key not in FIELDS:
            raise TagsRefused(key, f"there is no such tag; there are {', '.join(FIELDS)}")
        if isinstance(value, bool) or not isinstance(value, (str, int, float, type(None))) or _long(value):
            raise TagsRefused(key, "give a short text, a number, or null")
    if "unit" in said and "work" not in said:
        raise TagsRefused("unit", "a unit comes with its work")
    values: dict[str, str | float | None] = {}
    for key in FIELDS:
        if key in _NAMES and key in said:
            values[key] = _name(key, said[key])
        elif key == "phase" and key in said:
            values[key] = _phase(said[key])
        elif key == "work" and key in said:
            values[key] = _amount(said[key])
            values["unit"] = _unit(said.get("unit")) if values[key] else ""
    return values


def _long(value: object) -> bool:
    return isinstance(value, str) and len(value) > _MOST_SAID


def _text(value: object) -> str:
    return str(value).strip()


def _name(key: str, value: object) -> str | None:
    if value is None or not _text(value):
        return None if value is None else ""
    name = tag_name(_text(value), _NAMES[key])
    if not name:
        raise TagsRefused(key, name_rule(_NAMES[key]))
    return name


def _phase(value: object) -> str | None:
    if value is None or not _text(value):
        return None if value is None else ""
    phase = PHASES.get(_text(value).lower())
    if phase is None:
        raise TagsRefused("phase", "it is none of training, inference, development, other")
    return phase


def _amount(value: object) -> float | None:
    if value is None or not _text(value):
        return None if value is None else 0.0
    try:
        amount = float(_text(value))
    except ValueError:
        amount = math.nan
    if not (math.isfinite(amount) and amount > 0):
        raise TagsRefused("work", "it is no number above 0")
    return amount


def _unit(value: object) -> str:
    if value is None or not _text(value):
        return ""
    unit = tag_unit(_text(value))
    if not unit:
        raise TagsRefused(
            "unit", f"a unit has at most {LONGEST_UNIT} of the characters a-z 0-9 _ / % - and begins with a letter"
        )
    return unit
