"""`/operations/imports/`: files given, tried with nothing kept, and then taken, tried otherwise or withdrawn."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.admin.models import ADDITION, CHANGE
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from measurements.models import Cluster, Intake
from measurements.parsers.records import UnusableFile
from measurements.selectors.batches import may_see_lines
from measurements.selectors.imports import imports, progress, taken_before, what_changed
from measurements.selectors.work import heartbeats
from measurements.services.giving import allowed_folders, give_path
from measurements.services.heartbeats import WORKER
from measurements.services.machine import create_cluster
from measurements.services.taking import KNOWN_OPTIONS
from measurements.services.trying import FORGOTTEN, accept, forgotten_at, try_again, withdraw
from portal import wording_imports as wording
from portal.import_forms import GiveForm, OptionsForm
from portal.import_upload import LAST_FIELD, SpoolUploads
from portal.noting import note_change
from portal.patience import SLOWEST_BYTES_PER_S, patience_with, place_for_one
from portal.quantities import duration
from portal.views.operators import operators_only, operators_who, place_of

GIVE = ("measurements.add_intake", "measurements.change_intake")
OPTIONS_AT_ONCE: tuple[str, ...] = ("time_zone", "format", "columns", "node", "channel", "at", "precision", "rename")
OPTIONS_AT_ONCE += ("interval", "max_gap", "wrap_joules", "off_states")


@require_safe
@operators_only
def page(request: HttpRequest) -> HttpResponse:
    """Show what was given, newest first, and how far it is."""
    before = place_of(request.GET.get("before", ""))
    found = imports(timezone.now(), before)
    context = {
        "found": found,
        "paged": before is not None,
        "may_give": request.user.has_perms(GIVE),
        "may_see_jobs": may_see_lines(request.user, Intake.Content.JOBS),
        "nobody": found.at_work and _nobody_works(),
        "keep_days": settings.IMPORT_KEEP_DAYS,
    }
    return render(request, "portal/operations/imports.html", context)


def _nobody_works() -> bool:
    """Whether no worker has ever been seen here, and this process does not work itself."""
    return not settings.WORKER_THREAD and not any(name.startswith(WORKER) for name in heartbeats(timezone.now()))


@csrf_exempt  # checked below, once it is said where the uploads go
@require_http_methods(["GET", "HEAD", "POST"])
@operators_who(*GIVE)
def new(request: HttpRequest) -> HttpResponseBase:
    """Ask for files, and enter them to be tried."""
    uploads = SpoolUploads(request)
    request.upload_handlers = [uploads]
    if request.method != "POST":
        return _new(request, uploads)
    try:
        return _received(request, uploads)
    finally:
        uploads.discard()


def _received(request: HttpRequest, uploads: SpoolUploads) -> HttpResponse:
    """Read what is sent, if a place is free and it comes fast enough."""
    with place_for_one() as free, patience_with(request.META, settings.IMPORT_PATIENCE_S) as patience:
        if not free:
            return _not_kept(
                503, _("Other uploads are coming in, as many as are taken at once: try it again in a minute.")
            )
        answer = _new(request, uploads)
        if patience is not None and patience.ended:
            return _not_kept(
                408,
                _("It came slower than %(rate)s a second for %(time)s: it was ended, and nothing of it was kept.")
                % {"rate": wording.size(SLOWEST_BYTES_PER_S), "time": duration(settings.IMPORT_PATIENCE_S)},
            )
        return answer


def _not_kept(status: int, sentence: str) -> HttpResponse:
    """A sentence for whoever still listens, and an end of the connection: the rest of the body is not read."""
    headers = {"Connection": "close", "Retry-After": "60"}
    return HttpResponse(sentence, status=status, content_type="text/plain; charset=utf-8", headers=headers)


@csrf_protect
def _new(request: HttpRequest, uploads: SpoolUploads) -> HttpResponse:
    by_path = bool(allowed_folders())
    initial = {"cluster": request.GET.get("cluster", "")}
    form = GiveForm(request.POST if request.method == "POST" else None, initial=initial, by_path=by_path)
    if request.method == "POST" and form.is_valid():
        rows = _given(request, form, uploads)
        if rows:
            for row in rows:
                note_change(request, row, ADDITION, "given")
            nudge()
            return redirect("import", rows[0].pk) if len(rows) == 1 else redirect("imports")
    context: dict[str, Any] = {
        "form": form,
        "clusters": Cluster.objects.exists(),
        "folders": allowed_folders(),
        "most_mib": settings.IMPORT_MIB,
        "last_field": LAST_FIELD,
        "options": [form[name] for name in OPTIONS_AT_ONCE],
        "options_open": any(form.errors.get(name) for name in OPTIONS_AT_ONCE),
    }
    return render(request, "portal/operations/import_new.html", context)


def _given(request: HttpRequest, form: GiveForm, uploads: SpoolUploads) -> list[Intake]:
    """The rows of what was given; none where the form says now what is wrong."""
    said = form.cleaned_data
    path = said.get("path", "").strip()
    if uploads.fault or LAST_FIELD not in request.POST:
        form.add_error(None, uploads.fault or _("The upload broke off: nothing of it was kept."))
        return []
    if not uploads.uploads and not path:
        form.add_error(None, _("Choose a file."))
        return []
    by, now = request.user.get_username(), timezone.now()
    try:
        cluster = create_cluster(said["new_cluster"]) if said["new_cluster"] else said["cluster"]
        rows = give_path(path, cluster, said["content"], form.options(), by, now) if path else []
    except (UnusableFile, ValueError, OSError) as fault:
        form.add_error(None, str(fault))
        return []
    while uploads.uploads:
        rows.append(uploads.uploads[0].give(cluster, said["content"], form.options(), by, now))
        uploads.uploads.pop(0)
    return rows


@require_safe
@operators_only
def one(request: HttpRequest, intake: int) -> HttpResponse:
    """Show a file: how far it is, what was found, what became of it."""
    return _shown(request, _row(intake))


def _row(intake: int) -> Intake:
    rows = Intake.objects.exclude(given_by="").select_related("cluster", "batch")
    return get_object_or_404(rows, pk=intake)


def _shown(request: HttpRequest, row: Intake, form: OptionsForm | None = None) -> HttpResponse:
    found = row.preview
    may_give_ = request.user.has_perms(GIVE)
    if form is None and row.state == Intake.State.TRIED and may_give_:
        form = _form(row)
    lacks = wording.lacks(found, row) if row.state == Intake.State.TRIED else []
    if form is not None:
        form.order_fields([name for name in lacks if name in form.fields])
    context = {
        "row": row,
        "lacking": [form[name] for name in lacks if name in form.fields] if form is not None else [],
        "one": progress(row, timezone.now()),
        "found": found,
        "may_see": may_see_lines(request.user, row.content),
        "may_give": may_give_,
        "form": form,
        "changed": what_changed(row),
        "recognised": wording.recognised(found, row) if found.get("format") else "",
        "fault": wording.fault(row),
        "plain_fault": wording.plain_fault(row),
        "other_guess": wording.other_guess(found, row),
        "hints": wording.hints(found),
        "same": taken_before(row),
        "forgotten_at": forgotten_at(row),
        "forgotten": row.error == FORGOTTEN,
        "part": wording.part(found),
        "span": wording.span(found),
        "time_zone": settings.TIME_ZONE,
        "refused_now": row.batch.refused if row.batch else sum(one["count"] for one in row.report.get("refused") or ()),
        "zone": wording.zone(found, row) if "naive" in found else "",
        "interval": wording.interval(found),
        "effect": wording.effect(found, row),
        "drawing": wording.drawing(found),
        "days_links": wording.days_links(row) if row.state == Intake.State.DONE else [],
        "nobody": row.state in (Intake.State.TRYING, Intake.State.QUEUED) and _nobody_works(),
    }
    return render(request, "portal/operations/import.html", context)


def _form(row: Intake, data: Any = None) -> OptionsForm:
    known_format = row.preview.get("format") or row.preview.get("guessed_format", "")
    content = row.content if known_format else ""  # what is not recognised may be anything
    return OptionsForm(
        data, initial=OptionsForm.from_options(row.content, row.options), content=content, known_format=known_format
    )


@require_POST
@operators_who(*GIVE)
def do(request: HttpRequest, intake: int) -> HttpResponse:
    """Take a file, try it again, or withdraw it; whoever comes second is told so."""
    row = _row(intake)
    version, action = request.POST.get("version", ""), request.POST.get("action", "")
    done, said = False, ""
    if action == "take":
        done, said = accept(row.pk, version, timezone.now()), "to be taken"
    elif action == "withdraw":
        done, said = withdraw(row.pk, timezone.now()), "withdrawn"
    elif action in ("again", "whole"):
        done, said = try_again(row.pk, version, row.content, row.options, whole=action == "whole"), "tried again"
    elif action == "otherwise":
        form = _form(row, request.POST)
        if not form.is_valid():
            return _shown(request, row, form)
        try:
            content = form.cleaned_data["content"] or row.preview.get("guessed") or row.content
            done, said = try_again(row.pk, version, content, _of_content(content, form.options())), "tried otherwise"
        except UnusableFile as fault:
            form.add_error(None, str(fault))
            return _shown(request, row, form)
    else:
        raise Http404("nothing that can be done")
    if done:
        note_change(request, row, CHANGE, said)
        nudge()
    else:
        messages.warning(request, _("It was decided on, or tried anew, meanwhile. This is how it stands now."))
    return redirect("import", row.pk)


def _of_content(content: str, options: dict[str, Any]) -> dict[str, Any]:
    """Those that a content has: another one may have been chosen."""
    return {name: value for name, value in options.items() if name in KNOWN_OPTIONS[Intake.Content(content)]}


def nudge() -> None:
    """Where a queue stands between, say at once that there is something; elsewhere it is found within a second."""
    if not settings.REDIS_URL:
        return
    from workers.hints import hint  # its library is loaded only where there is a queue
    from workers.tasks import take_file, try_file

    hint(try_file)
    hint(take_file)
