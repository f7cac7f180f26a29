"""How a project stands with its budgets, on months of use that are easy to add up."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from measurements.domain.budget import CarryOver
from measurements.domain.forecast import NoForecast
from measurements.domain.units import J_PER_KWH
from measurements.models import Budget, Cluster, Membership, Node, Project, PublishedValue, Supply, UsageDay
from measurements.selectors.budgets import BudgetState, Fan, Phase, budget_states
from measurements.selectors.project import Access, access
from measurements.services.pricing import add_supply
from tests.measurements.budget_world import DAY, machine, noon, use, used_by
from tests.measurements.statement_world import declare, series

pytestmark = pytest.mark.django_db
UTC_ZONE = ZoneInfo("UTC")
BEGIN, END = date(2026, 1, 1), date(2026, 12, 31)
NOW = noon(date(2026, 7, 2))  # 182 whole days are over; half of the year's time at midnight
AFTER = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.fixture
def project() -> Project:
    machine(NOW)
    return Project.objects.create(name="physics")


def budget(project: Project, amount: float = 10_000.0, first: date = BEGIN, last: date = END, **more: object) -> Budget:
    return Budget.objects.create(project=project, owner="alice", first=first, last=last, amount=amount, **more)


def state_of(project: Project, now: datetime = NOW, zone: ZoneInfo = UTC_ZONE, **more: object) -> BudgetState:
    (found,) = budget_states(project, now, zone, **more)  # type: ignore[arg-type]
    return found


def kwh(joules: float) -> float:
    return joules / J_PER_KWH


# --- What is used ---------------------------------------------------------------------------------------


def test_used_left_and_elapsed(project: Project) -> None:
    budget(project)
    use(BEGIN - 5 * DAY, [77.0] * 5)
    use(BEGIN, [10.0] * 183)  # the last of them today
    found = state_of(project)
    assert found.phase is Phase.RUNNING
    assert (kwh(found.account.metered), kwh(found.account.remaining)) == pytest.approx((1830.0, 8170.0))
    assert found.account.share == pytest.approx(0.183)
    assert found.elapsed == pytest.approx(182.5 / 365)
    assert kwh(found.cumulated[0]) == pytest.approx(10.0)
    assert kwh(found.cumulated[-1]) == pytest.approx(1830.0)
    assert found.budget.first + (len(found.cumulated) - 1) * DAY == NOW.date()
    assert (found.coverage, found.unknown_days, found.running) == (1.0, 0, 0.0)


def test_days_are_those_of_the_zone(project: Project) -> None:
    """The last hour of the year before in UTC is the first of this one in Berlin."""
    budget(project)
    use(BEGIN - DAY, [24.0])
    assert kwh(state_of(project, zone=ZoneInfo("Europe/Berlin")).account.metered) == pytest.approx(1.0)
    assert state_of(project).account.metered == 0.0


def test_sub_projects_count_and_others_do_not(project: Project) -> None:
    below = Project.objects.create(name="optics", parent=project)
    Project.objects.create(name="lasers", parent=below)
    budget(project)
    budget(below, 100.0)
    for name, amount in {"physics": 1.0, "optics": 10.0, "lasers": 100.0, "biology": 1000.0}.items():
        use(BEGIN, [amount], account=name)
    assert kwh(state_of(project).account.metered) == pytest.approx(111.0)
    assert kwh(state_of(below).account.metered) == pytest.approx(110.0)


def test_a_circle_of_projects_is_walked_once(project: Project) -> None:
    below = Project.objects.create(name="optics", parent=project)
    Project.objects.filter(pk=project.pk).update(parent=below)
    budget(project)
    use(BEGIN, [1.0])
    assert kwh(state_of(project).account.metered) == pytest.approx(1.0)


def test_what_is_not_metered_is_beside_or_counts(project: Project) -> None:
    beside, counted = budget(project), budget(project, count_filled=True)
    use(BEGIN, [100.0] * 30, filled=0.25)
    found = {state.budget.pk: state for state in budget_states(project, NOW, UTC_ZONE)}
    for state in found.values():
        assert (kwh(state.account.metered), kwh(state.account.filled)) == pytest.approx((2250.0, 750.0))
        assert state.coverage == pytest.approx(0.75)
    assert kwh(found[beside.pk].account.used) == kwh(found[beside.pk].cumulated[-1]) == pytest.approx(2250.0)
    assert kwh(found[counted.pk].account.used) == kwh(found[counted.pk].cumulated[-1]) == pytest.approx(3000.0)


def test_only_counted_end_states_count_and_what_runs_is_said(project: Project) -> None:
    budget(project, counted_states=["COMPLETED", "TIMEOUT"])
    for state, amount in {"COMPLETED": 1.0, "TIMEOUT": 10.0, "NODE_FAIL": 100.0, "RUNNING": 1000.0}.items():
        use(BEGIN, [amount], state=state)
    found = state_of(project)
    assert (kwh(found.account.metered), kwh(found.running)) == pytest.approx((11.0, 1000.0))


def test_without_a_choice_all_states_count_and_nothing_runs_beside(project: Project) -> None:
    budget(project)
    for state in ("COMPLETED", "NODE_FAIL", "RUNNING"):
        use(BEGIN, [1.0], state=state)
    found = state_of(project)
    assert (kwh(found.account.metered), found.running) == pytest.approx((3.0, 0.0))


# --- Emissions and money --------------------------------------------------------------------------------


def priced(since: date = BEGIN) -> None:
    """400 g/kWh, 0.25 EUR/kWh, PUE 1.2."""
    cluster = Cluster.objects.get()
    years = series("years", "consumption")
    for year in (since.year, since.year + 1):
        PublishedValue.objects.create(series=years, start=date(year, 1, 1), g_per_kwh=400.0)
    add_supply(Supply(cluster=cluster, yearly=years), AFTER)
    declare(cluster, "tariff", 0.25, unit="EUR/kWh")
    declare(cluster, "pue", 1.2, detail={"category": "PUE2"})


def test_emissions_and_money_have_the_part_that_is_not_metered_as_well(project: Project) -> None:
    priced()
    budget(project, unit="kg_co2e", amount=1000.0)
    budget(project, unit="money", currency="EUR", amount=500.0)
    use(BEGIN, [100.0] * 10, filled=0.2)
    carbon, money = budget_states(project, NOW, UTC_ZONE)
    assert carbon.account.metered / 1000 == pytest.approx(800 * 1.2 * 0.4)
    assert carbon.account.filled / 1000 == pytest.approx(200 * 1.2 * 0.4)
    assert carbon.account.share == pytest.approx(0.384)
    assert (money.account.metered, money.account.filled) == pytest.approx((800 * 1.2 * 0.25, 200 * 1.2 * 0.25))
    assert (carbon.currency, money.currency) == ("", "EUR")


def test_without_a_factor_the_amount_is_unknown_and_not_nothing(project: Project) -> None:
    budget(project, unit="kg_co2e")
    use(BEGIN, [10.0] * 182)
    found = state_of(project)
    assert found.unknown_days == 182
    assert found.fan is NoForecast.NOT_KNOWN


def test_another_currency_than_the_tariff_s_is_unknown(project: Project) -> None:
    priced()
    budget(project, unit="money", currency="CHF")
    use(BEGIN, [10.0] * 20)
    assert state_of(project).unknown_days == 20


# --- Periods --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "used", "carried"),
    [("none", 300.0, 0.0), ("unused", 300.0, 700.0), ("unused", 1500.0, 0.0), ("both", 1500.0, -500.0)],
)
def test_what_the_period_before_left_is_taken_over(project: Project, rule: str, used: float, carried: float) -> None:
    budget(project, 1000.0, date(2025, 7, 1), date(2025, 12, 31))
    budget(project, 1000.0, carry_over=rule)
    use(date(2025, 10, 1), [used])
    found = state_of(project)
    assert kwh(found.account.carried) == pytest.approx(carried)
    assert kwh(found.account.available) == pytest.approx(1000.0 + carried)
    assert found.carried_known


def test_what_was_taken_over_is_taken_over_again(project: Project) -> None:
    """100 − 30 = 70 are left of the first; 170 − 50 = 120 of the second."""
    for first, last, amount in ((1, 2, 30.0), (3, 4, 50.0), (5, 12, 1.0)):
        begin = date(2026, first, 1)
        end = date(2026, last + 1, 1) - DAY if last < 12 else END
        budget(project, 100.0, begin, end, carry_over=CarryOver.UNUSED)
        use(begin, [amount])
    found = state_of(project)
    assert (kwh(found.account.carried), kwh(found.account.used)) == pytest.approx((120.0, 1.0))


def test_only_the_same_unit_is_taken_over_and_only_without_a_break(project: Project) -> None:
    budget(project, 1000.0, date(2025, 7, 1), date(2025, 12, 31), unit="money", currency="EUR")
    budget(project, 1000.0, date(2025, 1, 1), date(2025, 12, 30))
    budget(project, 1000.0, carry_over="both")
    assert state_of(project).account.carried == 0.0


def test_budgets_that_come_and_are_over_stand_behind_those_that_run(project: Project) -> None:
    over = budget(project, 50.0, date(2026, 6, 1), date(2026, 6, 30))
    coming = budget(project, 50.0, date(2026, 8, 1), date(2026, 8, 31), carry_over="unused")
    running = budget(project)
    long_over = budget(project, 50.0, date(2026, 1, 1), date(2026, 5, 31))
    use(date(2026, 6, 10), [60.0])
    found = budget_states(project, NOW, UTC_ZONE)
    assert [state.budget.pk for state in found] == [running.pk, coming.pk, over.pk]
    assert long_over.pk not in [state.budget.pk for state in found]
    last = found[2]
    assert last.phase is Phase.OVER
    assert (last.elapsed, kwh(last.account.used)) == pytest.approx((1.0, 60.0))
    assert (last.runs_out.since, last.fan, last.passed) == (date(2026, 6, 10), NoForecast.OVER, (0.8, 1.0))
    assert (found[1].account.used, found[1].passed, found[1].warns) == (0.0, (), False)


def test_a_project_without_a_budget_costs_one_query(project: Project) -> None:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert budget_states(project, NOW, UTC_ZONE) == []
    assert len(queries) == 1


def test_several_budgets_are_one_question(project: Project) -> None:
    priced()
    use(BEGIN, [10.0] * 182)
    counts = []
    for _ in range(3):
        budget(project)
        budget(project, unit="money", currency="EUR")
        budget_states(project, NOW, UTC_ZONE)  # prices are stored or made the same way each time
        with CaptureQueriesContext(connection) as queries:
            budget_states(project, NOW, UTC_ZONE)
        counts.append(len(queries))
    assert len(set(counts)) == 1, counts


# --- The forecast ---------------------------------------------------------------------------------------


def test_at_an_even_pace_twice_the_half(project: Project) -> None:
    """182 days of 10 kWh are over, 183 are to come; today's day counts as one to come."""
    budget(project, 3000.0)
    use(BEGIN, [10.0] * 182)
    use(NOW.date(), [3.0])
    found = state_of(project)
    assert isinstance(found.fan, Fan)
    assert found.at_end is not None
    central, low, high = map(kwh, found.at_end)
    assert central == pytest.approx(3650.0)
    assert 1823.0 < low < 3650.0 < high
    assert (found.fan.first, len(found.fan.central)) == (NOW.date(), 183)
    assert found.runs_out.central == BEGIN + 299 * DAY, "the 300th day"
    assert found.runs_out.earliest is not None
    assert found.runs_out.earliest < found.runs_out.central
    assert found.warns
    assert found.passed == ()


