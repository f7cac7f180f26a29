"""Settings of the site; whatever a site may want to change is read from the environment (docs/settings.md)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from portal.env import (
    env_accounts,
    env_address,
    env_addresses,
    env_bool,
    env_choice,
    env_folder,
    env_folders,
    env_hosts,
    env_mail,
    env_number,
    env_secret,
    env_str,
    env_url,
    env_zone,
    key_from_file,
)

ROOT = Path(__file__).resolve().parent.parent

# --- What a site sets -------------------------------------------------------------------------------------------------
JOULEBOOK_VAR = env_folder("JOULEBOOK_VAR", ROOT / "var")  # everything the site writes, segments included
JOULEBOOK_DEMO = env_bool("JOULEBOOK_DEMO", default=False)  # the made-up cluster: the login page names its people
DEBUG = env_bool("JOULEBOOK_DEBUG", default=False)
SITE_URL = env_url("JOULEBOOK_SITE_URL", "http://localhost:8000", ("https", "http"))
REDIS_URL = env_secret("REDIS_URL")  # the Celery workers' queue; empty: a thread of the web process does the work
SWEEP_S = env_number("JOULEBOOK_SWEEP_S", 30, 0.5, 600)  # how often what was left over is looked for
WORKER_THREAD = env_bool("JOULEBOOK_WORKER_THREAD", default=not REDIS_URL)  # does the web process work as well
WORKER_PROCESSES = int(env_number("JOULEBOOK_WORKER_PROCESSES", os.cpu_count() or 1, 1, 1000))  # of a Celery worker
SECRET_KEY = env_secret("JOULEBOOK_SECRET_KEY") or key_from_file(JOULEBOOK_VAR / "secret_key")

# --- What people may see of each other (docs/privacy) ----------------------------------------------------------------
LEADER_SEES = env_choice("JOULEBOOK_LEADER_SEES", ("totals", "pseudonyms", "names"), "totals")
SMALLEST_GROUP = int(env_number("JOULEBOOK_SMALLEST_GROUP", 5, 3, 20))  # no figure of fewer people is shown
CONTACT = env_str("JOULEBOOK_CONTACT")  # whom to ask: an address or a sentence
DEFAULT_FROM_EMAIL = env_str("JOULEBOOK_MAIL_FROM")  # empty: no mail is sent
AUDIT_KEEP_DAYS = int(env_number("JOULEBOOK_AUDIT_KEEP_DAYS", 365, 30, 3650))  # who read whose pages

# --- Leaderboards (docs/leaderboards.md) ------------------------------------------------------------------------------
BOARDS_OF_PERSONS = env_bool("JOULEBOOK_BOARDS_OF_PERSONS", default=False)  # hidden and refused while it is off
BOARDS_REVIEW_DAYS = int(env_number("JOULEBOOK_BOARDS_REVIEW_DAYS", 14, 1, 90))  # in which people may object
BENCHMARK_USERS = env_accounts("JOULEBOOK_BENCHMARK_USERS")  # the site's own measurements: no persons

# --- Mails (docs/mails.md): none without a sender, and none to persons before the site wants them --------------------
DIGESTS = env_choice("JOULEBOOK_DIGESTS", ("off", "weekly", "monthly", "both"), "off")
DIGEST_LANGUAGE = env_choice("JOULEBOOK_MAIL_LANGUAGE", ("en-gb", "de"), "en-gb")  # of who has chosen none
DIGEST_COMPOSER = "portal.digest.compose"  # who writes them: measurements knows no page
ALERT_MAILS = env_addresses("JOULEBOOK_ALERT_MAILS")  # who is told that a source is late (docs/operations.md)
ALERT_COMPOSER = "portal.alert_mail.compose"
_MAIL = env_mail("JOULEBOOK_MAIL_URL")
EMAIL_HOST, EMAIL_PORT = _MAIL["EMAIL_HOST"], _MAIL["EMAIL_PORT"]
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _MAIL["EMAIL_HOST_USER"], _MAIL["EMAIL_HOST_PASSWORD"]
EMAIL_USE_TLS, EMAIL_USE_SSL = _MAIL["EMAIL_USE_TLS"], _MAIL["EMAIL_USE_SSL"]
EMAIL_TIMEOUT = 30  # s

# --- From when on an advice is worth reading (docs/waste.md) ----------------------------------------------------------
WASTE_LEAST_JOBS = int(env_number("JOULEBOOK_WASTE_LEAST_JOBS", 3, 2, 1000))  # like jobs that show what is needed
WASTE_LEAST_KWH = env_number("JOULEBOOK_WASTE_LEAST_KWH", 0.1, 0, 1e6)  # that a line is about
WASTE_LEAST_SHARE = env_number("JOULEBOOK_WASTE_LEAST_SHARE", 0.25, 0.01, 1)  # of what was asked for, and not used
WASTE_MARGIN = env_number("JOULEBOOK_WASTE_MARGIN", 1.2, 1, 5)  # what is asked for ÷ what is needed

# --- Providers of carbon intensity: none is asked before `manage.py pull_intensity` switches it on -------------------
ENERGY_CHARTS_URL = env_address("JOULEBOOK_ENERGY_CHARTS_URL", "https://api.energy-charts.info")
ELECTRICITY_MAPS_URL = env_address("JOULEBOOK_ELECTRICITY_MAPS_URL", "https://api.electricitymaps.com/v3")
ELECTRICITY_MAPS_TOKEN = env_secret("JOULEBOOK_ELECTRICITY_MAPS_TOKEN")
UK_CARBON_INTENSITY_URL = env_address("JOULEBOOK_UK_CARBON_INTENSITY_URL", "https://api.carbonintensity.org.uk")

# --- Pushed readings (docs/push.md) ----------------------------------------------------------------------------------
PUSH_BODY_MIB = int(env_number("JOULEBOOK_PUSH_BODY_MIB", 8, 1, 1024))  # of one body as it is sent
PUSH_UNPACKED_MIB = int(env_number("JOULEBOOK_PUSH_UNPACKED_MIB", 64, 1, 4096))  # of one body unpacked
PUSH_WAIT_S = env_number("JOULEBOOK_PUSH_WAIT_S", 30, 1, 600)  # with a sender slower than 1 KiB/s
PUSH_WAITING_MIB = int(env_number("JOULEBOOK_PUSH_WAITING_MIB", 512, 16, 65536))  # in the memory of one process

# --- Files given on /operations/imports/ (docs/operations.md) --------------------------------------------------------
IMPORT_FOLDERS = env_folders("JOULEBOOK_IMPORT_FOLDERS")  # below which files may be given by path; none: uploads only
IMPORT_MIB = int(env_number("JOULEBOOK_IMPORT_MIB", 4096, 1, 1_048_576))  # of one form's uploads together
IMPORT_PATIENCE_S = int(env_number("JOULEBOOK_IMPORT_PATIENCE_S", 60, 1, 3600))  # with a sender slower than 1 KiB/s
IMPORT_KEEP_DAYS = int(env_number("JOULEBOOK_IMPORT_KEEP_DAYS", 7, 1, 3650))  # of a tried file nobody decides on
IMPORT_TRY_MIB = int(env_number("JOULEBOOK_IMPORT_TRY_MIB", 256, 1, 1_048_576))  # of a file that a dry run reads

# --- Feeds: what the site asks again and again (docs/slurm.md) --------------------------------------------------------
FEED_HOSTS = env_hosts("JOULEBOOK_FEED_HOSTS")  # the only ones that feeds may ask; none before they stand here
SLURM_BIN = env_str("JOULEBOOK_SLURM_BIN")  # the folder of sacct and scontrol; empty: they are on PATH

# --- Database ---------------------------------------------------------------------------------------------------------
SQLITE_OPTIONS = {
    "timeout": 20,  # s a writer waits for another one
    "transaction_mode": "IMMEDIATE",  # take the write lock first: no deadlock half-way
    # Readers never wait; a commit is on disk; 16 MiB of pages are kept: SQLite's own 2 MB are read over and over.
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-16384;",
}


def database(url: str) -> dict[str, Any]:
    """Django's form of a database address: sqlite:///path or postgresql://user:password@host:port/name."""
    try:
        config: dict[str, Any] = environ.Env.db_url_config(url)
    except (ImproperlyConfigured, ValueError, KeyError) as fault:
        raise ImproperlyConfigured(f"DATABASE_URL cannot be read: {fault}") from fault
    if config.get("ENGINE") == "django.db.backends.sqlite3":
        config["OPTIONS"] = {**SQLITE_OPTIONS, **config.get("OPTIONS", {})}
    elif config.get("ENGINE") == "django.db.backends.postgresql":
        config |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
    else:
        raise ImproperlyConfigured("DATABASE_URL starts with neither sqlite: nor postgresql:, the two that are tested")
    return config


