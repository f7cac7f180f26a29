"""Who uses the simulated cluster, and as whom a visitor can look around. All of them are made up."""

from __future__ import annotations

from dataclasses import dataclass

PASSWORD = "demo"  # noqa: S105 - of people who exist only in the simulation


@dataclass(frozen=True, slots=True)
class Person:
    """A simulated user of the machine."""

    username: str
    uid: int
    account: str
    leads: bool = False  # the project's principal investigator


_MEMBERS = {  # the first of each project leads it
    "imaging": ("victor", "alice", "carol", "ivan", "petra", "quentin", "ursula"),
    "climate": ("walter", "bob", "dave", "judy"),
    "genomics": ("sybil", "erin", "frank", "niaj"),
    "chemistry": ("trent", "grace", "heidi", "oscar"),
    "microscopy": ("rosa", "yusuf"),
}
PEOPLE = {
    name: Person(name, 5001 + 10 * project + place, account, leads=place == 0)
    for project, (account, names) in enumerate(_MEMBERS.items())
    for place, name in enumerate(names)
}
ACCOUNTS = tuple(_MEMBERS)
PARENTS = {"microscopy": "imaging"}  # sub-projects
DEPUTIES = {"imaging": "carol", "climate": "bob"}

# As whom one can look around (password: PASSWORD). The last two run no jobs.
STUDENT, LEADER, OPERATOR, SUSTAINABILITY = "alice", "victor", "olga", "susan"
LOOK_AS = {"student": STUDENT, "leader": LEADER, "operator": OPERATOR, "sustainability": SUSTAINABILITY}
PERMISSIONS = {  # of the app `measurements`, beyond seeing one's own jobs; the operator also sees the admin
    OPERATOR: ("view_operations", "view_all_jobs", "manage_factors"),
    SUSTAINABILITY: ("view_operations", "manage_factors"),
}
