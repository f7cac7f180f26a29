"""What is typed on the pages of leaderboards: a new board, the days of an edition, words to it; faults in words."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from measurements.models import WorkloadJob
from measurements.models.boards import FEWEST_EVER, Board
from measurements.services.boards import FREE_FIELDS

LONGEST_REASON = 500
LONGEST_TEXT = 2_000
TAKEN = ("new",)  # addresses of other pages
MOST_OFFERED = 200  # names of workloads, units …
# Of each constraint of the table: the field that is to be changed, and what to do.
CONSTRAINTS: dict[str, tuple[str, Any]] = {
    "board_of_a_group_names_it": ("project", _("A board for the members of a project needs the project.")),
    "board_smallest_group": ("smallest_group", _("Fewer than three people are never shown.")),
    "board_of_work_names_a_workload": (
        "workload",
        _("This question compares equal work only: name the workload. Jobs of different work can't be ranked."),
    ),
    "board_of_node_types_compares_node_types": (
        "scope",
        _("The question about node types compares node types, and no other question does."),
    ),
}


class BoardForm(forms.ModelForm):  # type: ignore[type-arg]
    """What a board asks, and of whom."""

    class Meta:
        model = Board
        fields = (
            *(
                "title",
                "slug",
                "kind",
                "scope",
                "audience",
                "project",
                "cluster",
                "workload",
                "phase",
                "size",
                "target",
            ),
            *("unit", "smallest_group", "note", "names"),
        )
        help_texts = {
            "slug": _("Small letters, digits and hyphens: the board's address, which never changes."),
            "smallest_group": _("Never below three. What fewer people stand behind is withheld or merged."),
            "names": _("Without their consent people appear under a pseudonym, drawn anew in each edition."),
            "unit": _("As jobs declare it: samples, queries, epochs, ns …"),
            "size": _("Only equal sizes are equal work. Empty: jobs that declare none."),
            "target": _("Declared quality of the result, such as 99.9. Empty: jobs that declare none."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is None:
            self.fields["smallest_group"].initial = settings.SMALLEST_GROUP
        self.fields["smallest_group"].widget.attrs |= {"min": FEWEST_EVER, "max": 20}
        for name in ("workload", "size", "target", "unit"):
            self.fields[name].widget.attrs |= {"list": f"known-{name}", "autocomplete": "off"}

    def clean_slug(self) -> str:
        """Not the address of another page."""
        slug = str(self.cleaned_data["slug"])
        if slug in TAKEN:
            raise ValidationError(_("This address is taken."))
        return slug

    def clean(self) -> dict[str, Any]:
        """Each constraint of the table, in words, at the field that can cure it: Django knows only their names."""
        said: dict[str, Any] = super().clean() or self.cleaned_data
        self._hold_against_constraints(Board(**said), {field.name for field in Board._meta.fields} - set(said))
        return said

    def _hold_against_constraints(self, board: Board, unknown: set[str]) -> None:
        for constraint in Board._meta.constraints:
            try:
                constraint.validate(Board, board, exclude=unknown)
            except ValidationError:
                field, words = CONSTRAINTS[constraint.name]
                self.add_error(field if field in self.fields else None, words)


class BoardChangeForm(BoardForm):
    """A board that there is: its address stays, and all that its editions mean once it has one."""

    def __init__(self, board: Board, data: Any = None) -> None:
        super().__init__(data, instance=board)
        free = FREE_FIELDS if board.editions.exists() else set(self.fields) - {"slug"}
        for name in set(self.fields) - free:
            del self.fields[name]

    def clean(self) -> dict[str, Any]:
        """What is typed, on top of what stays."""
        said = forms.ModelForm.clean(self) or self.cleaned_data
        stays = {field.name: getattr(self.instance, field.name) for field in Board._meta.fields}
        self._hold_against_constraints(Board(**stays | said), set(self.fields) - set(said))
        return said


def known_names() -> dict[str, list[str]]:
    """What jobs have declared so far, for the lists that a field offers; one query."""
    names = ("workload", "size", "target", "unit")
    found = list(WorkloadJob.objects.order_by(*names).values_list(*names).distinct()[:MOST_OFFERED])
    return {name: sorted({row[at] for row in found} - {""}) for at, name in enumerate(names)}


class PeriodForm(forms.Form):
    """The days of a new edition."""

    first = forms.DateField(label=_("First day"), widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}))
    last = forms.DateField(
        label=_("Last day"), widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}), help_text=_("Included.")
    )

    def clean(self) -> dict[str, Any]:
        """In order."""
        said: dict[str, Any] = super().clean() or {}
        if said.get("first") and said.get("last") and said["last"] < said["first"]:
            self.add_error("last", _("The last day lies before the first."))
        return said


class ReasonForm(forms.Form):
    """Why: of a correction, a withdrawal, a way back to the draft."""

    reason = forms.CharField(label=_("Reason"), max_length=LONGEST_REASON)


class ObjectionForm(forms.Form):
    """What somebody says against an edition."""

    text = forms.CharField(
        label=_("What is wrong, or why you do not want to be in it"),
        max_length=LONGEST_TEXT,
        widget=forms.Textarea(attrs={"rows": 5}),
    )


class AnswerForm(forms.Form):
    """What is answered to an objection."""

    answer = forms.CharField(label=_("Answer"), max_length=LONGEST_TEXT, widget=forms.Textarea(attrs={"rows": 3}))
    upheld = forms.ChoiceField(
        label=_("Decision"),
        choices=[("", "–"), ("1", _("upheld: the person is left out")), ("0", _("not upheld"))],
    )
