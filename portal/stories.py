"""The simulated cluster's stories as links: where each is to be seen, and as whom. What it shows, its page says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from measurements.demo.boards import NODE_TYPES
from measurements.demo.cluster import CLUSTER_NAME
from measurements.demo.note import stories_of
from measurements.demo.people import OPERATOR, STUDENT, SUSTAINABILITY
from measurements.demo.recipes import NNUNET
from measurements.demo.stories import Late, Stories, StoryJob
from measurements.models import Batch, Edition
from measurements.selectors.compare import MOST_COMPARED

Editions = list[tuple[int, str]]  # number and state
AROUND = timedelta(hours=12)  # shown behind the end of a silence


@dataclass(frozen=True, slots=True)
class Chapter:
    """One link of a story, and as whom it is followed."""

    slug: str
    label: Any
    username: str
    address: str


@dataclass(frozen=True, slots=True)
class Story:
    """A question, what to look at, and where."""

    question: Any
    text: Any
    chapters: tuple[Chapter, ...]


def stories() -> tuple[Story, ...]:
    """Those that are in this site's data; none where nothing is simulated."""
    found = stories_of(settings.JOULEBOOK_VAR)
    if found is None:
        return ()
    boards = _editions()
    return tuple(story for story in (tell(found, boards) for tell in _TELLERS) if story.chapters)


def chapter(slug: str) -> Chapter | None:
    """A link by its name."""
    return next((c for story in stories() for c in story.chapters if c.slug == slug), None)


def _runtime(found: Stories, _boards: Editions) -> Story:
    chapters = []
    if found.twins:
        pair = (found.twins.busy, found.twins.stalled)
        chapters.append(Chapter("runtime", _("The two jobs side by side"), OPERATOR, _compared(pair)))
    if found.ranking:
        chapters.append(Chapter("ranking", _("A ranking of several jobs"), OPERATOR, _compared(found.ranking.jobs)))
    if found.nnunet:
        address = reverse("workload", args=[NNUNET])
        chapters.append(Chapter("estimate", _("A ranking of node types"), OPERATOR, address))
    return Story(
        _("Six hours are six hours?"),
        _("Jobs of hours on nodes of one type: runtime alone cannot tell who works from who waits. The meter can."),
        tuple(chapters),
    )


def _held_gpus(found: Stories, _boards: Editions) -> Story:
    chapters = []
    if found.held_gpus:
        address = reverse("job", args=[CLUSTER_NAME, found.held_gpus.job.job_id])
        chapters.append(Chapter("idle-gpus", _("The job"), OPERATOR, address))
    return Story(
        _("What does a GPU cost that nobody uses?"),
        _("A code that knows nothing of GPUs held a node with four of them over night."),
        tuple(chapters),
    )


def _nnunet(found: Stories, boards: Editions) -> Story:
    chapters = []
    if found.nnunet:
        parts = (
            ("training", _("Training"), found.nnunet.training_gpu + found.nnunet.training_cpu),
            ("inference", _("Inference"), found.nnunet.inference_gpu + found.nnunet.inference_cpu),
        )
        chapters = [Chapter("nnunet", _("Node types side by side"), OPERATOR, reverse("workload", args=[NNUNET]))]
        chapters += [Chapter(slug, label, OPERATOR, _listed(jobs)) for slug, label, jobs in parts]
        if boards:
            board = reverse("board", args=[NODE_TYPES])
            chapters.append(Chapter("node-types-board", _("The public leaderboard"), STUDENT, board))
    return Story(
        _("GPU or CPU node?"),
        _("The same nnU-Net work several times on both: judged apart for training and inference."),
        tuple(chapters),
    )


def _failing_array(found: Stories, _boards: Editions) -> Story:
    chapters = []
    if found.failing_array:
        address = f"{reverse('jobs')}?{urlencode({'array': found.failing_array.array_id})}"
        chapters.append(Chapter("failed-array", _("The array"), OPERATOR, address))
    return Story(
        _("What does an array cost that nobody watches?"),
        _("Its tasks followed each other all night. Did any of them end well?"),
        tuple(chapters),
    )


def _dead_meter(found: Stories, _boards: Editions) -> Story:
    chapters = []
    if found.dead_meter:
        end = datetime.fromtimestamp(found.dead_meter.end_s, UTC) + AROUND
        query = urlencode({"span": "week", "end": end.strftime("%Y-%m-%dT%H:%MZ")})
        address = f"{reverse('node', args=[CLUSTER_NAME, found.dead_meter.node])}?{query}"
        chapters.append(Chapter("silent-meter", _("The node"), SUSTAINABILITY, address))
    return Story(
        _("Is a node without readings a node without power?"),
        _("A management controller falls silent for days. Does the node's coverage fall then, or its power?"),
        tuple(chapters),
    )


def _late(found: Stories, boards: Editions) -> Story:
    batch = _late_batch(found.late) if found.late else None
    corrected = next((number for number, state in boards if state == Edition.State.CORRECTED), None)
    chapters: tuple[Chapter, ...] = (
        (Chapter("late-data", _("The late file"), SUSTAINABILITY, reverse("batch", args=[batch])),) if batch else ()
    )
    chapters += tuple(
        Chapter(slug, label, STUDENT, reverse("edition", args=[NODE_TYPES, edition]))
        for slug, label, edition in (
            ("corrected-board", _("A leaderboard, corrected"), f"{corrected}.1"),
            ("old-edition", _("The edition before it"), str(corrected)),
        )
        if corrected
    )
    return Story(
        _("What if a log comes days late?"),
        _(
            "It goes in as any other: the days it touches are booked anew, and nothing is counted twice. A leaderboard "
            "that was published without it gets a new edition; the old one stays as it was."
        ),
        chapters,
    )


def _editions() -> Editions:
    """Those of the public leaderboard, the newest first."""
    shown = (Edition.State.PUBLISHED, Edition.State.CORRECTED)
    found = Edition.objects.filter(board__slug=NODE_TYPES, state__in=shown).order_by("-number", "-revision")
    return list(found.values_list("number", "state"))


def _late_batch(late: Late) -> int | None:
    """The input that the late file was, once it is taken in."""
    named = Batch.objects.filter(cluster__name=CLUSTER_NAME, source__endswith=late.file_name)
    return named.order_by("-pk").values_list("pk", flat=True).first()


_TELLERS = (_runtime, _held_gpus, _nnunet, _failing_array, _dead_meter, _late)


def _compared(jobs: Sequence[StoryJob]) -> str:
    picks = [("job", f"{CLUSTER_NAME}/{job.job_id}") for job in jobs[:MOST_COMPARED]]
    return f"{reverse('compare')}?{urlencode(picks)}"


def _listed(jobs: Sequence[StoryJob]) -> str:
    """The list of jobs whose names begin alike, in the days these ran."""
    zone = ZoneInfo(timezone.get_default_timezone_name())
    first, last = (
        datetime.fromtimestamp(at, zone).date() for at in (min(j.start_s for j in jobs), max(j.start_s for j in jobs))
    )
    shortest = min((job.name for job in jobs), key=len)
    query = {"q": shortest, "user": jobs[0].username, "first": first.isoformat(), "last": last.isoformat()}
    return f"{reverse('jobs')}?{urlencode(query)}"
