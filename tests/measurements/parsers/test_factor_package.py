"""Files of published factors: what they must say, and how a wrong one is refused. No database."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from measurements.domain.carbon import Basis
from measurements.parsers.factor_package import Edition, Value, read_edition
from measurements.parsers.records import UnusableFile
from measurements.services.factors import package

SOURCE = """
[source]
title = "A report"
url = "https://example.org/report"
edition = "2025"
page = "Table 1"
licence = "CC BY 4.0"
attribution = "A report, CC BY 4.0"
retrieved = 2026-01-31
note = "made up"
"""
SERIES = """
[[series]]
slug = "report-2025"
basis = "lifecycle"
gas = "CO2e"
mix = "production"
method = "location_based"
signal = "average"
unit = "g/kWh"

[series.notes]
2024 = "provisional"

[series.zones]
DE = { 2023 = 400, 2024 = 350.5 }
US-CAL-CISO = { 2024-03 = 210 }
"""
FUEL = """
[[fuels]]
key = "gas"
basis = "direct"
value = 370
unit = "g/kWh"
"""
PRINTED_FUELS = {  # fuel: least, median, greatest and direct of AR5 WG3, Table A.III.2
    "hard-coal": (740, 820, 910, 760),
    "gas": (410, 490, 650, 370),
    "hydro": (1, 24, 2200, 0),
    "nuclear": (3.7, 12, 110, 0),
    "solar": (18, 48, 180, 0),
    "solar-rooftop": (26, 41, 60, 0),
    "wind-onshore": (7, 11, 56, 0),
    "wind-offshore": (8, 12, 35, 0),
    "biomass": (None, 230, None, 0),
    "geothermal": (None, 38, None, 0),
    "csp": (None, 27, None, 0),
}

THREE_LETTERS = """
AE=ARE AL=ALB AM=ARM AR=ARG AT=AUT AU=AUS AZ=AZE BA=BIH BD=BGD BE=BEL BG=BGR BR=BRA BY=BLR CA=CAN CH=CHE CL=CHL
CN=CHN CO=COL CR=CRI CY=CYP CZ=CZE DE=DEU DK=DNK EE=EST EG=EGY ES=ESP ET=ETH FI=FIN FO=FRO FR=FRA GB=GBR GE=GEO
GH=GHA GR=GRC HK=HKG HR=HRV HU=HUN ID=IDN IE=IRL IL=ISR IN=IND IQ=IRQ IR=IRN IS=ISL IT=ITA JO=JOR JP=JPN KE=KEN
KG=KGZ KR=KOR KZ=KAZ LK=LKA LT=LTU LU=LUX LV=LVA MA=MAR MD=MDA ME=MNE MK=MKD MT=MLT MX=MEX MY=MYS NG=NGA NL=NLD
NO=NOR NZ=NZL PE=PER PH=PHL PK=PAK PL=POL PT=PRT QA=QAT RO=ROU RS=SRB RU=RUS RW=RWA SA=SAU SE=SWE SG=SGP SI=SVN
SK=SVK TH=THA TN=TUN TR=TUR TW=TWN UA=UKR US=USA UY=URY UZ=UZB VN=VNM XK=XKX ZA=ZAF EU=EU
"""  # ISO 3166-1 alpha-2 and alpha-3; XKX is in use for Kosovo

UNION = "AUT BEL BGR CYP CZE DEU DNK ESP EST FIN FRA GRC HRV HUN IRL ITA LTU LUX LVA MLT NLD POL PRT ROU SVK SVN SWE"


def read(folder: Path, text: str) -> Edition:
    (folder / "own.toml").write_text(text, encoding="utf-8")
    return read_edition(folder / "own.toml")


@pytest.fixture(scope="module")
def packaged() -> dict[str, Edition]:
    return {path.stem: read_edition(path) for path in package()}


# --- The form -------------------------------------------------------------------------------------------


def test_a_file_gives_a_series_for_each_zone(tmp_path: Path) -> None:
    found = read(tmp_path, SOURCE + SERIES)
    germany, california = found.series
    assert (germany.slug, germany.zone, germany.basis) == ("report-2025-de", "DE", "lifecycle")
    assert germany.values == (
        Value(date(2023, 1, 1), "year", 400.0),
        Value(date(2024, 1, 1), "year", 350.5, "provisional"),
    )
    assert california.slug == "report-2025-us-cal-ciso"
    assert california.values == (Value(date(2024, 3, 1), "month", 210.0),)
    assert found.source.retrieved == date(2026, 1, 31)


@pytest.mark.parametrize(
    ("right", "wrong", "reason"),
    [
        ('edition = "2025"\n', "", "edition is missing"),
        ('licence = "CC BY 4.0"', 'licence = ""', "[source] licence: say it in 1 to 64 characters"),
        ("retrieved = 2026-01-31", 'retrieved = "2026"', "give the day without quotation marks"),
        ('unit = "g/kWh"', 'unit = "lbs/MWh"', "1 lb/MWh is 0.45359237 g/kWh"),
        ('basis = "lifecycle"', 'basis = "scope 2"', "none of direct, lifecycle"),
        ('mix = "production"', "", "mix is missing"),
        ('signal = "average"', 'signal = "mean"', "none of average, marginal"),
        ("2023 = 400", "2023 = -4", "-4 is not from 0 to 3000"),
        ("2023 = 400", "2023 = 400000", "is the unit right?"),
        ("2023 = 400", "2023 = nan", "nan is not from 0 to 3000"),
        ("2023 = 400", '2023 = "400"', "'400' is no number"),
        ("2023 = 400", "23 = 400", "this is no year (2024) and no month (2024-03)"),
        ("DE = {", "Germany = {", "zone 'Germany': it must be a code such as DE"),
        ("slug =", "slugg = 1\nslug =", "unknown: slugg"),
        ("[series.zones]", "[series.zone]", "zones is missing"),
        ("[[series]]", "[series]", "write it as [[series]]"),
        ("US-CAL-CISO", "DE", "no TOML"),
    ],
)
def test_what_is_wrong_is_refused_with_place_and_cure(tmp_path: Path, right: str, wrong: str, reason: str) -> None:
    text = SOURCE + SERIES
    assert right in text
    with pytest.raises(UnusableFile) as refused:
        read(tmp_path, text.replace(right, wrong))
    assert reason in str(refused.value)
    assert str(refused.value).startswith("own.toml")


def test_a_factor_twice_a_wrong_order_and_an_empty_file_are_refused(tmp_path: Path) -> None:
    for text, reason in (
        (FUEL + FUEL, "there twice: fuel gas direct"),
        (FUEL + "low = 400\n", "not in this order"),
        ("", "it has no values"),
    ):
        with pytest.raises(UnusableFile, match=reason):
            read(tmp_path, SOURCE + text)
    with pytest.raises(UnusableFile, match="No such file"):
        read_edition(tmp_path / "nowhere.toml")


# --- The package ------------------------------------------------------------------------------------------


def test_every_value_has_a_source_an_edition_a_basis_a_licence_and_a_date(packaged: dict[str, Edition]) -> None:
    """The reader refuses a file without them; here is what it cannot: that they say something."""
    for name, edition in packaged.items():
        source = edition.source
        assert source.url.startswith("https://"), name
        assert len(source.title) > 5, name
        assert source.edition, name
        assert source.licence, name
        assert date(2026, 1, 1) <= source.retrieved <= date.today(), name  # noqa: DTZ011 - a day is enough
        assert all(one.basis in set(Basis) for one in edition.series)
        assert all(one.basis in set(Basis) for one in edition.factors if one.kind == "fuel")
    slugs = [one.slug for edition in packaged.values() for one in edition.series]
    assert len(slugs) == len(set(slugs))
    share_alike = [
        name for name, edition in packaged.items() if "SA" in edition.source.licence or "ODbL" in edition.source.licence
    ]
    assert share_alike == []


def test_the_package_covers_europe_and_many_more(packaged: dict[str, Edition]) -> None:
    zones = {one.zone for one in packaged["grid-ember-2025"].series}
    eu = {pair.split("=")[0] for pair in THREE_LETTERS.split() if pair.split("=")[1] in UNION.split()}
    assert len(eu) == 27
    assert eu | {"EU", "GB", "NO", "CH", "IS", "US", "CA", "JP", "KR", "AU", "NZ", "CN", "IN", "BR", "ZA"} <= zones
    assert len(zones) >= 90


def test_the_german_account_is_as_it_was_printed(packaged: dict[str, Edition]) -> None:
    series = {one.slug: {value.start.year: value for value in one.values} for one in packaged["de-uba-2025"].series}
    printed = {
        2000: (646, 642, 651, 739),
        2022: (433, 457, 441, 503),
        2023: (386, 378, 394, 449),
        2024: (363, 343, 372, 427),
    }
    columns = ("co2", "co2-consumption", "ghg", "ghg-upstream")
    for year, row in printed.items():
        assert tuple(series[f"uba-2025-{column}-de"][year].g_per_kwh for column in columns) == row
    assert {len(values) for values in series.values()} == {14}
    upstream = series["uba-2025-ghg-upstream-de"]
    assert (upstream[2022].note, upstream[2023].note, upstream[2024].note) == ("", "provisional", "estimated")
    bases = {one.slug: (one.basis, one.gas, one.mix) for one in packaged["de-uba-2025"].series}
    assert bases["uba-2025-co2-consumption-de"] == ("direct", "CO2", "consumption")
    assert bases["uba-2025-ghg-upstream-de"] == ("lifecycle", "CO2e", "production")


def test_the_medians_of_fuels_are_those_of_the_ipcc(packaged: dict[str, Edition]) -> None:
    found = {(one.key, one.basis): one for one in packaged["fuels-ipcc-ar5"].factors}
    assert {key for key, _ in found} == set(PRINTED_FUELS)
    for key, (low, median, high, direct) in PRINTED_FUELS.items():
        lifecycle = found[key, "lifecycle"]
        assert (lifecycle.low, lifecycle.value, lifecycle.high) == (low, median, high), key
        assert found[key, "direct"].value == direct, key


def test_lignite_has_no_lifecycle_factor_and_oil_no_direct_one(packaged: dict[str, Edition]) -> None:
    """None was found in a primary publication: a mix with them is priced without, and says so."""
    keys = {(one.key, one.basis) for edition in packaged.values() for one in edition.factors if one.kind == "fuel"}
    assert ("lignite", "direct") in keys
    assert ("lignite", "lifecycle") not in keys
    assert ("oil", "lifecycle") in keys
    assert ("oil", "direct") not in keys
    assert not {"waste", "other"} & {key for key, _ in keys}


def test_equivalents_have_a_source_with_a_year(packaged: dict[str, Edition]) -> None:
    found = {
        one.key: (one.value, one.unit) for edition in packaged.values() for one in edition.factors if not one.basis
    }
    assert found == {
        "car-eu": (175, "g/km"),
        "train": (41, "g/km"),
        "tree-month": (917, "g/month"),
        "household-day": (7.397, "kWh/day"),
    }


def test_each_value_of_ember_is_the_published_one(packaged: dict[str, Edition], shared_data: Path) -> None:
    """Against Ember's own table, by the names of countries in three letters."""
    path = shared_data / "carbon_intensity" / "yearly" / "co2js_average_intensities.json"
    if not path.exists():
        pytest.skip(f"no {path.name} in the shared data")
    published = json.loads(path.read_text(encoding="utf-8"))
    codes = dict(pair.split("=") for pair in THREE_LETTERS.split())
    series = packaged["grid-ember-2025"].series
    ours = {one.zone: [(value.start.year, value.g_per_kwh) for value in one.values] for one in series}
    rows = {zone: published[codes[zone]] for zone in ours}
    assert ours == {zone: [(row["year"], row["emissions_intensity_gco2_per_kwh"])] for zone, row in rows.items()}
