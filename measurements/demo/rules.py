"""The simulated site's rules for jobs that say nothing of their work themselves."""

from __future__ import annotations

from datetime import UTC, datetime

from measurements.models import TagRule
from measurements.services.tags import retag_due, save_rule


def declare_rules() -> None:
    """Two of them, by wckey and by job name; once. Made before the first job comes in, so that none is tagged twice."""
    if TagRule.objects.exists():
        return
    save_rule(
        TagRule(
            field=TagRule.Field.WCKEY,
            pattern="^model:(.+)$",
            workload=r"\1",
            phase="other",
            note="climate books its models by wckey",
        )
    )
    save_rule(
        TagRule(
            field=TagRule.Field.NAME,
            pattern=r"^cfd-(\w+)$",
            workload="openfoam",
            phase="other",
            size=r"\1",
            note="flows are named by their geometry",
        )
    )
    retag_due(datetime.now(UTC))  # there is nothing yet that would have to be gone over
