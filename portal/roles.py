"""As whom the simulated cluster can be looked at, in words."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

PUBLIC = "public"
ROLES: dict[str, tuple[Any, Any]] = {
    "student": (_("Student"), _("their own jobs and energy")),
    "leader": (_("Group leader"), _("a project's principal investigator, with jobs of their own")),
    "operator": (_("Operator"), _("all jobs, nodes, what came in, does it close")),
    "sustainability": (_("Sustainability officer"), _("the machine and its meters, nobody's jobs")),
    PUBLIC: (_("Public"), _("this page, without logging in")),
}
