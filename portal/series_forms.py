"""A file of carbon intensities, uploaded."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext_lazy as _

MINUTE_MS = 60_000
LARGEST_BYTES = 50 << 20  # twenty years of quarter hours


class SeriesFileForm(forms.Form):
    """The file, and what it does not say itself."""

    file = forms.FileField(label=_("File"))
    unit = forms.CharField(
        label=_("Unit"), max_length=32, required=False, help_text=_("Where no column names it: g/kWh, kg/MWh, …")
    )
    time_zone = forms.CharField(
        label=_("Time zone"), max_length=64, required=False, help_text=_("Of times without one: UTC, Europe/Berlin, …")
    )
    step = forms.IntegerField(
        label=_("Slot [minutes]"), min_value=1, max_value=1440, required=False, help_text=_("Empty: by the times.")
    )

    def clean_file(self) -> UploadedFile[bytes]:
        """Not too large."""
        file: UploadedFile[bytes] = self.cleaned_data["file"]
        if (file.size or 0) > LARGEST_BYTES:
            raise forms.ValidationError(_("The file is larger than 50 MB: import it with import_intensity."))
        return file

    def clean_time_zone(self) -> ZoneInfo | None:
        """One that exists."""
        name = self.cleaned_data["time_zone"].strip()
        if name and name not in available_timezones():
            raise forms.ValidationError(_("No such time zone."))
        return ZoneInfo(name) if name else None

    @property
    def step_ms(self) -> int | None:
        """How long a slot is."""
        step: Any = self.cleaned_data["step"]
        return step * MINUTE_MS if step else None
