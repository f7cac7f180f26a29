"""The annual statement's page: who sees what, closing, editions, the CSV, the command."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from measurements.domain.statement import canonical
from measurements.models import Cluster, DirtyDay, Statement
from measurements.selectors.statement import statement_figures
from measurements.services.pricing import reprice
from measurements.services.statements import close_statement
from tests.measurements.statement_world import AFTER, YEAR, build, declare
from tests.portal.machine_world import SECRETS
from tests.portal.world import build as build_unpriced

URL = f"/clusters/alpha/statement/{YEAR}/"
CLOSE = f"{URL}close/"
DRAFT = f"{URL}?draft=1"
MOST_QUERIES = 10
REASON = "The <b>water</b> meter was read wrongly."
pytestmark = pytest.mark.django_db


@pytest.fixture
def cluster(own_var: Path, tmp_path: Path) -> Cluster:
    """Four days in March 2025, priced."""
    return build(tmp_path)


def holder(name: str, *codenames: str) -> User:
    """Somebody with these permissions."""
    user = User.objects.create_user(name)
    user.user_permissions.add(*Permission.objects.filter(codename__in=codenames))
    return user


def seen_as(*codenames: str, name: str = "reader") -> Client:
    client = Client()
    client.force_login(holder(name, *codenames))
    return client


def text(client: Client, url: str = URL, status: int = 200) -> str:
    response = client.get(url)
    assert response.status_code == status
    return response.content.decode()


def content(html: str) -> str:
    """The page without its frame: that has a token in it."""
    return html.partition("<main")[2].partition("</main>")[0]


def seen(html: str) -> str:
    """The hash of the draft in the form."""
    return html.partition('name="seen" value="')[2].partition('"')[0]


def test_a_draft_is_for_those_who_work_on_it(cluster: Cluster) -> None:
    assert Client().get(URL).status_code == 302
    plain = seen_as()
    assert "is not closed yet" in text(plain)
    assert "kWh" not in text(plain)
    assert plain.get(DRAFT).status_code == 404
    assert plain.get(f"{URL}statement.csv").status_code == 404
    for name, codename in (("olga2", "view_operations"), ("susan", "manage_factors")):
        assert "Scope 2, location-based" in text(seen_as(codename, name=name))


def test_a_closed_one_is_for_whoever_is_logged_in(cluster: Cluster) -> None:
    row = close_statement(cluster, YEAR, None, AFTER)
    html = text(seen_as())
    assert row.sha256 in html
    assert "It claims no legal compliance." in html
    assert "not staff or building" in html
    assert "PUE2" in html
    assert "Draft" not in html
    assert '<form method="post" action="/clusters' not in html
    for secret in SECRETS:
        assert secret not in html
    assert Client().get(f"{URL}?edition=1").status_code == 302


MISSING = [
    f"{URL}?edition=2", f"{URL}?edition=x", f"{URL}?edition=", "/clusters/alpha/statement/1970/",
    "/clusters/alpha/statement/2101/", "/clusters/beta/statement/2025/",
]  # fmt: skip


@pytest.mark.parametrize("url", MISSING)
def test_what_is_not_there_is_not_found(cluster: Cluster, url: str) -> None:
    close_statement(cluster, YEAR, None, AFTER)
    assert seen_as("view_operations").get(url).status_code == 404


def test_only_those_who_answer_for_the_figures_close_them(cluster: Cluster) -> None:
    operator, owner = seen_as("view_operations", name="o"), seen_as("manage_factors", name="s")
    assert "Close this statement" not in text(operator)
    assert operator.post(CLOSE).status_code == 404
    assert Client().post(CLOSE).status_code == 302
    assert owner.get(CLOSE).status_code == 405
    assert not Statement.objects.exists()
    html = text(owner)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(username="s"))
    assert strict.post(CLOSE, {"seen": seen(html)}).status_code == 403
    assert owner.post(CLOSE, {"seen": seen(html)}).headers["Location"] == URL
    row = Statement.objects.get()
    assert (row.edition, row.closed_by) == (1, User.objects.get(username="s"))
    assert "Edition 1 is closed." in text(owner)


def test_nothing_is_closed_but_what_was_looked_at(cluster: Cluster) -> None:
    owner = seen_as("manage_factors")
    html = text(owner)
    declare(cluster, "wue", 0.9)
    response = owner.post(CLOSE, {"seen": seen(html)}, follow=True)
    assert "have changed since you looked" in response.content.decode()
    assert not Statement.objects.exists()


def test_closed_pages_are_the_same_bytes_after_a_new_price(cluster: Cluster) -> None:
    """The draft beside it says what a restatement would change, and a restatement keeps both."""
    owner, plain = seen_as("manage_factors", name="s"), seen_as()
    owner.post(CLOSE, {"seen": seen(text(owner))})
    page, table = content(text(plain)), plain.get(f"{URL}statement.csv").getvalue()
    assert "there is nothing to restate" in owner.post(CLOSE, {"reason": "x"}, follow=True).content.decode()
    declare(cluster, "wue", 0.9)
    reprice(cluster, AFTER)
    assert content(text(plain)) == page
    assert plain.get(f"{URL}statement.csv").getvalue() == table
    draft = text(owner, DRAFT)
    assert "What a restatement of edition 1 would change" in draft
    assert "water of the site" in draft
    assert "needs a reason" in owner.post(CLOSE, {"reason": " "}, follow=True).content.decode()
    owner.post(CLOSE, {"reason": REASON, "seen": seen(draft)})
    second = text(plain)
    assert "The &lt;b&gt;water&lt;/b&gt; meter was read wrongly." in second
    assert "What differs from edition 1" in second
    assert Statement.objects.count() == 2
    first = content(text(plain, f"{URL}?edition=1"))
    assert first.partition("<dl")[2] == page.partition("<dl")[2]  # the list of editions above it is longer
    assert plain.get(f"{URL}statement.csv?edition=1").getvalue() == table


def test_a_tampered_edition_says_so_loudly(cluster: Cluster) -> None:
    row = close_statement(cluster, YEAR, None, AFTER)
    Statement.objects.filter(pk=row.pk).update(figures=row.figures.replace("PUE2", "PUE3"))
    plain = seen_as()
    assert "Do not use these figures" in text(plain)
    Statement.objects.filter(pk=row.pk).update(figures="nothing")
    assert "Do not use these figures" in text(plain)
    assert plain.get(f"{URL}statement.csv").status_code == 404
    out, err = StringIO(), StringIO()
    with pytest.raises(SystemExit) as end:
        call_command("statement", "--cluster", "alpha", "--year", str(YEAR), stdout=out, stderr=err)
    assert end.value.code == 1
    assert "TAMPERED" in err.getvalue()


def test_the_running_year_names_the_months_to_come(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django.utils.timezone.now", lambda: AFTER - timedelta(days=90))
    html = text(seen_as("manage_factors"))
    assert "these months are partial or still to come: October 2025, November 2025, December 2025" in html
    assert "October (not over)" in html
    assert "Close this statement" not in html


def test_days_that_wait_are_said_and_nothing_is_closed(cluster: Cluster) -> None:
    owner = seen_as("manage_factors")
    DirtyDay.objects.create(cluster=cluster, day="2025-07-01", version=1)
    html = text(owner)
    assert "attribute --cluster alpha" in html
    assert "Close this statement" not in html
    assert "not booked yet" in owner.post(CLOSE, follow=True).content.decode()
    assert not Statement.objects.exists()
    DirtyDay.objects.update(day="2024-07-01")
    assert "Close this statement" in text(owner)


def test_a_year_of_which_nothing_is_known(cluster: Cluster) -> None:
    html = text(seen_as("manage_factors"), "/clusters/alpha/statement/2019/")
    assert "Nothing was metered in 2019." in html
    assert "Close this statement" not in html


def test_what_has_no_input_is_not_supplied(own_var: Path, tmp_path: Path) -> None:
    build_unpriced(tmp_path)
    html = text(seen_as("view_operations"))
    assert html.count("not supplied") >= 10
    assert "No factor is configured" in html
    assert "No facility meter and no PUE" in html


def test_the_table_has_base_units_a_row_a_month_and_the_year(cluster: Cluster) -> None:
    close_statement(cluster, YEAR, None, AFTER)
    sent = seen_as().get(f"{URL}statement.csv")
    assert sent.headers["Content-Disposition"] == 'attachment; filename="statement-2025-edition-1.csv"'
    rows = list(csv.DictReader(io.StringIO(sent.getvalue().decode())))
    assert [row["month"] for row in rows] == [f"2025-{m:02d}" for m in range(1, 13)] + ["2025"]
    figures = statement_figures(cluster, YEAR, AFTER)
    total = rows[-1]
    assert float(total["facility_j"]) == figures.total.facility_j
    assert float(rows[2]["scope2.location_based_g_co2e"]) == figures.months[2].location_g
    assert float(total["scope3.embodied_central_g_co2e"]) == figures.total.embodied_g
    assert float(total["cost_EUR"]) == figures.total.cost["EUR"]
    assert total["scope1_g_co2e"] == ""
    assert "meter" in total["factor_ids"].split()
    assert total["edition"] == "1"


def test_the_table_is_safe_in_a_spreadsheet(cluster: Cluster) -> None:
    Cluster.objects.update(name="=cmd")
    sent = seen_as("view_operations").get(f"/clusters/%3Dcmd/statement/{YEAR}/statement.csv").getvalue().decode()
    assert "'=cmd" in sent
    assert ",=cmd" not in sent


def test_ten_queries_are_enough(cluster: Cluster) -> None:
    operator = seen_as("view_operations")
    close_statement(cluster, YEAR, None, AFTER)
    for url in (URL, DRAFT):
        text(operator, url)
        with CaptureQueriesContext(connection) as seen_queries:
            text(operator, url)
        assert len(seen_queries) <= MOST_QUERIES, url


def test_it_is_read_in_german(cluster: Cluster) -> None:
    client = seen_as("view_operations")
    with translation.override("de"):
        client.cookies["django_language"] = "de"
        assert "März" in text(client)


def command(*words: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("statement", "--cluster", "alpha", "--year", str(YEAR), *words, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_the_command_prints_closes_and_checks(cluster: Cluster) -> None:
    assert "(draft)" in command()[0]
    _out, err = command("--close")
    row = Statement.objects.get()
    assert row.sha256 in err
    said = json.loads(command("--json")[0])
    assert (said["edition"], said["sha256"], said["intact"]) == (1, row.sha256, True)
    assert len(said["months"]) == 12
    assert command("--edition", "0")[0].count("(draft)") == 1
    assert command("--csv")[0].encode() == seen_as().get(f"{URL}statement.csv").getvalue()
    with pytest.raises(CommandError, match="nothing to restate"):
        command("--close", "--reason", "x")
    declare(cluster, "wue", 0.9)
    with pytest.raises(CommandError, match="needs a reason"):
        command("--close")
    with pytest.raises(CommandError, match="no edition 2"):
        command("--edition", "2")
    command("--close", "--reason", "x")
    assert json.loads(command("--json")[0])["reason"] == "x"
    assert json.loads(command("--edition", "1", "--json")[0])["sha256"] == row.sha256


def test_what_is_stored_is_the_canonical_form(cluster: Cluster) -> None:
    row = close_statement(cluster, YEAR, None, AFTER)
    assert row.figures == canonical(statement_figures(cluster, YEAR, AFTER))
    assert list(json.loads(row.figures)) == sorted(json.loads(row.figures))
