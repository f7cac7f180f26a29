"""The app that holds the domain's data."""

from django.apps import AppConfig
from django.conf import settings


class MeasurementsConfig(AppConfig):
    """Clusters, jobs, samples and the ledger."""

    name = "measurements"
    verbose_name = "Measurements"

    def ready(self) -> None:
        """A demo's cluster goes on while its site runs."""
        if settings.JOULEBOOK_DEMO:
            from measurements.demo import live
            from measurements.services.chores import every

            every(live.EVERY_S, live.carry_on, "simulated cluster")
