"""Tables to take away: CSV, CSV for Excel in German, JSON, workbooks; the same figures in each, and no formulas."""

from __future__ import annotations

import csv
import json
import math
import tracemalloc
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from io import BytesIO, StringIO
from typing import Any
from zipfile import ZipFile

import pytest
from django.http import Http404, StreamingHttpResponse
from django.test import Client, RequestFactory, override_settings
from django.utils import translation
from openpyxl import Workbook, load_workbook

from measurements.models import Job
from portal.csvs import GERMAN, Cell, cell
from portal.exports import DAY, SHARE, TIME, Column, Format, Sheet, export_response
from tests.conftest import People
from tests.portal.test_jobs import made
from tests.portal.world import BOBS_J, WIDE_J

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1"]
ANY = [
    Column("job_id"),
    Column("start", TIME, "Start of the first run"),
    Column("day", DAY),
    Column("energy_j", "J", "Measured"),
    Column("coverage", SHARE),
    Column("over"),
]
START = datetime(2026, 3, 29, 0, 59, 30, tzinfo=UTC)  # the last half minute of winter time in Berlin
ROW: list[Cell] = ["4711", START, date(2026, 3, 29), 0.1 + 0.2, 0.9876543210123, True]


def sheet(rows: Iterable[list[Cell]] = (ROW,), **how: Any) -> Sheet:
    about = {"period": "March", "filter": "State: failed", "freshness": ""}
    return Sheet("table", "A table", ANY, rows, about, **how)


def answer(of: Sheet, form: str) -> StreamingHttpResponse:
    return export_response(RequestFactory().get("/", {"format": form}), "some", of)


def taken(of: Sheet, form: str) -> bytes:
    return bytes(answer(of, form).getvalue())


def lines(of: Sheet, form: str = "csv", separator: str = ",") -> list[list[str]]:
    return list(csv.reader(StringIO(taken(of, form).decode()), delimiter=separator))


def book(content: bytes) -> Workbook:
    return load_workbook(BytesIO(content))


# --- Each format --------------------------------------------------------------------------------


@override_settings(TIME_ZONE="Europe/Berlin")
def test_csv_has_full_precision_points_and_offsets() -> None:
    header, row = lines(sheet())
    assert header == ["job_id", "start", "day", "energy_j", "coverage", "over"]
    assert row == [
        "4711",
        "2026-03-29T01:59:30+01:00",
        "2026-03-29",
        "0.30000000000000004",
        "0.9876543210123",
        "True",
    ]


def test_the_german_csv_has_semicolons_decimal_commas_and_a_mark_that_excel_knows() -> None:
    text = taken(sheet(), "csv-de").decode()
    assert text.startswith("\ufeffjob_id;start;")
    assert "2026-03-29;0,30000000000000004;0,9876543210123;" in text


@override_settings(TIME_ZONE="Europe/Berlin", JOULEBOOK_DEMO=True)
def test_json_says_what_its_rows_are_of() -> None:
    found = json.loads(taken(sheet([ROW, ["1", None, None, math.nan, math.inf, False]]), "json"))
    about = found["about"]
    assert (about["title"], about["period"], about["filter"]) == ("A table", "March", "State: failed")
    assert about["time_zone"] == "Europe/Berlin"
    assert "simulated" in about
    assert "freshness" not in about
    assert datetime.fromisoformat(about["retrieved_at"]).utcoffset() is not None
    assert found["columns"][1] == {"name": "start", "unit": "ISO 8601", "description": "Start of the first run"}
    assert found["rows"] == [
        ["4711", "2026-03-29T01:59:30+01:00", "2026-03-29", 0.1 + 0.2, 0.9876543210123, True],
        ["1", None, None, None, None, False],
    ]
    assert found["cut_off"] is None


@pytest.mark.parametrize("rows", [0, 1, 499, 500, 501, 1_001])
def test_json_of_any_length_is_json(rows: int) -> None:
    found = json.loads(taken(sheet([ROW] * rows), "json"))
    assert len(found["rows"]) == rows


