"""The demo with people in every role: who leads what comes from a list of members, as a site's own would.

All four projects of the demo lie below `science`, so that its leader's months have more people than a figure must have;
`imaging` has too few people for its month to be shown to somebody who leads only that.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta

from measurements.demo.lots import LEAST_DAYS
from measurements.demo.people import ACCOUNTS, LEADER, OPERATOR, PASSWORD, STUDENT
from tests.services.demo_site import DemoSite, demo_site
from tests.services.process import folder

NOBODY = ""
DEPUTY, STRANGER = "walter", "charlie"
PEOPLE = (STUDENT, LEADER, DEPUTY, OPERATOR, STRANGER, NOBODY)
TOP = "science"
DAYS_BEFORE_THE_MONTH = 4  # of the month before this one, whose sums a leader may see


def days_of_site(today: date) -> int:
    """So many that some of the month before, which is over, is among them, and that there are leaderboards."""
    return max(today.day + DAYS_BEFORE_THE_MONTH, LEAST_DAYS)


def members_csv() -> str:
    """Who is what in which project."""
    rows = ["project,username,role,parent,title"]
    rows += [f"{TOP},{LEADER},leader,,All of science", f"{TOP},{DEPUTY},deputy,,"]
    rows += [f"{account},,,{TOP}," for account in ACCOUNTS]
    return "\n".join([*rows, f"{ACCOUNTS[0]},{STUDENT},member,,", ""])


def logins_and_budget(today: date) -> str:
    """What is entered by hand: two logins, and a budget of this month and the one before."""
    first = (today.replace(day=1) - timedelta(days=1)).replace(day=1)
    last = (today.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    return f"""
from datetime import date
from django.contrib.auth.models import User
from measurements.models import Budget, Project
for name in {(DEPUTY, STRANGER)!r}:
    User.objects.create_user(name, password={PASSWORD!r})
period = {{"first": date.fromisoformat({first.isoformat()!r}), "last": date.fromisoformat({last.isoformat()!r})}}
Budget.objects.create(project=Project.objects.get(name={TOP!r}), owner={LEADER!r}, amount=9_000, unit="kwh", **period)
"""


@contextmanager
def peopled_site(today: date) -> Iterator[DemoSite]:
    """The demo with its roles, logins and budget; it stands still."""
    with folder("members") as place:
        members = place / "members.csv"
        members.write_text(members_csv(), encoding="utf-8")
        by_hand = ["shell", "--verbosity", "0", "-c", logins_and_budget(today)]
        with demo_site(days_of_site(today), ["load_members", str(members)], by_hand) as site:
            yield site