def test_never_less_than_what_is_used_already(project: Project) -> None:
    budget(project, 3000.0)
    use(BEGIN, [10.0] * 182)
    use(NOW.date(), [500.0])
    found = state_of(project)
    assert isinstance(found.fan, Fan)
    for line in (found.fan.low, found.fan.central, found.fan.high):
        assert line[0] >= found.account.used
        assert (np.diff(line) >= 0).all()


def test_the_habit_is_older_than_the_period(project: Project) -> None:
    """A budget of July has a forecast on its second day."""
    budget(project, 1000.0, date(2026, 7, 1), date(2026, 7, 31))
    use(date(2026, 4, 1), [10.0] * 92)
    found = state_of(project)
    assert found.at_end is not None
    assert kwh(found.at_end[0]) == pytest.approx(310.0)


def test_days_that_are_not_measured_yet_are_no_days_without_use(project: Project) -> None:
    """The last sample is of 12 June: 13 June to the end are to come, though it is July."""
    Node.objects.update(last_sample_ms=int(noon(date(2026, 6, 12)).timestamp() * 1000))
    budget(project, 3000.0)
    use(BEGIN, [10.0] * 162)  # to 11 June
    found = state_of(project)
    assert isinstance(found.fan, Fan)
    assert (found.complete_to, found.fan.first) == (date(2026, 6, 11), date(2026, 6, 12))
    assert kwh(found.fan.central[-1]) == pytest.approx(3650.0)