@override_settings(TIME_ZONE="Europe/Berlin")
def test_a_workbook_has_real_dates_and_figures_below_a_head_that_stays() -> None:
    found = book(taken(sheet([ROW, ["1", None, None, math.nan, None, False]]), "xlsx"))
    table = found["table"]
    head, row, empty = table.iter_rows()
    assert [c.value for c in head] == ["job_id", "start (Europe/Berlin)", "day", "energy_j", "coverage", "over"]
    assert all(c.font.b for c in head)
    assert (table.freeze_panes, table.auto_filter.ref) == ("A2", "A1:F3")
    values = [c.value for c in row]
    assert values == [
        "4711",
        datetime(2026, 3, 29, 1, 59, 30),  # noqa: DTZ001 - a workbook knows no zones
        datetime(2026, 3, 29),  # noqa: DTZ001
        0.3,  # of 17 digits it has 16; it shows 15
        0.9876543210123,
        True,
    ]
    assert [c.data_type for c in row] == ["s", "d", "d", "n", "n", "b"]
    assert (row[3].number_format, row[4].number_format) == ("#,##0", "0.0%")
    assert [c.value for c in empty] == ["1", None, None, None, None, False]
    assert table.column_dimensions["B"].width > len("2026-03-29 01:59:30")


@override_settings(TIME_ZONE="Europe/Berlin")
def test_a_workbook_says_on_a_second_sheet_what_it_is_of() -> None:
    about = book(taken(sheet(), "xlsx"))["About"]
    facts = {a.value: c.value for a, _b, c in about.iter_rows(max_col=3)}
    assert (facts["Period"], facts["Filter"], facts["Time zone"]) == ("March", "State: failed", "Europe/Berlin")
    assert datetime.fromisoformat(str(facts["Retrieved at"])).tzinfo is not None
    assert facts["energy_j"] == "Measured"
    assert "Freshness" not in facts


def test_a_german_workbook_speaks_german_but_for_the_columns() -> None:
    with translation.override("de"):
        table = book(taken(sheet(), "xlsx"))["table"]
    assert table["D1"].value == "energy_j"


def test_money_and_emissions_are_shown_as_such_but_kept_in_full() -> None:
    columns = [Column("cost_eur", "EUR"), Column("emissions_g_co2e", "g CO2e"), Column("other", "furlong")]
    rows: list[list[Cell]] = [[1 / 3, 2 / 3, 1 / 7]]
    (row,) = book(taken(Sheet("t", "T", columns, rows), "xlsx"))["t"].iter_rows(min_row=2)
    assert [c.number_format for c in row] == ["#,##0.00", "#,##0.0", "General"]
    assert [c.value for c in row] == pytest.approx(rows[0], rel=1e-15)


def test_a_header_of_user_text_is_no_formula_either() -> None:
    columns = [Column("energy_j"), Column("=1+1")]
    assert lines(Sheet("t", "T", columns, []))[0] == ["energy_j", "'=1+1"]
    assert book(taken(Sheet("t", "T", columns, []), "xlsx"))["t"]["B1"].data_type == "s"


def test_a_workbook_keeps_what_a_float_cannot_and_what_is_too_long_for_a_cell() -> None:
    rows: list[list[Cell]] = [[2**60 + 1, None, None, 2**53, -(2**60) - 1, "x" * 40_000], ["\x00\x1b<&>", *[None] * 5]]
    first, second = book(taken(sheet(rows), "xlsx"))["table"].iter_rows(min_row=2, values_only=True)
    assert first[0] == str(2**60 + 1)
    assert first[3:5] == (2**53, str(-(2**60) - 1))
    assert set(str(first[5])) == {"x"}
    assert str(second[0]).endswith("<&>")


