"""What is typed when a file is given: whose it is, what it holds, and what it does not say itself."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from measurements.models import Cluster, Intake
from measurements.parsers.detect import POWER_PARSERS
from measurements.parsers.detect_jobs import JOB_PARSERS
from measurements.parsers.detect_nodes import NODE_PARSERS
from portal.wording_formats import COLUMNS, title

RECOGNISED = ("", pgettext_lazy("format", "recognised"))
FORMATS = {"power": tuple(POWER_PARSERS), "jobs": tuple(JOB_PARSERS), "nodes": tuple(NODE_PARSERS), "states": ()}
_EVERY_POWER = ("time_zone", "interval", "max_gap", "node")
# Which options matter to which format; those of a format that is not named here: _EVERY_POWER.
OF_FORMAT: dict[str, tuple[str, ...]] = {
    "csv": ("time_zone", "node", "channel", "rename", "interval", "max_gap", "wrap_joules"),
    "ptdaemon": ("time_zone", "node", "channel", "interval", "max_gap"),
    "clustercockpit": ("max_gap",),
    "nvidia-smi": ("time_zone", "node", "channel", "at", "interval", "max_gap"),
    "nvidia-smi-xml": ("time_zone", "node", "at", "interval", "max_gap"),
    "ipmitool": ("time_zone", "node", "at", "rename", "interval", "max_gap"),
    "dcmi": ("time_zone", "node", "at", "interval", "max_gap"),
    "redfish": ("time_zone", "node", "at", "interval", "max_gap"),
    "prometheus": ("node", "at", "interval", "max_gap", "wrap_joules"),
    "prometheus-json": ("node", "interval", "max_gap", "wrap_joules"),
    "victoria-export": ("node", "interval", "max_gap", "wrap_joules"),
    "influx": ("node", "at", "precision", "interval", "max_gap", "wrap_joules"),
}
OF_CONTENT = {
    "jobs": ("columns", "time_zone"),
    "nodes": ("time_zone",),
    "states": ("time_zone", "off_states"),
}


class OptionsForm(forms.Form):
    """What the options of the commands say, by their names."""

    content = forms.ChoiceField(
        label=_("What they hold"), choices=[RECOGNISED, *Intake.Content.choices], required=False
    )
    format = forms.ChoiceField(label=_("Format"), required=False)
    columns = forms.CharField(
        label=_("Columns of sacct"),
        max_length=1000,
        required=False,
        help_text=_("Of output without a header, as given to sacct --format: JobID,State,…"),
    )
    time_zone = forms.CharField(
        label=_("Time zone"),
        max_length=64,
        required=False,
        help_text=_("Of times that name none: UTC, Europe/Berlin, …"),
        widget=forms.TextInput({"list": "zones", "autocomplete": "off", "spellcheck": "false"}),
    )
    node = forms.CharField(label=_("Node"), max_length=255, required=False, help_text=_("Of a log that names none."))
    channel = forms.CharField(
        label=_("Channel"), max_length=64, required=False, help_text=_("Of a log that names none: node, gpu0, …")
    )
    at = forms.CharField(
        label=_("Taken at"),
        max_length=40,
        required=False,
        help_text=_("When a snapshot that says no time was taken: 2025-03-01T12:00:00Z"),
    )
    precision = forms.ChoiceField(
        label=_("Time stamps count"),
        choices=[("", "ns"), ("us", "µs"), ("ms", "ms"), ("s", "s")],
        required=False,
        help_text=_("Of line protocol with whole numbers as times."),
    )
    rename = forms.CharField(
        label=_("Columns renamed"),
        max_length=20_000,
        required=False,
        widget=forms.Textarea({"rows": 3, "spellcheck": "false"}),
        help_text=_(
            "One a line, as COLUMN=NAME: Zeit=time, Rack 1 (W)=rack1, meter=hpc [J]; of sensors PDB Power=node"
        ),
    )
    interval = forms.FloatField(
        label=_("Interval [s]"), min_value=0.001, max_value=86_400, required=False, help_text=_("Between two readings.")
    )
    max_gap = forms.FloatField(
        label=_("Longest gap [s]"), min_value=0.001, max_value=86_400, required=False, help_text=_("That is bridged.")
    )
    wrap_joules = forms.FloatField(
        label=_("Counters wrap at [J]"), min_value=1, max_value=9e12, required=False, help_text=_("And begin anew.")
    )
    off_states = forms.CharField(
        label=_("Switched off too"),
        max_length=500,
        required=False,
        help_text=_("States besides the powered-down ones, separated by commas: DOWN, DRAINED"),
    )

    def __init__(self, *args: Any, content: str = "", known_format: str = "", **kwargs: Any) -> None:
        """Of a file whose content is known, only with what matters to it."""
        super().__init__(*args, **kwargs)
        self.label_suffix = ""
        self.fields["format"].choices = _formats(content)  # type: ignore[attr-defined]  # a ChoiceField
        if not content:
            return
        wanted = _wanted(content, known_format)
        for name in [name for name in OptionsForm.base_fields if name not in wanted]:
            del self.fields[name]

    @staticmethod
    def from_options(content: str, options: dict[str, Any]) -> dict[str, Any]:
        """What stands in the fields at first."""
        said = dict(options) | {"content": content}
        said["rename"] = "\n".join(f"{column}={name}" for column, name in options.get("rename") or ())
        said["off_states"] = ", ".join(options.get("off_states") or ())
        if str(options.get("format", "")).startswith(COLUMNS):
            said |= {"columns": options["format"].removeprefix(COLUMNS), "format": ""}
        return said

    def clean_time_zone(self) -> str:
        """One that exists."""
        name: str = self.cleaned_data["time_zone"].strip()
        if name and name not in available_timezones():
            raise forms.ValidationError(_("No such time zone."))
        return name

    def clean_rename(self) -> list[list[str]]:
        """Pairs of names."""
        lines = [line for line in self.cleaned_data["rename"].splitlines() if line.strip()]
        pairs = [[part.strip() for part in line.rpartition("=")[::2]] for line in lines]
        if not all(column and name for column, name in pairs):
            raise forms.ValidationError(_("Write COLUMN=NAME in each line."))
        return pairs

    def clean_off_states(self) -> list[str]:
        """Words."""
        return [word.strip() for word in self.cleaned_data["off_states"].split(",") if word.strip()]

    def options(self) -> dict[str, Any]:
        """As the commands call them; what is empty is not said."""
        said = {name: value for name, value in self.cleaned_data.items() if name in OptionsForm.base_fields}
        columns = said.pop("columns", "")
        if columns:
            said["format"] = COLUMNS + columns
        return {name: value for name, value in said.items() if name != "content" and value not in (None, "", [])}


class GiveForm(OptionsForm):
    """Files, or a path, and whose they are."""

    cluster = forms.ModelChoiceField(
        label=_("Cluster"), queryset=Cluster.objects.none(), required=False, empty_label=None, to_field_name="name"
    )
    new_cluster = forms.CharField(
        label=_("or a new one"),
        max_length=64,
        required=False,
        help_text=_("It is made at once; its list of nodes comes first."),
    )
    path = forms.CharField(
        label=_("Path"),
        max_length=1000,
        required=False,
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, by_path: bool, **kwargs: Any) -> None:
        """Without a path where none may be read."""
        super().__init__(*args, **kwargs)
        clusters = Cluster.objects.order_by("name")
        self.fields["cluster"].queryset = clusters  # type: ignore[attr-defined]  # a ModelChoiceField
        if not by_path:
            del self.fields["path"]

    def clean(self) -> dict[str, Any]:
        """A cluster is named."""
        said = super().clean() or self.cleaned_data
        if not said.get("new_cluster") and not said.get("cluster") and "cluster" not in self.errors:
            self.add_error("cluster", _("Say whose the files are."))
        return said


def _wanted(content: str, known_format: str) -> set[str]:
    if content == Intake.Content.POWER:
        options = OF_FORMAT.get(known_format, _EVERY_POWER) if known_format else set(sum(OF_FORMAT.values(), ()))
    else:
        options = OF_CONTENT[content]
    return {"content", "format", *options} - (set() if FORMATS[content] else {"format"})


def _formats(content: str) -> list[Any]:
    kinds = [content] if content else list(FORMATS)
    labels = dict(Intake.Content.choices)
    groups = [(labels[kind], [(name, title(kind, name)) for name in FORMATS[kind]]) for kind in kinds if FORMATS[kind]]
    return [RECOGNISED, *(groups[0][1] if len(groups) == 1 else groups)]
