"""Sites of the pipeline's tests, for the workers'."""

from __future__ import annotations

from tests.pipeline.conftest import any_farm, postgres_farm, sqlite_farm

__all__ = ["any_farm", "postgres_farm", "sqlite_farm"]
