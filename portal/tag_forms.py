"""What is typed of tags: those of a job, of many jobs, and rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from measurements.domain.tag_edits import FIELDS, TagsRefused, checked_edit
from measurements.domain.tagging import KEYS, check_names, compiled
from measurements.domain.tags import tag_name
from measurements.models import Phase, TagRule
from portal.wording_tags import HELP, LABELS, refused

LONGEST = 200
SET, CLEAR, BACK = "", "clear", "back"
DOINGS = [
    (SET, _("set, if filled in")),
    (CLEAR, _("take away")),
    (BACK, _("as comments and rules say")),
]
_NAMES = ("workload", "size", "target")
_NO_GROUP = _("The pattern has no such group, or a backslash stands alone.")


def _text(key: str, **attrs: str) -> forms.CharField:
    label = LABELS.get(key, _("Unit"))
    widget = forms.TextInput({"autocomplete": "off", "spellcheck": "false", **attrs})
    return forms.CharField(
        label=label, help_text=HELP[key], required=False, max_length=LONGEST, empty_value="", widget=widget
    )


class TagsForm(forms.Form):
    """Any tags; what is wrong stands beside its field."""

    workload = _text("workload", list="workloads")
    phase = forms.ChoiceField(
        label=LABELS["phase"], help_text=HELP["phase"], required=False, choices=[("", "–"), *Phase.choices]
    )
    size = _text("size")
    target = _text("target")
    work = _text("work", inputmode="decimal")
    unit = _text("unit", list="units")

    def said(self) -> dict[str, object]:
        """What is to be set, as `measurements.domain.tag_edits` takes it; nothing of what stays as it was."""
        found = {key: self.cleaned_data[key] for key in KEYS if key in self.changed_data}
        if "work" in self.changed_data or "unit" in self.changed_data:
            found |= {"work": self.cleaned_data["work"], "unit": self.cleaned_data["unit"]}
        return found

    def clean(self) -> dict[str, Any]:
        """Each value, as it is kept."""
        found: dict[str, Any] = super().clean() or {}
        self._check({key: found[key] for key in FIELDS if found.get(key)})
        if found.get("unit") and not found.get("work"):
            self.add_error("unit", _("A unit comes with its work."))
        return found

    def _check(self, values: Mapping[str, object]) -> None:
        for key in [key for key in values if key != "unit"]:
            said = {key: values[key]} | ({"unit": values["unit"]} if key == "work" and "unit" in values else {})
            try:
                checked_edit(said)
            except TagsRefused as fault:
                self.add_error(fault.key, refused(fault))


class BulkTagsForm(TagsForm):
    """What becomes of each tag of many jobs; the names of its fields in an address are no filter's."""

    prefix = "t"

    do_workload = forms.ChoiceField(label=_("Workload"), required=False, choices=DOINGS)
    do_phase = forms.ChoiceField(label=_("Phase"), required=False, choices=DOINGS)
    do_size = forms.ChoiceField(label=_("Size"), required=False, choices=DOINGS)
    do_target = forms.ChoiceField(label=_("Target"), required=False, choices=DOINGS)
    do_work = forms.ChoiceField(label=_("Work done"), required=False, choices=DOINGS)

    def said(self) -> dict[str, object]:
        """A value that is typed is set, unless something else is chosen."""
        found: dict[str, object] = {}
        for key in KEYS:
            value, doing = self.cleaned_data[key], self.cleaned_data[f"do_{key}"]
            if doing == BACK:
                found[key] = None
            elif doing == CLEAR:
                found[key] = ""
            elif value:
                found[key] = value
        if found.get("work"):
            found["unit"] = self.cleaned_data["unit"]
        return found


class RuleForm(forms.ModelForm):  # type: ignore[type-arg]
    """A rule, with what it sets as it will be kept."""

    class Meta:
        model = TagRule
        fields = ["field", "pattern", "workload", "phase", "size", "target", "cluster", "note", "enabled"]
        widgets = {"pattern": forms.TextInput({"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.fields:  # in the admin of who may only look
            return
        self.fields["phase"].choices = [("", "–"), *Phase.choices]  # type: ignore[attr-defined]
        self.fields["cluster"].empty_label = _("all clusters")  # type: ignore[attr-defined]
        self.fields["cluster"].help_text = ""

    def clean(self) -> dict[str, Any]:
        """The names, or why they are none; of a pattern that is refused the model says why."""
        found: dict[str, Any] = super().clean() or {}
        try:
            pattern = compiled(found.get("pattern", ""))
        except ValueError:
            return found
        for key in _NAMES:
            template = str(found.get(key) or "")
            if "\\" not in template:
                template = tag_name(template) or template
            try:
                check_names(pattern, **{key: template})
            except ValueError as fault:
                self.add_error(key, _NO_GROUP if "\\" in template else refused(TagsRefused(key, str(fault))))
            found[key] = template
        return found
