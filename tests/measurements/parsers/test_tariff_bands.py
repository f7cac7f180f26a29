"""Bands of a tariff as they are typed."""

from __future__ import annotations

import pytest

from measurements.parsers.tariff_bands import WrongBand, band_text, check_bands, read_band


def test_a_band_is_days_hours_and_a_price() -> None:
    assert read_band("mon-fri 08:00-20:00 0.31") == {"days": [0, 1, 2, 3, 4], "start": 480, "end": 1200, "price": 0.31}
    assert read_band("Sat,Sun 0:00-24:00 0.2") == {"days": [5, 6], "start": 0, "end": 1440, "price": 0.2}
    assert read_band("fri-mon 22:00-00:00 1")["days"] == [0, 4, 5, 6]
    assert read_band("fri-mon 22:00-00:00 1")["end"] == 1440
    assert read_band("daily 22:00-06:00 0.19") == {"days": list(range(7)), "start": 1320, "end": 360, "price": 0.19}
    for text in ("mon,tue 08:00-20:00 0.31", "daily 22:00-06:00 0.19"):
        assert band_text(read_band(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "08:00-20:00 0.3", "mon 8-20 0.3", "mon 08:00-20:00", "mon 08:00-20:00 -1", "mon 24:00-06:00 1",
     "mon 08:00-25:00 1", "mon 08:00-08:00 1", "day 08:00-20:00 1", "mon- 08:00-20:00 1", "mon 08:60-20:00 1"],
)  # fmt: skip
def test_what_is_no_band_is_refused(text: str) -> None:
    with pytest.raises(WrongBand, match=r"is no band|hours are|days are"):
        read_band(text)


@pytest.mark.parametrize(
    ("bands", "when"),
    [
        (["mon-fri 08:00-20:00 1", "wed 19:00-21:00 2"], "wed 19:00"),
        (["sun 22:00-06:00 1", "mon 05:00-07:00 2"], "mon 05:00"),
        (["daily 00:00-24:00 1", "sat 12:00-13:00 2"], "sat 12:00"),
    ],
)
def test_bands_that_overlap_are_refused_with_the_time(bands: list[str], when: str) -> None:
    with pytest.raises(WrongBand, match=f"bands 1 and 2 both hold at {when}"):
        check_bands([read_band(text) for text in bands])


def test_bands_that_touch_are_fine() -> None:
    check_bands([read_band("mon-fri 08:00-20:00 1"), read_band("daily 20:00-08:00 2")])
