"""The simulated cluster's stories as links: where each is to be seen, and as whom. What it shows, its page says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from measurements.demo.cluster import CLUSTER_NAME
from measurements.demo.note import stories_of
from measurements.demo.people import OPERATOR, SUSTAINABILITY
from measurements.demo.stories import DeadMeter, FailingArray, Late, Stories, StoryJob
from measurements.models import Batch
from measurements.selectors.compare import MOST_COMPARED

AROUND = timedelta(hours=12)  # shown behind the end of a silence
LATE_LOOKED_AT = 1


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
    chapters: tuple[Chapter, ...] = field(default=())


def stories() -> tuple[Story, ...]:
    """Those that are in this site's data; none where nothing is simulated."""
    found = stories_of(settings.JOULEBOOK_VAR)
    if found is None:
        return ()
    return tuple(story for story in (tell(found) for tell in _TELLERS) if story.chapters)


def chapter(slug: str) -> Chapter | None:
    """A link by its name."""
    return next((c for story in stories() for c in story.chapters if c.slug == slug), None)


def _runtime(found: Stories) -> Story:
    chapters = []
    if found.twins:
        pair = (found.twins.busy, found.twins.stalled)
        chapters.append(Chapter("runtime", _("The two jobs side by side"), OPERATOR, _compared(pair)))
    if found.ranking:
        chapters.append(Chapter("ranking", _("A ranking of several jobs"), OPERATOR, _compared(found.ranking.jobs)))
    return Story(
        _("Six hours are six hours?"),
        _("Jobs of hours on nodes of one type: runtime alone cannot tell who works from who waits. The meter can."),
        tuple(chapters),
    )


def _held_gpus(found: Stories) -> Story:
    story = Story(
        _("What does a GPU cost that nobody uses?"),
        _("A code that knows nothing of GPUs held a node with four of them over night."),
    )
    if not found.held_gpus:
        return story
    address = reverse("job", args=[CLUSTER_NAME, found.held_gpus.job.job_id])
    return Story(story.question, story.text, (Chapter("idle-gpus", _("The job"), OPERATOR, address),))


def _nnunet(found: Stories) -> Story:
    chapters = []
    if found.nnunet:
        parts = (
            ("training", _("Training"), found.nnunet.training_gpu + found.nnunet.training_cpu),
            ("inference", _("Inference"), found.nnunet.inference_gpu + found.nnunet.inference_cpu),
        )
        chapters = [Chapter(slug, label, OPERATOR, _listed(jobs)) for slug, label, jobs in parts]
    return Story(
        _("GPU or CPU node?"),
        _("The same nnU-Net work several times on both: judged apart for training and inference."),
        tuple(chapters),
    )


def _failing_array(found: Stories) -> Story:
    story = Story(
        _("What does an array cost that nobody watches?"),
        _("Its tasks followed each other all night. Did any of them end well?"),
    )
    array: FailingArray | None = found.failing_array
    if array is None:
        return story
    address = f"{reverse('jobs')}?{urlencode({'array': array.array_id})}"
    return Story(story.question, story.text, (Chapter("failed-array", _("The array"), OPERATOR, address),))


def _dead_meter(found: Stories) -> Story:
    story = Story(
        _("Is a node without readings a node without power?"),
        _("A management controller falls silent for days. Does the node's coverage fall then, or its power?"),
    )
    dead: DeadMeter | None = found.dead_meter
    if dead is None:
        return story
    end = datetime.fromtimestamp(dead.end_s, UTC) + AROUND
    query = urlencode({"span": "week", "end": end.strftime("%Y-%m-%dT%H:%MZ")})
    address = f"{reverse('node', args=[CLUSTER_NAME, dead.node])}?{query}"
    return Story(story.question, story.text, (Chapter("silent-meter", _("The node"), SUSTAINABILITY, address),))


def _late(found: Stories) -> Story:
    story = Story(
        _("What if a log comes days late?"),
        _("It goes in as any other: the days it touches are booked anew, and nothing is counted twice."),
    )
    late: Late | None = found.late
    if late is None:
        return story
    named = Batch.objects.filter(cluster__name=CLUSTER_NAME, source__endswith=late.file_name)
    batch = named.order_by("-pk").values_list("pk", flat=True).first()
    if batch is None:
        return story
    address = reverse("batch", args=[batch])
    return Story(story.question, story.text, (Chapter("late-data", _("The late file"), SUSTAINABILITY, address),))


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
