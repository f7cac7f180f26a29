"""Budgets on a page: sentences, figures, chart and table, and how they are entered."""

from __future__ import annotations

import json
from datetime import date
from html.parser import HTMLParser
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from django.template.loader import render_to_string
from django.test import Client
from django.utils import translation

from measurements.models import Budget, Project, UsageDay
from measurements.selectors.project import Access
from portal.budget_page import Card, budget_context
from portal.wording_budget import about, of_the_period, period_name, whole
from tests.conftest import People
from tests.measurements.budget_world import DAY, machine, noon, use, used_by
from tests.measurements.selectors.test_budgets import BEGIN, END, NOW, SIX, leader, priced

pytestmark = pytest.mark.django_db
ZONE = ZoneInfo("UTC")


@pytest.fixture
def project() -> Project:
    machine(NOW)
    return Project.objects.create(name="physics")


def add(project: Project, amount: float = 3000.0, first: date = BEGIN, last: date = END, **more: Any) -> Budget:
    return Budget.objects.create(project=project, owner="alice", first=first, last=last, amount=amount, **more)


def cards(project: Project, who: Access | None = None) -> list[Card]:
    found: list[Card] = budget_context(project, NOW, ZONE, who)["budgets"]
    return found


def card(project: Project, who: Access | None = None) -> Card:
    (found,) = cards(project, who)
    return found


def plain(text: str) -> str:
    return text.replace("\u00a0", " ").replace("\u202f", " ")


def tiles(found: Card) -> dict[str, tuple[str, str]]:
    return {tile.label: (plain(tile.figure), plain(tile.beside)) for tile in found.tiles}


def page(project: Project, who: Access | None = None) -> str:
    return render_to_string("portal/partials/_budget.html", budget_context(project, NOW, ZONE, who))


# --- Sentences ------------------------------------------------------------------------------------------


def test_the_sentence_says_used_elapsed_and_where_it_ends(project: Project) -> None:
    add(project)
    use(BEGIN, [10.0] * 182)
    found = card(project)
    assert plain(found.sentence).startswith(
        "60 % used after 50 % of the year. At this pace it ends at 121 % (90 % interval: "
    )
    assert found.sentence.endswith("), and is used up in late October, at the earliest in early October.")
    assert (found.name, found.status) == ("Budget 2026: 3.00\u00a0MWh", "will be used up")
    shown = tiles(found)
    assert shown["Used"] == ("60 %", "1.82 MWh of 3.00 MWh")
    assert shown["Left"] == ("1.18 MWh", "of all that is available")
    assert shown["At the end, at this pace"][0] == "121 %"
    assert "Not metered" not in shown


def test_what_is_not_metered_stands_beside(project: Project) -> None:
    add(project, 6000.0)
    use(BEGIN, [20.0] * 182, filled=0.1)
    found = card(project)
    assert tiles(found)["Not metered"] == ("≈ 364 kWh", "with it 60 %")
    beside = plain(" ".join(found.beside))
    assert "≈ 364 kWh not metered besides: with it 60 % would be used." in beside
    assert "90.0 % of the jobs' time was measured." in beside
    assert found.chart is not None
    assert [line["role"] for line in found.chart["series"]] == ["used", "filled", "forecast"]


def test_what_is_not_metered_counts_where_the_budget_says_so(project: Project) -> None:
    add(project, 6000.0, count_filled=True)
    use(BEGIN, [20.0] * 182, filled=0.1)
    found = card(project)
    assert tiles(found)["Used"][0] == "60 %"
    assert "≈ 364 kWh of it was not metered, and is estimated." in plain(" ".join(found.beside))
    assert found.chart is not None
    assert [line["role"] for line in found.chart["series"]] == ["used", "forecast"]


def test_no_data_not_measured_not_known_and_withheld_are_different_sentences(project: Project) -> None:
    add(project)
    nothing = card(project)
    use(BEGIN, [0.0001] * 20, filled=1.0, username="ann")
    estimated = card(project)
    Budget.objects.update(unit="kg_co2e")
    unknown = card(project)
    withheld = card(project, leader(project))
    assert nothing.sentence == "None of the jobs that count has run in this period yet, as far as this site knows."
    assert plain(estimated.sentence).startswith("0 % used after 50 % of the year.")
    assert unknown.sentence == "Jobs ran, but no carbon intensity is known: the amount is not known."
    assert withheld.sentence.startswith("What is used of it is not shown to you")
    for found in (nothing, unknown, withheld):
        assert (found.chart, found.tiles, found.rows) == (None, [], [])
    assert [found.status for found in (nothing, unknown, withheld)] == ["not known", "not known", "not shown"]


