"""Re-pricing is quick because of what it never looks at: jobs, ledger rows, people, samples."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from measurements.models import Cluster, SiteFactor
from measurements.services.pricing import add_site_factor
from tests.portal import machine_world

pytestmark = pytest.mark.django_db
FACTORS_AND_MACHINE = {
    *("cluster", "intensityseries", "node", "nodeday", "nodetype", "priceday"),
    *("publishedvalue", "sitefactor", "slotday", "supply", "typeday"),
}


def test_a_new_factor_reads_factors_and_the_roll_up_of_the_machine_alone(tmp_path: Path) -> None:
    machine_world.build(tmp_path)
    factor = SiteFactor(cluster=Cluster.objects.get(), kind="pue", value=1.3, source_title="typed")
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert add_site_factor(factor, datetime(2026, 1, 1, tzinfo=UTC)) >= 4
    touched = {name for query in queries for name in re.findall(r'"measurements_(\w+)"', query["sql"])}
    assert "priceday" in touched
    assert touched <= FACTORS_AND_MACHINE
