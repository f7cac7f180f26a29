"""The order, form and number of times in which input comes do not matter: the ledger is the same, bit for bit."""

from __future__ import annotations

from tests.pipeline.conftest import Bases
from tests.pipeline.ledger_dump import differences


def test_both_databases_hold_the_same_bits(bases: Bases, sqlite_farm, tmp_path) -> None:
    pass
