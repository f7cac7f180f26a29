"""Who belongs to the simulated projects, as a list of members would say it."""

from __future__ import annotations

from django.utils import timezone

from measurements.demo.people import DEPUTIES, PARENTS, PEOPLE
from measurements.models import Membership
from measurements.parsers.members import DEPUTY, LEADER, MEMBER, MemberList, MemberRecord, ProjectRecord
from measurements.services.people import load_members


def declare_members() -> None:
    """Leaders, deputies and members, from the beginning on; once."""
    found = MemberList()
    for name, person in PEOPLE.items():
        role = LEADER if person.leads else DEPUTY if DEPUTIES.get(person.account) == name else MEMBER
        found.projects.append(ProjectRecord(0, person.account, PARENTS.get(person.account)))
        found.members.append(MemberRecord(0, person.account, name, role))
    load_members(found, Membership.Source.CSV, timezone.localdate(), since=None, dry_run=False)