DATABASES = {"default": database(env_secret("DATABASE_URL") or f"sqlite:///{JOULEBOOK_VAR / 'joulebook.sqlite3'}")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- The house --------------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "measurements",
    "portal",
]
MIDDLEWARE = [
    "portal.api_errors.errors_as_json",  # first: it sees what all the others answer
    "django.middleware.security.SecurityMiddleware",
    "portal.static_files.PackedStaticFiles",
    "portal.middleware.content_security_policy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "portal.middleware.RefuseUnnoted",
]
ROOT_URLCONF = "portal.urls"
WSGI_APPLICATION = "portal.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "portal.context.site",
            ],
        },
    },
]

# --- Static files: served as they lie in the clone, so that an upgrade needs no collecting step -----------------------
STATIC_URL = "static/"
STATICFILES_DIRS = [ROOT / "static"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

# --- Languages and time -----------------------------------------------------------------------------------------------
LANGUAGE_CODE = "en-gb"  # weeks begin on Monday
LANGUAGES = [("en-gb", _("English")), ("de", _("German"))]
LOCALE_PATHS = [ROOT / "portal" / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = env_zone("JOULEBOOK_TIME_ZONE", "UTC")  # days and hours are shown in it; stored is UTC

# --- Who may come in, and how -----------------------------------------------------------------------------------------
AUTHENTICATION_BACKENDS = ["portal.backends.OneQueryBackend"]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
HTTPS = SITE_URL.scheme == "https"
ALLOWED_HOSTS = [SITE_URL.hostname or "", "localhost", "127.0.0.1", "[::1]"]
CSRF_TRUSTED_ORIGINS = [f"{SITE_URL.scheme}://{SITE_URL.netloc}"]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^(livez|readyz)$"]  # asked from inside the house, before TLS
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# --- Messages go to stderr; stdout belongs to the commands' results ---------------------------------------------------
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["stderr"], "level": env_choice("JOULEBOOK_LOG_LEVEL", LOG_LEVELS, "WARNING")},
    "loggers": {
        "django": {"handlers": [], "propagate": True},
        "gunicorn.http.wsgi": {"level": "ERROR"},  # else it warns at each HEAD, whose body Django leaves to the server
    },
}
