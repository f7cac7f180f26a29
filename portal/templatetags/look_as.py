"""As whom a demo can be looked at."""

from __future__ import annotations

from typing import Any

from django import template

from measurements.demo.people import LOOK_AS
from portal.roles import ROLES

register = template.Library()


@register.simple_tag(takes_context=True)
def roles(context: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    """Role, its name, what it sees, and whether it is who is looking."""
    user = context.get("user")
    username = user.get_username() if user is not None and user.is_authenticated else ""
    return [(role, str(name), str(sees), username == LOOK_AS.get(role, "")) for role, (name, sees) in ROLES.items()]
