"""Who a viewer is to the site: whom they lead, whether the cluster knows them."""

from __future__ import annotations

from datetime import date

from django.contrib.auth.models import AbstractUser, AnonymousUser

from measurements.models import Job, Membership
from measurements.models.people import leads

Viewer = AbstractUser | AnonymousUser
_KEPT = "_projects_led"


def led(viewer: Viewer) -> dict[str, date | None]:
    """`leads` of today, asked once a request: it is kept on the request's user."""
    found: dict[str, date | None] | None = getattr(viewer, _KEPT, None)
    if found is None:
        found = leads(viewer)
        setattr(viewer, _KEPT, found)
    return found


def has_account(viewer: Viewer) -> bool:
    """Whether the cluster knows a person: by a job, or by a membership of any time; two queries at most."""
    if not viewer.is_authenticated:
        return False
    name = viewer.get_username()
    return Job.objects.filter(username=name).exists() or Membership.objects.filter(username=name).exists()
