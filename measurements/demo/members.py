"""Who belongs to the simulated projects, as a list of members would say it."""

from __future__ import annotations

from datetime import date

from django.utils import timezone

from measurements.demo.people import DEPUTIES, PARENTS, PEOPLE
from measurements.models import Budget, Membership, Project
from measurements.parsers.members import DEPUTY, LEADER, MEMBER, MemberList, MemberRecord, ProjectRecord
from measurements.services.people import load_members

KWH_A_YEAR = {"imaging": 66_000.0, "climate": 60_000.0}


def declare_members() -> None:
    """Leaders, deputies and members, from the beginning on; once."""
    found = MemberList()
    for name, person in PEOPLE.items():
        role = LEADER if person.leads else DEPUTY if DEPUTIES.get(person.account) == name else MEMBER
        found.projects.append(ProjectRecord(0, person.account, PARENTS.get(person.account)))
        found.members.append(MemberRecord(0, person.account, name, role))
    load_members(found, Membership.Source.CSV, timezone.localdate(), since=None, dry_run=False)


def declare_budgets() -> None:
    """What two projects may use this year and the last one; once."""
    year = timezone.localdate().year
    if Budget.objects.exists():
        return
    for name, kwh in KWH_A_YEAR.items():
        project = Project.objects.get(name=name)
        owner = next(person.username for person in PEOPLE.values() if person.account == name and person.leads)
        for each in (year - 1, year):
            Budget.objects.create(
                project=project,
                owner=owner,
                first=date(each, 1, 1),
                last=date(each, 12, 31),
                amount=kwh,
                carry_over=Budget.CarryOver.UNUSED,
            )
