"""The site's own Django app: pages, and checks of the settings."""

from django.apps import AppConfig


class PortalConfig(AppConfig):
    """Registers the checks."""

    name = "portal"

    def ready(self) -> None:
        from portal import checks  # noqa: F401 - importing registers them, which needs the settings
