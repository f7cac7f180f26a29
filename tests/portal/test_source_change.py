"""A change of source on the page: who wants to feed what, tried, declared, noted; then what was refused goes in."""

from __future__ import annotations

import html
import re
from contextlib import suppress
from pathlib import Path

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from measurements.models import ChannelPeriod, Cluster, NodeDay, Quarantine, SealedDay
from measurements.services.replay import replay_due
from tests.portal import world
from tests.portal.test_quarantine import text, user
from tests.portal.test_queries import MOST, queries
from tests.portal.world import DAY_S

PAGE, QUARANTINE = "/operations/quarantine/source/", "/operations/quarantine/"
REASON = "another source feeds this channel"
FILTER = "reason=another+source+feeds+this+channel"
CHANGE = {"cluster": "alpha", "source": "redfish", "feeder": "ipmi_dcmi"}
TO_DECLARE = ("view_operations", "change_channel", "add_channelperiod", "change_channelperiod")
METERS = {
    "ipmi_dcmi": 'ipmi_dcmi_power_consumption_watts{{instance="{}-bmc:9290"}} {} {}\n',
    "redfish": 'redfish_chassis_power_average_consumed_watts{{instance="{}-oob"}} {} {}\n',
}


def two_hours(meter: str, node: str, day: int, watts: int) -> str:
    """A reading a minute from 01:00 to 03:00, of a day counted from the world's."""
    times = (DAY_S + day * 86_400 + minute * 60 for minute in range(60, 181))
    return "".join(METERS[meter].format(node, watts, t * 1000) for t in times)


@pytest.fixture
def refused(site: None, tmp_path: Path) -> None:
    """A day of one meter of two nodes, then a day of another one that is refused."""
    for meter, day, watts in (("ipmi_dcmi", 1, 300), ("redfish", 2, 400)):
        path = tmp_path / f"{meter}.prom"
        path.write_text("".join(two_hours(meter, node, day, watts) for node in ("thin1", "thin2")))
        with suppress(SystemExit):  # nothing of the second one is usable
            world.run("ingest_power", path)
    world.run("attribute")


@pytest.fixture
def declarer(db: None) -> Client:
    """Who may declare it, and try lines again."""
    client = Client()
    client.force_login(user("karla", *TO_DECLARE, "change_quarantine"))
    return client


def plain(page: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", page)))


@pytest.mark.usefixtures("refused")
def test_from_refused_to_the_ledger(declarer: Client) -> None:
    assert f'href="{PAGE}?days=30&amp;{FILTER}"' in text(declarer, f"{QUARANTINE}?{FILTER}")
    page = plain(text(declarer, f"{PAGE}?{FILTER}"))
    assert "redfish in place of ipmi_dcmi alpha" in page
    assert "2 channels ( node ) of 2 nodes: 242 lines of Wed 12 Mar 2025 are refused." in page
    tried = declarer.post(f"{PAGE}?{FILTER}", CHANGE | {"do": "look", "day": "2025-03-12"})
    assert "From Wed 12 Mar 2025 on redfish would feed 2 channels." in plain(tried.content.decode())
    assert not ChannelPeriod.objects.filter(source="redfish").exists()
    assert LogEntry.objects.count() == 0
    declared = declarer.post(f"{PAGE}?{FILTER}", CHANGE | {"do": "declare", "day": "2025-03-12"}, follow=True)
    page = plain(declared.content.decode())
    assert "From Wed 12 Mar 2025 on redfish feeds 2 channels." in page
    assert "242 refused lines are of sources that feed their channels by now." in page
    assert LogEntry.objects.get(user__username="karla").change_message == (
        "source: redfish from 2025-03-12 on, 2 channels, in place of ipmi_dcmi"
    )
    link = re.search(r'href="([^"]*replay/[^"]*)"', declared.content.decode())
    assert link
    declarer.post(html.unescape(link[1]), {"do": "replay"})
    replay_due(timezone.now())
    world.run("attribute")
    booked = NodeDay.objects.filter(day="2025-03-12").values_list("node__name", "metered_j")
    assert sorted(booked) == [("thin1", 400.0 * 7260), ("thin2", 400.0 * 7260)]
    assert Quarantine.objects.get(reason=REASON).count == 0
    assert "Nothing that is refused" in text(declarer, f"{PAGE}?{FILTER}")


@pytest.mark.usefixtures("refused")
@pytest.mark.parametrize("lacking", TO_DECLARE[1:])
def test_who_may_not_change_channels_in_the_admin_may_not_here(client: Client, lacking: str) -> None:
    client.force_login(user("oscar", *(one for one in TO_DECLARE if one != lacking)))
    page = text(client, PAGE)
    assert "redfish in place of ipmi_dcmi" in plain(page)
    assert "See what changes" not in page
    for do in ("look", "declare"):
        assert client.post(PAGE, CHANGE | {"do": do, "day": "2025-03-12"}).status_code == 404
    assert not ChannelPeriod.objects.filter(source="redfish").exists()


@pytest.mark.usefixtures("refused")
def test_nobody_else_finds_the_page_and_a_form_of_elsewhere_does_nothing(client: Client) -> None:
    assert client.get(PAGE).status_code == 302
    client.force_login(user("eve", *TO_DECLARE[1:]))
    assert client.get(PAGE).status_code == 404
    assert client.post(PAGE, CHANGE | {"do": "declare", "day": "2025-03-12"}).status_code == 404
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(user("karla", *TO_DECLARE))
    assert strict.post(PAGE, CHANGE | {"do": "declare", "day": "2025-03-12"}).status_code == 403
    assert not ChannelPeriod.objects.filter(source="redfish").exists()


@pytest.mark.usefixtures("refused")
def test_a_sealed_day_no_day_and_what_nobody_asks_for_are_refused_with_words(declarer: Client) -> None:
    SealedDay.objects.create(cluster=Cluster.objects.get(), day="2025-03-12", sealed_at=timezone.now())
    assert 'value="2025-03-13"' in text(declarer, PAGE)
    for day, words in (
        ("2025-03-12", "That day is sealed and never changes: take Thu 13 Mar 2025 or a later one."),
        ("<b>", "Enter a valid date."),
        ("", "This field is required."),
    ):
        answer = declarer.post(PAGE, CHANGE | {"do": "declare", "day": day})
        assert words in plain(answer.content.decode())
        assert "<b>" not in answer.content.decode()
    late = declarer.post(PAGE, CHANGE | {"do": "look", "day": "2025-03-13"})
    assert "it would stay refused" in late.content.decode()
    other = declarer.post(PAGE, CHANGE | {"do": "declare", "day": "2025-03-13", "source": "pdu"}, follow=True)
    assert "Nothing of that is refused any more." in other.content.decode()
    assert not ChannelPeriod.objects.filter(source__in=("redfish", "pdu")).exists()


@pytest.mark.usefixtures("refused")
def test_the_page_takes_few_queries_and_speaks_german(declarer: Client) -> None:
    assert queries(declarer, f"{PAGE}?{FILTER}") <= MOST
    assert queries(declarer, f"{QUARANTINE}?{FILTER}") <= MOST
    german = Client(headers={"accept-language": "de"})
    german.force_login(User.objects.get(username="karla"))
    page = text(german, f"{PAGE}?{FILTER}")
    assert "redfish statt ipmi_dcmi" in page
    assert "Zeigen, was sich ändert" in page