def test_nothing_measured_is_not_nothing_used(project: Project) -> None:
    add(project)
    use(BEGIN, [1.0] * 20, filled=1.0)
    for row in UsageDay.objects.all():
        records = np.frombuffer(bytes(row.hours), "<f8").reshape(-1, 12).copy()
        records[:, 10] = 0.0  # no rated power either
        UsageDay.objects.filter(pk=row.pk).update(hours=records.tobytes(), filled_j=0.0)
    assert card(project).sentence == "Jobs ran, but nothing of it was measured."


def test_a_budget_of_money_names_its_currency(project: Project) -> None:
    priced()
    add(project, 500.0, unit="money", currency="EUR")
    use(BEGIN, [10.0] * 182)
    found = card(project)
    assert tiles(found)["Used"] == ("109 %", "546.00 EUR of 500.00 EUR")
    assert tiles(found)["Overdrawn by"][0] == "46.00 EUR"
    assert found.status == "used up"
    assert found.sentence.startswith(
        "109\u00a0% used after 50\u00a0% of the year. It was used up on 16 June 2026. At this"
    )
    assert found.chart is not None
    assert (found.chart["unit"], found.chart["quantity"]) == ("EUR", "")


def test_the_period_before_is_named(project: Project) -> None:
    add(project, 1000.0, date(2025, 7, 1), date(2025, 12, 31))
    later = add(project, carry_over="both")
    use(date(2025, 10, 1), [1500.0])
    use(BEGIN, [1.0] * 30)
    found = card(project)
    assert "The period before was overdrawn by 500 kWh: that is taken off." in plain(" ".join(found.beside))
    assert ("Taken over", "−500 kWh") in [(name, plain(value)) for name, value in found.facts]
    Budget.objects.filter(pk=later.pk).update(amount=400.0)
    found = card(project)
    assert found.sentence.startswith("Nothing is available: the period before was overdrawn")
    assert found.chart is None


def test_levels_that_are_reached_are_said_and_those_that_would_be(project: Project) -> None:
    add(project, 2000.0, warning_levels=[0.5, 0.8, 0.9, 1.0])
    use(BEGIN, [10.0] * 182, filled=0.15)  # 77 % metered, 91 % in all
    assert card(project).beside[0] == "Warning level 50\u00a0% is reached."
    Budget.objects.update(warning_levels=[0.8, 1.0])
    assert card(project).beside[0] == "With what is not metered, warning level 80\u00a0% would be reached."


def test_a_coming_budget_and_one_that_is_over(project: Project) -> None:
    add(project, 100.0, date(2026, 8, 1), date(2026, 8, 31))
    add(project, 100.0, date(2026, 6, 1), date(2026, 6, 30))
    use(date(2026, 6, 1), [3.0] * 30)
    coming, over = cards(project)
    assert (coming.sentence, coming.status, coming.chart) == ("It begins on 1 August 2026.", "not begun", None)
    assert (plain(over.sentence), over.status) == ("90 % was used.", "kept")
    assert "At the end, at this pace" not in tiles(over)


def test_a_young_project_is_told_why_there_is_no_forecast(project: Project) -> None:
    add(project)
    use(NOW.date() - 5 * DAY, [10.0] * 5)
    found = card(project)
    assert found.sentence.endswith("There is no forecast yet: it needs two whole weeks of use.")
    assert tiles(found)["At the end, at this pace"] == ("", "no forecast")
    assert '<dd class="figure small none">–</dd>' in page(project)


@pytest.mark.parametrize(
    ("first", "last", "said", "name"),
    [
        (date(2026, 1, 1), date(2026, 12, 31), "of the year", "2026"),
        (date(2026, 7, 1), date(2027, 6, 30), "of the period", "1 July 2026 – 30 June 2027"),
        (date(2026, 4, 1), date(2026, 6, 30), "of the quarter", "1 April – 30 June 2026"),
        (date(2026, 2, 1), date(2026, 2, 28), "of the month", "February 2026"),
        (date(2026, 2, 3), date(2026, 3, 2), "of the period", "3 February – 2 March 2026"),
    ],
)
def test_periods_have_names(first: date, last: date, said: str, name: str) -> None:
    assert (of_the_period(first, last), period_name(first, last)) == (said, name)


