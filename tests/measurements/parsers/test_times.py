"""Time stamps: every form, scalar and column alike, and clocks that are set back or forward."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from measurements.domain.units import DAY_MS, ms_from_datetime
from measurements.parsers.times import (
    REASONS,
    TimeFault,
    TimeKind,
    TimeRefused,
    decide_by_elapsed,
    instant_candidates,
    ms_from_ns,
    parse_instant,
    parse_times,
    time_kind,
)
from tests.measurements.parsers.reading import NOW_MS

NOON_MS = ms_from_datetime(datetime(2025, 3, 1, 12, tzinfo=UTC))
BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [BERLIN, ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Asia/Gaza"), ZoneInfo("America/St_Johns"), UTC]


@pytest.mark.parametrize(
    "text",
    [
        "2025-03-01T12:00:00Z",
        "2025-03-01 12:00:00Z",
        "2025-03-01T12:00Z",
        "2025-03-01T12Z",
        "20250301T120000Z",
        "2025-03-01T13:00:00+01:00",
        "2025-03-01T13:00:00+0100",
        "2025-03-01T13:00:00+01",
        "2025-03-01 13:00:00 +01:00",
        "2025-03-01T12:00:00.000Z",
        "2025-03-01T12:00:00.000000000Z",
        "2025-03-01T12:00:00,0z",
        " 2025-03-01T12:00:00Z ",
        "2025-03-01T08:30:00-03:30",
        "1740830400",
        "1740830400.0",
        "1.7408304e9",
        "+1740830400",
    ],
)
def test_noon_in_every_form(text: str) -> None:
    assert parse_instant(text, None, NOW_MS) == NOON_MS
    times = parse_times(pa.array([text]), None, NOW_MS)
    assert (times.t_ms[0], times.fault[0]) == (NOON_MS, TimeFault.NONE)


@pytest.mark.parametrize(
    ("text", "zone", "fault"),
    [
        ("yesterday", UTC, TimeFault.UNREADABLE),
        ("", UTC, TimeFault.UNREADABLE),
        ("2025-02-30T12:00:00Z", UTC, TimeFault.UNREADABLE),
        ("2025-03-01T24:00:00Z", UTC, TimeFault.UNREADABLE),
        ("2025-03-01T12:00:00+99:00", UTC, TimeFault.UNREADABLE),
        ("03-01-2025 12:00:00", UTC, TimeFault.UNREADABLE),
        ("nan", UTC, TimeFault.UNREADABLE),
        ("2025-03-01T12:00:00", None, TimeFault.NO_ZONE),
        ("2025-03-01", None, TimeFault.NO_ZONE),
        ("2025-10-26T02:30:00", BERLIN, TimeFault.AMBIGUOUS),
        ("2025-03-30T02:30:00", BERLIN, TimeFault.NONEXISTENT),
        ("1999-12-31T23:59:59.999Z", None, TimeFault.OUT_OF_RANGE),
        ("2026-01-02T00:00:00.001Z", None, TimeFault.OUT_OF_RANGE),
        ("1740830400000", None, TimeFault.OUT_OF_RANGE),
        ("1e300", None, TimeFault.OUT_OF_RANGE),
        ("0001-01-01T00:00:00", BERLIN, TimeFault.OUT_OF_RANGE),
        ("9999-12-31T23:59:59Z", None, TimeFault.OUT_OF_RANGE),
        ("1600-01-01T00:00:00Z", None, TimeFault.OUT_OF_RANGE),
    ],
)
def test_what_is_refused_and_why(text: str, zone: tzinfo | None, fault: TimeFault) -> None:
    with pytest.raises(TimeRefused) as caught:
        parse_instant(text, zone, NOW_MS)
    assert caught.value.reason == REASONS[fault]
    times = parse_times(pa.array([text]), zone, NOW_MS)
    if fault is TimeFault.AMBIGUOUS:  # a column leaves the choice to the order of its lines
        assert (times.fault[0], times.fold_ms[0]) == (TimeFault.NONE, 3_600_000)
    else:
        assert times.fault[0] == fault


def test_the_bounds_themselves_are_taken() -> None:
    assert parse_instant("2000-01-01T00:00:00Z", None, NOW_MS) == 946_684_800_000
    assert parse_instant("2026-01-02T00:00:00Z", None, NOW_MS) == NOW_MS + DAY_MS


instants = st.datetimes(datetime(2000, 1, 2), datetime(2025, 12, 31))  # noqa: DTZ001 - clock readings
forms = st.sampled_from(["{:%Y-%m-%dT%H:%M:%S.%f}", "{:%Y-%m-%d %H:%M:%S}"])
offsets = st.sampled_from(["Z", "+01:00", "-0330", "+05"])


@given(st.lists(st.tuples(instants, forms, offsets), min_size=1))
def test_a_column_reads_what_the_scalar_reads(stamps: list[tuple[datetime, str, str]]) -> None:
    texts = [form.format(shown) + offset for shown, form, offset in stamps]
    times = parse_times(pa.array(texts), None, NOW_MS)
    assert times.t_ms.tolist() == [parse_instant(text, None) for text in texts]
    assert not times.fault.any()
    for t_ms, (shown, form, offset) in zip(times.t_ms.tolist(), stamps, strict=True):
        exact = datetime.fromisoformat(form.format(shown) + offset)
        assert t_ms == ms_from_datetime(exact)


@given(st.sampled_from(ZONES), st.lists(instants, min_size=1))
def test_clock_readings_are_those_of_the_zone(zone: tzinfo, shown: list[datetime]) -> None:
    around = [reading + timedelta(minutes=m) for reading in shown for m in (0, 30)]
    _assert_as_zone(zone, around)


@pytest.mark.parametrize("zone", ZONES)
def test_every_minute_of_days_on_which_the_clock_changes(zone: tzinfo) -> None:
    days: dict[tzinfo, tuple[str, ...]] = {BERLIN: ("2025-03-30", "2025-10-26"), ZONES[1]: ("2025-04-06", "2025-10-05")}
    days |= {ZONES[2]: ("2011-04-01", "2012-09-21"), ZONES[3]: ("2010-03-14", "2010-11-07"), UTC: ("2025-03-30",)}
    for day in days[zone]:
        _assert_as_zone(zone, [datetime.fromisoformat(day) + timedelta(minutes=m) for m in range(-120, 1560)])


def _assert_as_zone(zone: tzinfo, shown: list[datetime]) -> None:
    """Against the definition: a reading means the instants at which the zone's clock shows it."""
    texts = [reading.isoformat() for reading in shown]
    times = parse_times(pa.array(texts), zone, NOW_MS)
    for i, reading in enumerate(shown):
        instants_ms = sorted(
            {
                ms_from_datetime(instant)
                for fold in (0, 1)
                if (instant := reading.replace(tzinfo=zone, fold=fold).astimezone(UTC))
                .astimezone(zone)
                .replace(tzinfo=None)
                == reading
            }
        )
        if not instants_ms:
            assert times.fault[i] == TimeFault.NONEXISTENT
            continue
        assert times.fault[i] == TimeFault.NONE
        assert [times.t_ms[i], times.t_ms[i] + times.fold_ms[i]] == [instants_ms[0], instants_ms[-1]]
        assert list(instant_candidates(texts[i], zone)) == instants_ms


