"""Where factors are from, as it stands beside the figures made with them."""

from __future__ import annotations

from measurements.domain.carbon import Origin, Rung
from measurements.models import IntensitySeries, SiteFactor


def declared_origin(row: SiteFactor) -> Origin:
    """Where a declared factor is from."""
    return Origin(
        rung=Rung.DECLARED,
        factor=f"site:{row.pk or 'new'}",
        title=row.source_title,
        edition=row.edition,
        unit=row.unit,
        since=row.valid_from.isoformat(),
        url=row.source_url,
        licence=row.licence,
        retrieved=row.retrieved_on.isoformat() if row.retrieved_on else "",
        note=_about(row),
    )


def series_origin(series: IntensitySeries, rung: Rung, since: str = "", note: str = "") -> Origin:
    """Where a value of a series is from."""
    return Origin(
        rung=rung,
        factor=f"series:{series.pk}",
        title=series.source_title,
        edition=series.edition,
        unit="g/kWh",
        zone=series.zone,
        basis=series.basis,
        gas=series.gas,
        mix=series.mix,
        since=since,
        url=series.source_url,
        licence=series.licence,
        retrieved=series.retrieved_on.isoformat() if series.retrieved_on else "",
        note=" ".join(filter(None, [note, series.attribution])),
    )


def meter_origin(title: str, rung: Rung) -> Origin:
    """A factor that meters give."""
    return Origin(rung=rung, factor="meter", title=title)


def _about(row: SiteFactor) -> str:
    """What of a declared factor is not in its value and unit."""
    if row.kind == SiteFactor.Kind.EMBODIED and row.node_type:
        return f"{row.node_type.name}: {row.value:g} kg CO₂e, {row.detail['lifetime_years']:g} a"
    return str(row.detail.get("note", ""))
