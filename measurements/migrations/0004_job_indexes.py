"""Lists of jobs, newest first, along one index each: all, of a cluster, of a state, of an array, running."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("measurements", "0003_first_samples")]

    operations = [
        migrations.RemoveIndex(model_name="job", name="job_array"),
        migrations.AddIndex(
            "job", models.Index(fields=["cluster", "array_job_id", "-start_ms"], name="job_array_start")
        ),
        migrations.AddIndex("job", models.Index(fields=["-start_ms"], name="job_start")),
        migrations.AddIndex("job", models.Index(fields=["cluster", "-start_ms"], name="job_cluster_start")),
        migrations.AddIndex("job", models.Index(fields=["state", "-start_ms"], name="job_state_start")),
        migrations.AddIndex(
            "job", models.Index(fields=["-start_ms"], name="job_running", condition=models.Q(end_ms__isnull=True))
        ),
    ]
