"""`/login/`."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.views import LoginView


class Login(LoginView):
    """Name and password; a demo says whose."""

    redirect_authenticated_user = True

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """With whether this is a demo."""
        return super().get_context_data(**kwargs) | {"demo": settings.JOULEBOOK_DEMO}
