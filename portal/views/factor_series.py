"""`/operations/factors/series/`: series of carbon intensity, how whole they are, and files for them, tried first."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from measurements.models import IntensitySeries
from measurements.parsers.intensity_records import IntensityOptions
from measurements.parsers.records import UnusableFile
from measurements.parsers.source import Source
from measurements.selectors.series import editions, every_series, latest_imports, months_of_slots, with_years
from measurements.services.intensity_import import Taken, take_intensity
from portal.series_forms import SeriesFileForm
from portal.views.operators import operators_only


@require_safe
@operators_only
def page(request: HttpRequest) -> HttpResponse:
    """List all series; of one zone also its yearly values beside each other."""
    zone = request.GET.get("zone", "")
    zones = list(IntensitySeries.objects.order_by("zone").values_list("zone").annotate(count=Count("pk")))
    found = list(every_series(zone))
    if zone and not found:
        raise Http404("no such zone")
    yearly = list(with_years(zone)) if zone else []
    context = {
        "zone": zone,
        "zones": zones,
        "series": found,
        "compared": yearly if len(yearly) > 1 else [],
        "editions": editions(yearly) if len(yearly) > 1 else [],
    }
    return render(request, "portal/operations/series_list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@operators_only
def one(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a series; take a file for it from who may declare factors, or only say what it would do."""
    series = get_object_or_404(every_series(), slug=slug)
    may_declare = request.user.has_perm("measurements.manage_factors")
    if request.method == "POST" and not may_declare:
        raise Http404("no such page")
    form = SeriesFileForm(request.POST or None, request.FILES or None)
    taken, fault = _taken(request, series, form) if request.method == "POST" and form.is_valid() else (None, "")
    context: dict[str, Any] = {
        "series": series,
        "months": months_of_slots(series),
        "values": list(series.values.order_by("-start")),
        "imports": latest_imports(series),
        "form": form if may_declare and not series.packaged else None,
        "taken": taken,
        "fault": fault,
        "tried": "store" not in request.POST,
    }
    return render(request, "portal/operations/series.html", context)


def _taken(request: HttpRequest, series: IntensitySeries, form: SeriesFileForm) -> tuple[Taken | None, str]:
    """What became of the file, or why nothing could."""
    said = form.cleaned_data
    options = IntensityOptions(unit=said["unit"], time_zone=said["time_zone"], step_ms=form.step_ms)
    spool = Path(settings.JOULEBOOK_VAR) / "spool"
    spool.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=spool) as folder:
        source = _spooled(said["file"], Path(folder))
        try:
            author, dry = request.user.get_username(), "store" not in request.POST
            return take_intensity(source, series, options, timezone.now(), author=author, dry_run=dry), ""
        except UnusableFile as fault:
            return None, str(fault).removeprefix(f"{source.name}: ")


def _spooled(file: UploadedFile[bytes], folder: Path) -> Source:
    path = folder / "upload"
    with path.open("wb") as out:
        for chunk in file.chunks():
            out.write(chunk)
    return Source(path, Path(file.name or "upload").name)
