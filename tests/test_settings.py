"""Settings: a fresh clone starts, nonsense is refused with a sentence, a public site is strict."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from portal import checks, env
from portal.settings import database

ROOT = Path(__file__).resolve().parent.parent


def manage(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run manage.py as a new process with only these site variables."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("JOULEBOOK_", "DJANGO_"))}
    command = [sys.executable, str(ROOT / "manage.py"), *arguments]
    return subprocess.run(command, env=clean | variables, capture_output=True, text=True, check=False)


def test_a_fresh_clone_starts_on_sqlite_and_draws_its_own_key(tmp_path: Path) -> None:
    var = tmp_path / "new" / "var"
    answer = manage("check", JOULEBOOK_VAR=str(var))
    assert (answer.returncode, answer.stdout) == (0, "System check identified no issues (0 silenced).\n")
    key = var / "secret_key"
    assert len(key.read_text()) >= 50
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_a_public_site_passes_the_deployment_checks(tmp_path: Path) -> None:
    answer = manage(
        "check", "--deploy", "--fail-level", "WARNING",
        JOULEBOOK_VAR=str(tmp_path), JOULEBOOK_SITE_URL="https://energy.example.org",
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert "no issues" in answer.stdout


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"JOULEBOOK_DEBUG": "perhaps"}, "JOULEBOOK_DEBUG='perhaps' is neither yes nor no"),
        ({"JOULEBOOK_TIME_ZONE": "Europe/Karlsruhe"}, "JOULEBOOK_TIME_ZONE='Europe/Karlsruhe' is no time zone"),
        ({"JOULEBOOK_SITE_URL": "energy.example.org"}, "JOULEBOOK_SITE_URL='energy.example.org' is no address"),
        ({"JOULEBOOK_FEED_HOSTS": "http://bmc1, bmc2"}, "JOULEBOOK_FEED_HOSTS holds 'http://bmc1', which is no host"),
        ({"DATABASE_URL": "mysql://db/joulebook"}, "neither sqlite: nor postgresql:"),
        ({"JOULEBOOK_LOG_LEVEL": "loud"}, "JOULEBOOK_LOG_LEVEL='loud' is none of DEBUG, INFO, WARNING, ERROR"),
        ({"JOULEBOOK_VAR": "/dev/null/var"}, "JOULEBOOK_VAR=/dev/null/var cannot be made"),
        ({"JOULEBOOK_ENERGY_CHARTS_URL": "ftp://mirror"}, "JOULEBOOK_ENERGY_CHARTS_URL='ftp://mirror' is no address"),
        (
            {"JOULEBOOK_ELECTRICITY_MAPS_URL": "https://a:b@c"},
            "JOULEBOOK_ELECTRICITY_MAPS_URL holds a user or a password",
        ),
        (
            {"JOULEBOOK_UK_CARBON_INTENSITY_URL": "https://a/?b"},
            "JOULEBOOK_UK_CARBON_INTENSITY_URL='https://a/?b' ends",
        ),
        ({"JOULEBOOK_MAIL_URL": "http://a:secret@mail"}, "JOULEBOOK_MAIL_URL is no address such as smtp://host:25"),
        ({"JOULEBOOK_DIGESTS": "daily"}, "JOULEBOOK_DIGESTS='daily' is none of off, weekly, monthly, both"),
        ({"JOULEBOOK_BOARDS_OF_PERSONS": "some"}, "JOULEBOOK_BOARDS_OF_PERSONS='some' is neither yes nor no"),
        ({"JOULEBOOK_BOARDS_REVIEW_DAYS": "0"}, "JOULEBOOK_BOARDS_REVIEW_DAYS='0' is no number from 1 to 90"),
        ({"JOULEBOOK_BENCHMARK_USERS": "mlperf, two words"}, "JOULEBOOK_BENCHMARK_USERS holds 'two words', which is"),
        ({"JOULEBOOK_SECRET_KEY_FILE": "/nowhere/key"}, "JOULEBOOK_SECRET_KEY_FILE=/nowhere/key cannot be read"),
    ],
)
def test_nonsense_stops_the_start_with_a_sentence(variables: dict[str, str], sentence: str, tmp_path: Path) -> None:
    answer = manage("check", **({"JOULEBOOK_VAR": str(tmp_path)} | variables))
    assert answer.returncode == 1
    assert sentence in answer.stderr


@pytest.mark.parametrize(("text", "value"), [("1", True), (" Yes ", True), ("off", False), ("", True)])
def test_switches_are_read(text: str, value: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001 - a value
    monkeypatch.setenv("JOULEBOOK_X", text)
    assert env.env_bool("JOULEBOOK_X", default=True) is value


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("", set()),
        ("Slurm, 10.0.0.7 ,[::1],fd00::7", {"slurm", "10.0.0.7", "::1", "fd00::7"}),
        ("n[001-003,7]-bmc,b", {"n001-bmc", "n002-bmc", "n003-bmc", "n7-bmc", "b"}),
        ("*.bmc.example.org,10.1.0.0/16,fd00:1::/32", {"*.bmc.example.org", "10.1.0.0/16", "fd00:1::/32"}),
    ],
)
def test_hosts_are_names_addresses_domains_networks_and_host_lists(
    text: str, hosts: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOULEBOOK_X", text)
    assert env.env_hosts("JOULEBOOK_X") == hosts


@pytest.mark.parametrize(
    "text",
    ["*", "*.", "*bmc", "n*.bmc", "b:80", "0.0.0.0/0", "10.1.2.3/16", "10.0.0.0/7", "::/0", "/etc", "n[1-", "n[1]/x"],
)
def test_what_is_no_host_or_allows_too_much_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOULEBOOK_X", f"good,{text}")
    with pytest.raises(ImproperlyConfigured, match="which is no host"):
        env.env_hosts("JOULEBOOK_X")


def test_a_secret_comes_from_its_file_or_its_variable_never_from_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("hush\n")
    monkeypatch.setenv("JOULEBOOK_X_FILE", str(tmp_path / "secret"))
    assert env.env_secret("JOULEBOOK_X") == "hush"
    monkeypatch.setenv("JOULEBOOK_X", "loud")
    with pytest.raises(ImproperlyConfigured, match="both set"):
        env.env_secret("JOULEBOOK_X")


@pytest.mark.parametrize(
    ("address", "host", "port", "person", "tls", "ssl"),
    [
        ("", "localhost", 25, ("", ""), False, False),
        ("smtp://mail.example.org", "mail.example.org", 25, ("", ""), False, False),
        ("smtp+tls://joule:p%40s%3As@mail.example.org", "mail.example.org", 587, ("joule", "p@s:s"), True, False),
        ("smtps://joule%40x:p@mail.example.org:4650/", "mail.example.org", 4650, ("joule@x", "p"), False, True),
    ],
)
def test_the_address_of_a_mail_server_is_read_with_its_password(
    address: str, host: str, port: int, person: tuple[str, str], tls: bool, ssl: bool,  # noqa: FBT001 - values
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    (tmp_path / "address").write_text(f"{address}\n")
    monkeypatch.setenv("JOULEBOOK_X_FILE", str(tmp_path / "address"))
    found = env.env_mail("JOULEBOOK_X")
    assert (found["EMAIL_HOST"], found["EMAIL_PORT"]) == (host, port)
    assert (found["EMAIL_HOST_USER"], found["EMAIL_HOST_PASSWORD"]) == person
    assert (found["EMAIL_USE_TLS"], found["EMAIL_USE_SSL"]) == (tls, ssl)


@pytest.mark.parametrize(
    "address",
    ["http://h/s3cret", "smtp://u:s3cret@", "smtp://h/s3cret", "smtp://u:s3cret@h:0", "smtp://u:s3cret@h:x", "s3cret"],
)
def test_what_is_no_mail_server_is_refused_without_its_password(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOULEBOOK_X", address)
    with pytest.raises(ImproperlyConfigured) as fault:
        env.env_mail("JOULEBOOK_X")
    assert "s3cret" not in str(fault.value)


@pytest.mark.parametrize(
    ("values", "ids"),
    [
        ({}, []),
        ({"DIGESTS": "weekly"}, ["joulebook.W005"]),
        ({"DIGESTS": "weekly", "DEFAULT_FROM_EMAIL": "a@example.org"}, []),
        ({"EMAIL_HOST": "mail.example.org", "EMAIL_HOST_PASSWORD": "s3cret"}, ["joulebook.W006"]),
        ({"EMAIL_HOST": "mail.example.org", "EMAIL_HOST_PASSWORD": "s3cret", "EMAIL_USE_TLS": True}, []),
        ({"EMAIL_HOST": "localhost", "EMAIL_HOST_PASSWORD": "s3cret"}, []),
    ],
)
def test_mail_settings_that_do_not_go_together_are_named(
    values: dict[str, object], ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in values.items():
        monkeypatch.setattr(settings, name, value)
    assert [warning.id for warning in checks.mails_can_be_sent()] == ids
    assert "s3cret" not in str(checks.mails_can_be_sent())


def test_first_starts_at_once_agree_on_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: env.key_from_file(tmp_path / "secret_key"), range(32)))
    assert len(keys) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]


def test_sqlite_waits_takes_its_lock_first_and_reaches_the_disk(tmp_path: Path) -> None:
    code = (
        "from django.db import connection as c; k = c.cursor();"
        "print([k.execute(f'PRAGMA {p}').fetchone()[0] for p in"
        " ('journal_mode', 'synchronous', 'busy_timeout', 'cache_size')],"
        "c.transaction_mode)"
    )
    answer = manage("shell", "--verbosity", "0", "--command", code, JOULEBOOK_VAR=str(tmp_path))
    assert answer.stdout.strip() == "['wal', 2, 20000, -16384] IMMEDIATE", answer.stderr


def test_a_postgres_address_is_read_with_its_password() -> None:
    config = database("postgresql://joule:p%40ss@db.example.org:5433/ledger")
    wanted = {"ENGINE": "django.db.backends.postgresql", "USER": "joule", "PASSWORD": "p@ss", "NAME": "ledger"}
    assert wanted.items() <= config.items()
    assert (config["HOST"], config["PORT"]) == ("db.example.org", 5433)


def test_postgres_takes_the_migrations(postgres_url: str, tmp_path: Path) -> None:
    answer = manage("migrate", "--verbosity", "0", JOULEBOOK_VAR=str(tmp_path), DATABASE_URL=postgres_url)
    assert answer.returncode == 0, answer.stderr
    assert not list(tmp_path.glob("*.sqlite3"))


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(settings, "JOULEBOOK_VAR", tmp_path / "file" / "var")
    (fault,) = checks.var_is_writable()
    assert fault.id == "joulebook.E001"
    assert str(tmp_path) in fault.msg


def test_a_public_demo_is_warned_about(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checks.demo_is_not_public() == []
    monkeypatch.setattr(settings, "JOULEBOOK_DEMO", True)
    assert [warning.id for warning in checks.demo_is_not_public()] == ["joulebook.W001"]


@pytest.mark.parametrize(
    ("variables", "ids"),
    [
        ({"TOKEN": "abc"}, []),
        ({"URL": "https://mirror.example.org/v3"}, ["joulebook.W002"]),
        ({"URL": "http://mirror.example.org/v3", "TOKEN": "abc"}, ["joulebook.W003"]),
        ({"URL": "http://localhost:9000/v3", "TOKEN": "abc"}, []),
        ({"TOKEN": "two words"}, ["joulebook.W004"]),
    ],
)
def test_settings_of_electricity_maps_that_do_not_go_together_are_warned_about(
    variables: dict[str, str], ids: list[str], tmp_path: Path
) -> None:
    names = {f"JOULEBOOK_ELECTRICITY_MAPS_{name}": value for name, value in variables.items()}
    answer = manage("check", JOULEBOOK_VAR=str(tmp_path), **names)
    assert answer.returncode == 0
    assert [warning for warning in ("W002", "W003", "W004") if warning in answer.stderr] == [id_[-4:] for id_ in ids]
    assert variables.get("TOKEN", "never") not in answer.stderr + answer.stdout


@pytest.mark.django_db
def test_every_answer_says_what_a_page_may_load(client: Client) -> None:
    answer = client.get("/admin/login/")
    assert answer.status_code == 200
    assert "default-src 'self'" in answer["Content-Security-Policy"]
    assert "unsafe" not in answer["Content-Security-Policy"]
    assert (answer["X-Frame-Options"], answer["X-Content-Type-Options"]) == ("DENY", "nosniff")