def test_the_first_weeks_of_a_project_have_no_forecast(project: Project) -> None:
    budget(project)
    use(NOW.date() - 13 * DAY, [10.0] * 13)
    assert state_of(project).fan is NoForecast.TOO_SHORT


def test_a_budget_that_is_used_up_says_since_when(project: Project) -> None:
    budget(project, 100.0)
    use(BEGIN, [10.0] * 20)
    found = state_of(project)
    assert (found.runs_out.since, found.runs_out.central) == (date(2026, 1, 10), None)
    assert (found.passed, found.warns) == ((0.8, 1.0), True)


# --- Leaders --------------------------------------------------------------------------------------------

SIX = ("ann", "ben", "cat", "dan", "eve", "fox")


def leader(project: Project, since: date | None = None) -> Access:
    """Of alice, who has no job of her own."""
    Membership.objects.create(project=project, username="alice", role="leader", valid_from=since)
    found = access(User.objects.create_user("alice"), project.name)
    assert found is not None
    return found


def test_a_leader_of_many_sees_the_sum_and_no_days(project: Project) -> None:
    budget(project, 3000.0)
    used_by(SIX, BEGIN, [10.0] * 182)
    used_by(SIX, NOW.date(), [600.0])
    found = state_of(project, who=leader(project))
    assert found.limited
    assert found.until == date(2026, 6, 30), "a sum that grows day by day would tell what one day drew"
    assert kwh(found.account.used) == pytest.approx(1810.0)
    assert len(found.cumulated) == 0
    assert found.at_end is not None
    assert kwh(found.at_end[0]) == pytest.approx(3650.0)


