#!/usr/bin/env python
"""Joulebook's commands: ``manage.py help`` lists them."""

import os
import sys

from django.core.management import execute_from_command_line

BULK = {"ingest_power", "ingest_jobs", "attribute", "tend", "work"}  # hours of them at a time: pages come first
NICE = 10

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    if BULK.intersection(sys.argv[1:2]):
        os.setpriority(os.PRIO_PROCESS, 0, max(os.getpriority(os.PRIO_PROCESS, 0), NICE))
    execute_from_command_line(sys.argv)
