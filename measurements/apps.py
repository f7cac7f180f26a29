"""The app that holds the domain's data."""

from django.apps import AppConfig


class MeasurementsConfig(AppConfig):
    """Clusters, jobs, samples and the ledger."""

    name = "measurements"
    verbose_name = "Measurements"