def test_the_forecast_of_a_sum_says_nothing_of_when_it_was_used(project: Project) -> None:
    """The same sum, used early or late: only whoever sees days is told which."""
    budget(project, 3000.0)
    used_by(SIX, BEGIN, [20.0] * 91 + [10.0] * 91)
    who = leader(project)
    early = [state_of(project, who=who), state_of(project)]
    UsageDay.objects.all().delete()
    used_by(SIX, BEGIN, [10.0] * 91 + [20.0] * 91)
    late = [state_of(project, who=who), state_of(project)]
    centrals = [[kwh(state.at_end[0]) for state in states if state.at_end] for states in (early, late)]
    # Up to the end of June, the 181st day: 2,720 kWh of the one, 2,710 of the other.
    assert centrals[0][0] == pytest.approx(2720 / 181 * 365)
    assert centrals[1][0] == pytest.approx(2710 / 181 * 365)
    assert centrals[0][1] < centrals[0][0] < centrals[1][1]
    for state in (early[0], late[0]):
        assert isinstance(state.fan, Fan)
        for line in (state.fan.central, state.fan.low, state.fan.high):
            assert np.ptp(np.diff(line)) == pytest.approx(0.0, abs=1e-3), "a straight line"


def test_a_leader_of_few_sees_no_sum(project: Project) -> None:
    budget(project, 3000.0)
    used_by(SIX[:3], BEGIN, [10.0] * 182)
    found = state_of(project, who=leader(project))
    assert (found.until, found.account.used, found.account.filled, found.coverage) == (None, 0.0, 0.0, None)
    assert (found.runs_out.since, found.running, found.unknown_days, found.passed) == (None, 0.0, 0, ())
    assert found.fan is NoForecast.OVER


