"""Who uses the simulated cluster, and as whom a visitor can look around. All of them are made up."""

from __future__ import annotations

from dataclasses import dataclass

PASSWORD = "demo"  # noqa: S105 - of people who exist only in the simulation


@dataclass(frozen=True, slots=True)
class Habit:
    """How somebody works: what tells their energy apart from that of others at the same work."""

    slow: float = 1.0  # times as long for the same work: small batches, more passes
    careless: float = 1.0  # times as often as usual a job fails
    waits: float = 0.0  # share of time in which the GPUs of a job wait for its files


@dataclass(frozen=True, slots=True)
class Person:
    """A simulated user of the machine."""

    username: str
    uid: int
    account: str
    leads: bool = False  # the project's principal investigator

    @property
    def habit(self) -> Habit:
        """Theirs; whoever has none that is of note works as is usual."""
        return _HABITS.get(self.username, _USUAL)


_MEMBERS = {  # the first of each project leads it
    "imaging": ("victor", "alice", "carol", "ivan", "petra", "quentin", "ursula"),
    "climate": ("walter", "bob", "dave", "judy", "kim"),
    "genomics": ("sybil", "erin", "frank", "niaj", "leon"),
    "chemistry": ("trent", "grace", "heidi", "oscar", "mia"),
    "microscopy": ("rosa", "yusuf"),
}
PEOPLE = {
    name: Person(name, 5001 + 10 * project + place, account, leads=place == 0)
    for project, (account, names) in enumerate(_MEMBERS.items())
    for place, name in enumerate(names)
}
_USUAL = Habit()
_HABITS = {
    "bob": Habit(careless=0.4),
    "carol": Habit(slow=0.93, careless=0.5, waits=0.05),
    "dave": Habit(slow=1.3, careless=2.0),
    "erin": Habit(careless=0.5),
    "frank": Habit(slow=1.1, careless=2.5, waits=0.22),
    "grace": Habit(slow=0.95, careless=0.6),
    "heidi": Habit(slow=1.2, careless=1.6),
    "ivan": Habit(slow=1.18, careless=2.2, waits=0.18),
    "judy": Habit(slow=0.9, careless=0.5),
    "leon": Habit(slow=0.96, careless=0.6, waits=0.03),
    "mia": Habit(slow=1.06),
    "niaj": Habit(slow=1.12, careless=1.8),
    "petra": Habit(careless=0.7, waits=0.08),
    "quentin": Habit(slow=1.1, careless=1.9, waits=0.25),
    "rosa": Habit(slow=1.14, careless=1.4, waits=0.12),
    "trent": Habit(careless=0.5),
    "ursula": Habit(slow=0.95, careless=0.6, waits=0.04),
    "yusuf": Habit(slow=0.9, waits=0.10),
}
ACCOUNTS = tuple(_MEMBERS)
PARENTS = {"microscopy": "imaging"}  # sub-projects
DEPUTIES = {"imaging": "carol", "climate": "bob"}

# As whom one can look around (password: PASSWORD). The last two run no jobs.
STUDENT, LEADER, OPERATOR, SUSTAINABILITY = "alice", "victor", "olga", "susan"
SECOND_OPERATOR = "omar"  # a leaderboard takes two
LOOK_AS = {"student": STUDENT, "leader": LEADER, "operator": OPERATOR, "sustainability": SUSTAINABILITY}
PERMISSIONS = {  # of the app `measurements`, beyond seeing one's own jobs; the operator also sees the admin
    OPERATOR: (
        "view_operations",
        "view_all_jobs",
        "manage_factors",
        "manage_workloads",
        "publish_boards",
        "add_token",
        "change_token",
        "change_doubt",
        "change_quarantine",
        "add_intake",
        "change_intake",
    ),
    SECOND_OPERATOR: ("view_operations", "view_all_jobs", "manage_workloads", "publish_boards"),
    SUSTAINABILITY: ("view_operations", "manage_factors"),
}
