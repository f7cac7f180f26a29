"""The site as gunicorn serves it: ``gunicorn portal.wsgi``."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
handler = get_wsgi_application()

from workers.loop import start_thread  # noqa: E402 - needs the apps

loop = start_thread()  # where there is no queue, this process does the work as well; nothing else imports this module
PUSHED_TO = ("/api/v1/power", "/api/v1/prometheus/write", "/api/v1/gpu-holds", "/api/v2/write", "/api/write", "/write")
UPLOADED_TO = ("/operations/imports/new/",)  # an upload may take an hour
application = loop.beside(handler, PUSHED_TO + UPLOADED_TO) if loop is not None else handler