def test_what_few_used_lately_waits_until_it_may_be_shown(project: Project) -> None:
    budget(project, 3000.0)
    used_by(SIX, BEGIN, [10.0] * 181)  # to the end of June
    use(date(2026, 7, 1), [700.0], username="ann")
    found = state_of(project, who=leader(project))
    assert found.until == date(2026, 6, 30)
    assert kwh(found.account.used) == pytest.approx(1810.0)
    assert found.elapsed == pytest.approx(181 / 365)
    assert isinstance(found.fan, Fan)
    assert found.fan.first == date(2026, 7, 1)
    assert kwh(found.fan.central[-1]) == pytest.approx(3650.0)


def test_a_leader_sees_no_use_of_a_budget_that_began_before_the_role(project: Project) -> None:
    budget(project, 3000.0)
    budget(project, 500.0, date(2026, 5, 1), date(2026, 8, 31))
    used_by(SIX, BEGIN, [10.0] * 182)
    with override_settings(LEADER_SEES="names"):
        year, summer = budget_states(project, NOW, UTC_ZONE, leader(project, since=date(2026, 5, 1)))
    assert (year.until, year.account.used) == (None, 0.0)
    assert summer.until == NOW.date()
    assert kwh(summer.account.used) == pytest.approx(620.0)
    assert len(summer.cumulated) == 63, "whoever sees names sees days"
    assert summer.at_end is not None
    assert not summer.limited


def test_what_is_carried_over_is_withheld_with_the_period_before(project: Project) -> None:
    budget(project, 1000.0, date(2025, 7, 1), date(2025, 12, 31))
    budget(project, 3000.0, carry_over="both")
    who = leader(project)
    used_by(SIX, BEGIN, [10.0] * 182)
    used_by(SIX[:2], date(2025, 10, 1), [300.0])
    found = state_of(project, who=who)
    assert (found.carried_known, found.account.carried) == (False, 0.0)
    used_by(SIX[2:], date(2025, 10, 2), [100.0])
    found = state_of(project, who=who)
    assert found.carried_known
    assert kwh(found.account.carried) == pytest.approx(600.0)


def test_what_a_leader_is_not_shown_before_the_period_is_in_no_interval_either(project: Project) -> None:
    budget(project, 3000.0)
    used_by(SIX, BEGIN, [10.0, 30.0] * 91)
    who = leader(project)
    before = state_of(project, who=who)
    use(BEGIN - 20 * DAY, [500.0] * 20, username="ann")
    after = state_of(project, who=who)
    assert before.at_end == after.at_end
    later = noon(date(2026, 2, 20))
    UsageDay.objects.filter(day__gte=later.date()).delete()
    with_past = state_of(project, later, who=who)
    UsageDay.objects.filter(day__lt=BEGIN).delete()
    assert with_past.at_end == state_of(project, later, who=who).at_end
    assert with_past.at_end is not None


def test_on_the_first_day_a_leader_sees_nothing_yet(project: Project) -> None:
    budget(project, 300.0, NOW.date(), date(2026, 9, 30))
    used_by(SIX, BEGIN, [10.0] * 183)
    found = state_of(project, who=leader(project))
    assert found.until == NOW.date() - DAY
    assert (found.account.used, len(found.cumulated)) == (0.0, 0)
    assert found.fan is NoForecast.NO_USE