def test_a_forecast_names_a_third_of_a_month(project: Project) -> None:
    year, longer = add(project), add(project, last=date(2027, 6, 30))
    said = [about(date(2026, 10, day), year) for day in (1, 10, 11, 20, 21)]
    assert said == ["early October"] * 2 + ["mid-October"] * 2 + ["late October"]
    assert about(date(2027, 1, 1), longer) == "early January 2027"


def test_what_is_not_used_up_never_looks_used_up() -> None:
    assert [plain(whole(share)) for share in (0.9999, 1.0, 0.29, 1.199, None)] == [
        "99 %",
        "100 %",
        "29 %",
        "119 %",
        "–",
    ]


# --- Chart and table ------------------------------------------------------------------------------------


def test_the_table_has_the_chart_s_numbers(project: Project) -> None:
    add(project, 400.0, date(2026, 6, 1), date(2026, 7, 31))
    use(date(2026, 4, 1), [10.0] * 92, filled=0.2)
    use(NOW.date(), [2.0])
    found = card(project)
    chart, unit = found.chart, found.unit
    assert chart is not None
    assert unit is not None
    assert (unit.label, len(chart["t"]), len(found.rows)) == ("kWh", 62, 61), "the begin is no row"
    used, filled, forecast = (line["values"] for line in chart["series"])
    assert (used[0], used[1], used[31], used[32], used[33]) == (0.0, 8.0, 248.0, 250.0, None)
    assert filled[31] == pytest.approx(310.0)
    assert forecast[30] is None
    assert forecast[31] == used[31], "the forecast begins where the use that is sure ends"
    assert forecast[-1] == pytest.approx(488.0)
    assert chart["even"]["values"][-1] == chart["available"] == 400.0
    assert [(level["label"], level["value"]) for level in chart["levels"]] == [
        ("80\u00a0%", 320.0),
        ("100\u00a0%", 400.0),
    ]
    assert chart["most"] >= max(*chart["series"][2]["values"][31:], 400.0)
    assert found.rows[0] == ["1 Jun 2026", "8.00", "10.0", "–", "–", "–", "6.56"]
    assert found.rows[31][0] == "2 Jul 2026, so far"
    assert found.rows[31][1] == "250"
    assert found.rows[-1][0] == "31 Jul 2026"
    assert found.rows[-1][1:4] == ["–", "–", "488"]
    assert len(found.columns) == len(found.rows[0]) - 1


def test_a_year_has_a_point_a_week_and_today_s_and_the_last(project: Project) -> None:
    add(project)
    use(BEGIN, [10.0] * 183)
    chart = card(project).chart
    assert chart is not None
    assert len(chart["t"]) <= 57
    assert "2 Jul 2026, so far" in chart["titles"]
    assert chart["titles"][-1] == "31 Dec 2026"
    used = [value for value in chart["series"][0]["values"] if value is not None]
    assert used[-1] == pytest.approx(1.83)
    assert (np.diff(used) > 0).all()
    labels = [tick["label"] for tick in chart["ticks"]]
    assert (len(labels), labels[0], labels[-1]) == (12, "Jan", "Dec")


def test_days_of_a_zone_with_a_change_of_the_clock_end_at_its_midnights(project: Project) -> None:
    add(project, 100.0, date(2026, 3, 1), date(2026, 3, 31))
    (found,) = budget_context(project, noon(date(2026, 3, 30)), ZoneInfo("Europe/Berlin"))["budgets"]
    assert found.chart is None
    use(date(2026, 3, 1), [1.0] * 29)
    (found,) = budget_context(project, noon(date(2026, 3, 30)), ZoneInfo("Europe/Berlin"))["budgets"]
    lengths_h = np.diff(found.chart["t"]) / 3_600_000
    assert sorted(set(lengths_h.tolist())) == [23.0, 24.0]
    assert lengths_h[28] == 23.0


def test_whoever_sees_the_sum_only_gets_a_point_and_where_it_leads(project: Project) -> None:
    add(project)
    used_by(SIX, BEGIN, [10.0] * 182)
    used_by(SIX, NOW.date(), [600.0])
    found = card(project, leader(project))
    assert plain(found.sentence).startswith(
        "60 % used after 49 % of the year. That is up to the end of 30 June 2026. At this pace"
    )
    assert "At this pace it ends at 121 %" in plain(found.sentence)
    chart = found.chart
    assert chart is not None
    used = chart["series"][0]["values"]
    assert [value for value in used if value is not None] == [1.81]
    assert chart["titles"] == ["Begin", "30 Jun 2026", "31 Dec 2026"]
    assert [row[:3] for row in found.rows] == [["30 Jun 2026", "1.81", "1.81"], ["31 Dec 2026", "–", "3.65"]]