@pytest.mark.parametrize(
    ("form", "ending", "content_type"),
    [
        ("csv", "some.csv", "text/csv; charset=utf-8"),
        ("", "some.csv", "text/csv; charset=utf-8"),
        ("csv-de", "some-de.csv", "text/csv; charset=utf-8"),
        ("json", "some.json", "application/json"),
        ("xlsx", "some.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ],
)
def test_a_format_is_a_file_of_its_kind(form: str, ending: str, content_type: str) -> None:
    headers = answer(sheet(), form).headers
    assert headers["Content-Disposition"] == f'attachment; filename="{ending}"'
    assert (headers["Content-Type"], headers["X-Content-Type-Options"]) == (content_type, "nosniff")


def test_a_name_of_a_file_cannot_break_out_of_its_header() -> None:
    response = export_response(RequestFactory().get("/"), 'Größe "x"\r\nX-Evil: 1', sheet())
    assert "\n" not in response.headers["Content-Disposition"]
    assert "X-Evil" not in response.headers


def test_a_format_that_there_is_not_does_not_exist() -> None:
    with pytest.raises(Http404):
        answer(sheet(), "exe")


# --- No formulas --------------------------------------------------------------------------------


@pytest.mark.parametrize("text", FORMULAS)
def test_no_format_lets_a_spreadsheet_compute_a_text(text: str) -> None:
    rows: list[list[Cell]] = [[text, *ROW[1:]]]
    assert lines(sheet(rows))[1][0] == f"'{text}"
    assert lines(sheet(rows), "csv-de", ";")[1][0] == f"'{text}"
    assert json.loads(taken(sheet(rows), "json"))["rows"][0][0] == text
    content = taken(sheet(rows), "xlsx")
    first = book(content)["table"]["A2"]
    assert first.data_type == "s"
    with ZipFile(BytesIO(content)) as parts:
        assert b"<f>" not in b"".join(parts.read(name) for name in parts.namelist())


def test_no_formula_begins_where_another_spreadsheet_would_split_the_line() -> None:
    assert cell("train;=1+1") == "train;'=1+1"
    assert cell('train; "=1+1') == "train; \"'=1+1"
    assert cell("train\n=1+1") == "train\n'=1+1"
    assert cell("train,=1+1", GERMAN) == "train,'=1+1"
    assert (cell("lr=0.1,-2"), cell("lr=0.1;2", GERMAN)) == ("lr=0.1,-2", "lr=0.1;2")


def test_a_negative_number_stays_a_number() -> None:
    rows: list[list[Cell]] = [["1", None, None, -1.5, -2, None]]
    assert lines(sheet(rows))[1][3:5] == ["-1.5", "-2"]
    assert lines(sheet(rows), "csv-de", ";")[1][3:5] == ["-1,5", "-2"]
    assert book(taken(sheet(rows), "xlsx"))["table"]["D2"].value == -1.5


# --- Bounded, streamed --------------------------------------------------------------------------


def test_a_table_that_is_cut_off_says_so_in_each_format() -> None:
    def long() -> Sheet:
        return sheet([ROW] * 4, most=3)

    sentence = "Cut off after 3 rows: there are more. Narrow the filter or the period."
    for form, separator in (("csv", ","), ("csv-de", ";")):
        found = lines(long(), form, separator)
        assert len(found) == 5
        assert found[-1] == [sentence, "", "", "", "", ""]
    found_json = json.loads(taken(long(), "json"))
    assert (len(found_json["rows"]), found_json["cut_off"]) == (3, sentence)
    written = book(taken(long(), "xlsx"))
    assert (written["table"].max_row, written["table"]["A5"].value) == (5, sentence)
    assert written["table"].auto_filter.ref == "A1:F4"
    assert sentence in [c.value for c in written["About"]["C"]]


@pytest.mark.parametrize("form", Format)
def test_a_table_that_just_fits_is_whole(form: str) -> None:
    whole = sheet([ROW] * 3, most=3)
    assert b"Cut off" not in taken(whole, form)
    assert whole.cut_off == ""


@pytest.mark.parametrize("form", ["csv", "csv-de", "json"])
def test_rows_are_taken_as_they_are_sent(form: str) -> None:
    asked: list[int] = []

    def rows() -> Iterator[list[Cell]]:
        for i in range(10_000):
            asked.append(i)
            yield ROW

    parts = iter(answer(sheet(rows()), form))
    next(parts), next(parts)
    assert 0 < len(asked) < 1_000


def test_a_workbook_of_many_rows_does_not_lie_in_memory() -> None:
    def rows() -> Iterator[list[Cell]]:
        for i in range(20_000):
            yield [f"job {i}", *ROW[1:]]

    tracemalloc.start()
    try:
        size = sum(len(part) for part in answer(sheet(rows()), "xlsx"))
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size > 300_000
    assert peak < 3_000_000


# --- The list of jobs ---------------------------------------------------------------------------


def test_jobs_are_the_same_in_each_format(site: None, olga: Client) -> None:
    in_csv = list(csv.DictReader(StringIO(olga.get("/jobs.csv").getvalue().decode())))
    found = json.loads(olga.get("/jobs.csv?format=json").getvalue())
    names = [column["name"] for column in found["columns"]]
    assert names == list(in_csv[0])
    in_json = [dict(zip(names, row, strict=True)) for row in found["rows"]]
    table = book(olga.get("/jobs.csv?format=xlsx").getvalue())["jobs"]
    in_book = [dict(zip(names, row, strict=True)) for row in table.iter_rows(min_row=2, values_only=True)]
    for rows in (in_json, in_book):
        assert [row["job_id"] for row in rows] == [row["job_id"] for row in in_csv]
        wide = next(row for row in rows if row["job_id"] == "123")
        assert wide["energy_j"] == pytest.approx(WIDE_J, rel=1e-12)
    german = olga.get("/jobs.csv?format=csv-de&q=300").getvalue().decode("utf-8-sig")
    (bobs,) = csv.DictReader(StringIO(german), delimiter=";")
    assert float(bobs["energy_j"].replace(",", ".")) == pytest.approx(BOBS_J, rel=1e-12)


def test_a_job_that_still_runs_has_no_end_in_any_format(site: None, olga: Client) -> None:
    Job.objects.filter(job_id="300").update(end_ms=None, state="RUNNING")
    found = json.loads(olga.get("/jobs.csv?format=json&running=on").getvalue())
    (row,) = found["rows"]
    assert row[[column["name"] for column in found["columns"]].index("end")] is None


@pytest.mark.parametrize("form", ["csv", "csv-de", "json", "xlsx"])
def test_a_file_has_the_jobs_of_whoever_takes_it(site: None, client: Client, people: People, form: str) -> None:
    client.force_login(people.alice)
    content = client.get(f"/jobs.csv?format={form}&user=bob").getvalue()
    if form == "xlsx":
        rows = book(content)["jobs"].iter_rows(min_row=2, values_only=True)
        content = "\n".join(str(row) for row in rows).encode()
    assert b"alice" in content
    assert b"bob" not in content


def test_the_filter_stands_in_the_file(site: None, olga: Client) -> None:
    query = "state=failed&first=2025-03-10&user=alice&array=x"
    about = json.loads(olga.get(f"/jobs.csv?format=json&{query}").getvalue())["about"]
    assert about["filter"] == "User: alice; State: failed (any way); Started from: 10 Mar 2025"
    assert json.loads(olga.get("/jobs.csv?format=json").getvalue())["about"]["filter"] == "All jobs"


def test_jobs_are_cut_off_with_a_sentence(site: None, olga: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    made(8)
    monkeypatch.setattr("portal.job_sheet.MOST_ROWS", 5)
    monkeypatch.setattr("portal.views.jobs.EXPORTED_AT_ONCE", 2)
    found = json.loads(olga.get("/jobs.csv?format=json&q=made").getvalue())
    assert len(found["rows"]) == 5
    assert found["cut_off"].startswith("Cut off after 5 rows")


def test_the_list_offers_what_it_shows_in_each_format(site: None, olga: Client) -> None:
    page = olga.get("/jobs/?q=train&user=bob&format=json").content.decode()
    assert 'href="/jobs.csv?q=train&amp;user=bob" download' in page
    for form in ("xlsx", "csv-de", "json"):
        assert f'href="/jobs.csv?q=train&amp;user=bob&amp;format={form}" download' in page
    assert 'href="/jobs.csv?format=xlsx" download' in olga.get("/jobs/").content.decode()
    assert olga.get("/jobs.csv?format=exe").status_code == 404
