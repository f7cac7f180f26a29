"""Which refusals an address is about: the same for the page, the download and the replay."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest

from measurements.models import Cluster, Quarantine
from measurements.selectors.refused import RefusedFilter, refused_rows
from portal.forms import Period
from portal.operations_forms import OperationsPeriodForm, RefusedForm
from portal.views.operators import at_midnight, chosen_cluster, clusters_of, place_of, query_of, utc_today


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asks for."""

    period_form: OperationsPeriodForm
    period: Period
    form: RefusedForm
    clusters: list[Cluster]
    wanted: RefusedFilter

    @property
    def kept(self) -> dict[str, Any]:
        """The filter beside the period, as the address has it."""
        wanted = self.wanted
        return {
            "cluster": wanted.cluster,
            "reason": wanted.reason,
            "source": wanted.source,
            "node": wanted.node,
            "content": wanted.content,
            "state": wanted.state,
            "batch": wanted.batch or "",
        }

    @property
    def narrowed(self) -> bool:
        """Whether more is said than period and cluster."""
        return any(value for name, value in self.kept.items() if name != "cluster")

    def query(self, **other: Any) -> str:
        """The address's query, with something else in it."""
        rest = query_of(**(self.kept | other))
        return f"{self.period.query}&{rest}" if rest else self.period.query

    def rows(self, **other: Any) -> QuerySet[Quarantine]:
        """The refusals themselves."""
        return refused_rows(replace(self.wanted, **other))


def asked(request: HttpRequest) -> Asked:
    """What an address asks for; 404 for a cluster that is none."""
    said = request.GET
    period_form = OperationsPeriodForm(said)
    period = period_form.period(utc_today())
    clusters = clusters_of(request)
    cluster = chosen_cluster(request, clusters) if said.get("cluster") else None
    batch = place_of(said.get("batch", ""))
    form = RefusedForm(said, label_suffix="")
    wanted = RefusedFilter(
        start=None if batch else at_midnight(period.first),
        end=None if batch else at_midnight(period.last + timedelta(days=1)),
        cluster=cluster.name if cluster else "",
        batch=batch,
        **form.said(),  # type: ignore[arg-type]
    )
    return Asked(period_form, period, form, clusters, wanted)
