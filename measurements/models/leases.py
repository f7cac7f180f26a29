"""What several workers may want at once: whoever takes it holds a lease, which expires."""

from __future__ import annotations

from django.db import models


class Leased(models.Model):
    """A claim is a lease. ``claimed_until`` without ``claimed_by`` means: not before then."""

    claimed_by = models.CharField(max_length=128, blank=True, default="", db_index=True)
    claimed_until = models.DateTimeField(null=True)

    class Meta:
        abstract = True
