"""What older sites know already: since when their nodes are measured; and their days are rolled up once more."""

import datetime

from django.db import migrations, models


def first_samples_from_ledger(apps, _schema_editor):
    """Nodes measured before there was the field: midnight of their first booked day with samples."""
    node, node_day = apps.get_model("measurements", "Node"), apps.get_model("measurements", "NodeDay")
    first = node_day.objects.filter(samples__gt=0).values_list("node_id").annotate(day=models.Min("day"))
    for pk, day in first:
        midnight = datetime.datetime.combine(day, datetime.time(), datetime.UTC)
        node.objects.filter(pk=pk).update(first_sample_ms=int(midnight.timestamp()) * 1000)


def mark_days(apps, _schema_editor):
    """The roll-up by node type is new: all days are rolled up once more."""
    dirty, node_day = apps.get_model("measurements", "DirtyDay"), apps.get_model("measurements", "NodeDay")
    waiting = set(dirty.objects.values_list("cluster_id", "day"))
    days = set(node_day.objects.values_list("cluster_id", "day").distinct()) - waiting
    dirty.objects.bulk_create(
        [dirty(cluster_id=cluster, day=day, version=1, claimed_by="") for cluster, day in sorted(days)], 1000
    )


class Migration(migrations.Migration):
    dependencies = [("measurements", "0002_states_types_idle")]
    operations = [
        migrations.RunPython(first_samples_from_ledger, migrations.RunPython.noop),
        migrations.RunPython(mark_days, migrations.RunPython.noop),
    ]