def test_a_mixed_column_is_read_one_by_one() -> None:
    texts = ["2025-03-01T12:00:00Z", "1740830400", "2025-03-01T13:00:00", "x"]
    times = parse_times(pa.array(texts), timezone(timedelta(hours=1)), NOW_MS)
    assert times.t_ms[:3].tolist() == [NOON_MS] * 3
    assert times.fault.tolist() == [0, 0, 0, TimeFault.UNREADABLE]


def test_rounding_is_to_the_nearest_ms_half_to_even() -> None:
    assert ms_from_ns(np.array([1_499_999, 1_500_000, 2_500_000, 2_500_001, -1_500_000])).tolist() == [1, 2, 2, 3, -2]
    assert parse_instant("2025-03-01T12:00:00.0005Z", None) == NOON_MS
    assert parse_instant("2025-03-01T12:00:00.0015Z", None) == NOON_MS + 2
    assert parse_instant("1740830400.1234", None) == NOON_MS + 123


def test_kinds_by_shape() -> None:
    assert time_kind("1740830400.5") is TimeKind.EPOCH
    assert time_kind("2025-03-01T12:00:00+01:00") is TimeKind.ZONED
    assert time_kind("2025-03-01 12:00:00") is TimeKind.LOCAL
    assert time_kind("2025/03/01") is None


def test_elapsed_time_decides_which_of_two_hours_is_meant() -> None:
    fold = instant_candidates("2025-10-26T02:30:00", BERLIN)
    three = instant_candidates("2025-10-26T03:30:00", BERLIN)
    assert decide_by_elapsed(fold, three, 7200) == (fold[0], three[0])
    assert decide_by_elapsed(fold, three, 3600) == (fold[1], three[0])
    assert decide_by_elapsed(fold, fold, 3600) == (fold[0], fold[1])
    for elapsed_s in (0, None):  # both at once fit as well early as late
        with pytest.raises(TimeRefused, match="clock was set back"):
            decide_by_elapsed(fold, fold, elapsed_s)
    with pytest.raises(TimeRefused):
        decide_by_elapsed(fold, three, 99_999)
