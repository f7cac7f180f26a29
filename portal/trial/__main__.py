"""``python -m portal.trial``: `manage.py trial` that touches neither the site's data nor its settings."""

from __future__ import annotations

import sys

from portal.trial.private import run

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
