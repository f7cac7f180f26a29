"""Mails of several processes at once, and of processes that are killed: real processes, databases, a real server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.pipeline.site import Farm, Running, Site
from tests.pipeline.small import jobs, power, record, small_site, steady
from tests.services.mail import MailServer, mail_server

PEOPLE = ("alice", "bob", "carol", "dave", "erin")
AT_SIX, LATER = "2026-03-09T06:00", "2026-03-09T07:10"
MAKE_PEOPLE = f"""
from django.contrib.auth.models import User
for name in {PEOPLE}:
    User.objects.create_user(name, f"{{name}}@example.org")
"""
SEND = """
from datetime import UTC, datetime
from django.conf import settings
from measurements.services.digests import send_due
settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", {port}, 120
settings.DIGESTS, settings.DEFAULT_FROM_EMAIL = "weekly", "energy@cluster.example"
print(len(send_due(datetime.fromisoformat("{at}").replace(tzinfo=UTC))))
"""


@pytest.fixture
def server() -> Iterator[MailServer]:
    """A running mail server."""
    with mail_server() as found:
        yield found


@pytest.fixture(scope="module")
def base(any_farm: Farm, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Five people, each with a job in the week from 2 March 2026, booked; nobody works on it."""
    tmp_path = tmp_path_factory.mktemp("input")
    found = small_site(any_farm, tmp_path)
    found.do(*power(tmp_path / "p.csv", steady("2026-03-03"), interval="3600"))
    ran = [
        record(str(number), f"2026-03-03T{number + 1:02d}:00:00Z", f"2026-03-03T{number + 2:02d}:00:00Z", user=name)
        for number, name in enumerate(PEOPLE)
    ]
    found.do(*jobs(tmp_path / "j.csv", *ran))
    found.do("attribute")
    found.evaluate(MAKE_PEOPLE)
    return found


@pytest.fixture
def site(base: Site) -> Site:
    """A copy of it."""
    return base.copy()


def begin(site: Site, server: MailServer, at: str, pause: str = "") -> Running:
    """A process that sends what is due."""
    paused = [f"measurements.services.digests.{pause}"] if pause else []
    source = SEND.format(port=server.port, at=at)
    return site.start("evaluate", source, pause=paused, set={"measurements.services.digests.TURN_S": 600.0})


def states(site: Site) -> Counter[str]:
    return Counter(row["state"] for row in site.rows("Digest"))


def test_of_several_processes_at_once_each_mail_is_sent_by_one(site: Site, server: MailServer) -> None:
    running = [begin(site, server, AT_SIX, pause="send_one") for _ in range(3)]  # all have the same list
    for each in running:
        each.until_reached()
    for each in running:
        each.go_on()
    sent = [int(each.wait().done().out) for each in running]
    assert sum(sent) == len(PEOPLE)
    assert sorted(to for to, _ in server.taken) == [f"{name}@example.org" for name in PEOPLE]
    assert states(site) == {"sent": len(PEOPLE)}
    subjects = {mail["Subject"] for _, mail in server.taken}
    assert subjects == {"Your week: 100 Wh, after a week without jobs"}


def test_what_one_process_holds_another_leaves_alone(site: Site, server: MailServer) -> None:
    slow = begin(site, server, AT_SIX, pause="_deliver")  # alice's is claimed and composed
    slow.until_reached()
    assert begin(site, server, AT_SIX).wait().done().out.strip() == str(len(PEOPLE) - 1)
    slow.go_on()
    assert slow.wait().done().out.strip() == "1"
    assert max(Counter(to for to, _ in server.taken).values()) == 1
    assert states(site) == {"sent": len(PEOPLE)}


def test_a_mail_whose_process_is_killed_before_it_is_handed_over_comes_an_hour_later(
    site: Site, server: MailServer
) -> None:
    killed = begin(site, server, AT_SIX, pause="_deliver")
    killed.until_reached()
    assert killed.wait(kill_after_s=0).killed
    begin(site, server, AT_SIX).wait().done()
    assert "alice@example.org" not in {to for to, _ in server.taken}
    begin(site, server, LATER).wait().done()
    assert Counter(to for to, _ in server.taken)["alice@example.org"] == 1
    assert states(site) == {"sent": len(PEOPLE)}


def test_a_mail_whose_process_is_killed_when_it_was_taken_never_comes_twice(site: Site, server: MailServer) -> None:
    killed = begin(site, server, AT_SIX, pause="_ended")  # the server has it, the database does not know
    killed.until_reached()
    assert killed.wait(kill_after_s=0).killed
    for at in (AT_SIX, LATER, "2026-03-10T09:00"):
        begin(site, server, at).wait().done()
    assert Counter(to for to, _ in server.taken) == {f"{name}@example.org": 1 for name in PEOPLE}
    assert states(site) == {"sent": len(PEOPLE) - 1, "failed": 1}