def test_in_its_first_month_whoever_sees_the_sum_only_is_told_to_come_back(project: Project) -> None:
    add(project, 300.0, NOW.date(), date(2026, 9, 30))
    used_by(SIX, BEGIN, [10.0] * 183)
    assert card(project, leader(project)).sentence.startswith("Its first month is not over:")


# --- The page -------------------------------------------------------------------------------------------


class Ids(HTMLParser):
    """All ids, and all that refer to one."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.used: list[str] = []
        self.styled: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.append(str(value))
            if name in ("aria-labelledby", "aria-describedby"):
                self.used += str(value).split()
            if name == "style" or name.startswith("on"):
                self.styled.append(name)


def test_several_budgets_stand_on_a_page_with_ids_of_their_own(project: Project) -> None:
    priced()
    add(project, note="<b>grant</b>")
    add(project, 500.0, unit="money", currency="EUR")
    use(BEGIN, [10.0] * 182)
    text = page(project)
    found = Ids(text)
    assert len(found.ids) == len(set(found.ids))
    assert set(found.used) <= set(found.ids)
    assert found.styled == []
    assert "<b>grant" not in text
    assert "&lt;b&gt;grant" in text
    for one in cards(project):
        said = text.split(f'id="{one.data_id}" type="application/json">')[1].split("</script>")[0]
        assert json.loads(said) == json.loads(json.dumps(one.chart))


def test_a_project_without_a_budget_shows_nothing(project: Project) -> None:
    assert page(project).strip() == ""


def test_in_german_it_is_not_broken(project: Project) -> None:
    add(project)
    use(BEGIN, [10.0] * 182, filled=0.1)
    with translation.override("de"):
        assert "1,64" in page(project)


# --- How they are entered -------------------------------------------------------------------------------


def entered(**more: Any) -> dict[str, Any]:
    project, _ = Project.objects.get_or_create(name="physics")
    return {
        "project": project.pk,
        "owner": "alice",
        "first": "2026-01-01",
        "last": "2026-12-31",
        "unit": "kwh",
        "amount": "3000",
        "carry_over": "unused",
    } | more


def test_an_operator_enters_a_budget(people: People, client: Client) -> None:
    client.force_login(people.olga)
    said = entered(warning_levels="80, 50 100%", counted_states=["COMPLETED", "TIMEOUT"], unit="money", currency="eur")
    assert client.get("/admin/measurements/budget/add/").status_code == 200
    assert client.post("/admin/measurements/budget/add/", said).status_code == 302
    found = Budget.objects.get()
    assert found.warning_levels == [0.5, 0.8, 1.0]
    assert sorted(found.counted_states) == ["COMPLETED", "TIMEOUT"]
    assert found.currency == "EUR"
    edited = client.get(f"/admin/measurements/budget/{found.pk}/change/").content.decode()
    assert 'value="50, 80, 100"' in edited
    assert "physics" in client.get("/admin/measurements/budget/").content.decode()


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"warning_levels": "eighty"}, "Give numbers in per cent"),
        ({"warning_levels": "0, 80"}, "A warning level is above 0"),
        ({"warning_levels": "nan"}, "A warning level is above 0"),
        ({"unit": "money"}, "A budget of money needs a currency"),
        ({"last": "2025-12-31"}, "budget_begins_before_it_ends"),
        ({"amount": "0"}, "budget_positive"),
    ],
)
def test_what_makes_no_sense_is_refused(people: People, client: Client, wrong: dict[str, str], why: str) -> None:
    client.force_login(people.olga)
    answer = client.post("/admin/measurements/budget/add/", entered(**wrong))
    assert answer.status_code == 200
    assert why in answer.content.decode()
    assert not Budget.objects.exists()


def test_without_levels_the_usual_ones_hold_and_energy_has_no_currency(people: People, client: Client) -> None:
    client.force_login(people.olga)
    client.post("/admin/measurements/budget/add/", entered(currency="EUR"))
    found = Budget.objects.get()
    assert (found.warning_levels, found.counted_states, found.currency) == ([], [], "")
