"""What somebody may see of a project: the one rule, for pages, exports, the interface and mails.

Whoever holds ``view_all_jobs`` sees all. Leaders and deputies see, from the first day of their role on, what the site
lets them (``LEADER_SEES``): jobs with names, members under pseudonyms, or **totals** (usual), and then only sums of
whole months that are over, each of at least ``SMALLEST_GROUP`` people besides themselves, in groups that are released
together (`measurements.domain.disclosure`). No free days, no filters, no running month: the difference of two
sums is again a sum of whole months of so many people. Everybody else sees nothing, not even that the project exists.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from django.conf import settings

from measurements.models import Project, UsageDay
from measurements.selectors.people import Viewer, led
from measurements.selectors.project_people import GROUPINGS, WASTE
from measurements.selectors.usage import Dimension, Scope

SHOWN_GROUPS = tuple(Dimension(name) for name in GROUPINGS if name != WASTE)


class Sees(StrEnum):
    """How much."""

    NAMES = "names"
    PSEUDONYMS = "pseudonyms"
    TOTALS = "totals"


@dataclass(frozen=True, slots=True)
class Top:
    """A project that somebody leads, with all below it."""

    name: str
    names: tuple[str, ...]
    since: date | None


@dataclass(frozen=True, slots=True)
class Access:
    """That a viewer may see a project."""

    viewer: str
    name: str
    title: str
    names: tuple[str, ...]  # accounts: it and all below it
    since: date | None  # first day that is shown; None: all days
    sees: Sees
    parent: str = ""  # where the viewer may see it
    children: tuple[str, ...] = ()
    # It and those above it that the viewer leads too, topmost first, each with its accounts and first day: they are
    # released together, so that the sum of one less that of another one says nothing new.
    tops: tuple[Top, ...] = ()

    @property
    def scope(self) -> Scope:
        """Its rows of usage."""
        return Scope(projects=self.names)


def accesses(viewer: Viewer) -> dict[str, Access]:
    """The projects a viewer may see, by name; for holders of ``view_all_jobs`` those that are described."""
    if not viewer.is_authenticated or not viewer.is_active:
        return {}
    everything = viewer.has_perm("measurements.view_all_jobs")
    mine = {} if everything else led(viewer)
    if not everything and not mine:
        return {}
    rows = {pk: (name, title, parent) for pk, name, title, parent in _described()}
    below: dict[str, list[str]] = {}
    above: dict[str, str] = {}
    for name, _, parent in rows.values():
        if parent in rows and (everything or rows[parent][0] in mine):
            above[name] = rows[parent][0]
            below.setdefault(rows[parent][0], []).append(name)
    sees = Sees.NAMES if everything else Sees(settings.LEADER_SEES)
    return {
        name: _access(viewer.get_username(), name, title, sees, mine, below, above)
        for name, title, _ in rows.values()
        if everything or name in mine
    }


def access(viewer: Viewer, name: str) -> Access | None:
    """What a viewer may see of a project; None: nothing, as if there were no such project."""
    found = accesses(viewer).get(name)
    if found is not None or not name or not viewer.has_perm("measurements.view_all_jobs"):
        return found
    if not UsageDay.objects.filter(account=name).exists():  # one that nobody has described
        return None
    return undescribed(viewer, name)


def undescribed(viewer: Viewer, name: str) -> Access:
    """An account that only jobs name, to somebody who may see everything."""
    return Access(viewer.get_username(), name, "", (name,), None, Sees.NAMES, tops=(Top(name, (name,), None),))


def _described() -> list[tuple[int, str, str, int | None]]:
    return list(Project.objects.order_by("name").values_list("pk", "name", "title", "parent_id"))


def _access(
    viewer: str,
    name: str,
    title: str,
    sees: Sees,
    mine: Mapping[str, date | None],
    below: Mapping[str, Sequence[str]],
    above: Mapping[str, str],
) -> Access:
    up = [name]
    while up[0] in above and above[up[0]] not in up:
        up.insert(0, above[up[0]])
    return Access(
        viewer=viewer,
        name=name,
        title=title,
        names=_with_below(name, below),
        since=mine.get(name),
        sees=sees,
        parent=above.get(name, ""),
        children=tuple(sorted(below.get(name, ()))),
        tops=tuple(Top(one, _with_below(one, below), mine.get(one)) for one in up),
    )


def _with_below(name: str, below: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    found = [name]
    for one in found:
        found += [child for child in below.get(one, ()) if child not in found]
    return tuple(sorted(found))


def pseudonym(who: Access, first: date, last: date, username: str) -> str:
    """A name for a member that holds for one viewer, project and period, and cannot be joined with another one's."""
    said = "\0".join((who.viewer, who.name, first.isoformat(), last.isoformat(), username))
    key = hashlib.sha256(b"pseudonyms of members:" + str(settings.SECRET_KEY).encode()).digest()
    return hmac.new(key, said.encode(), hashlib.sha256).hexdigest()[:6].upper()
