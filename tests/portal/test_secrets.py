"""Nobody reads a byte of somebody else's job: every address, every kind of viewer, every export.

A job whose id, name, user, project and comments are unmistakable shares its nodes with other people's jobs. Each
address of the site is then asked for, as someone who is not logged in, a stranger, a member of the same project and
someone who may see operations; what comes back may not contain any of these words, wherever the address leads. A
new address of the site makes the first test fail until it is listed here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest
from django.contrib.auth.models import Permission, User
from django.http import HttpResponseBase
from django.test import Client, override_settings
from django.urls import URLPattern, URLResolver, get_resolver

from measurements.models import Batch, Cluster, DirtyJob, Job, Run
from measurements.services.statements import close_statement
from tests.portal import world
from tests.portal.world import CLUSTER, DAY, DAY_S, HOUR, PERIOD

ID, RAW_ARRAY, NAME, USER, PROJECT = "987654321", "876543210", "XQ-SECRET-NAME", "mallory77", "zebra-project"
COMMENTS = {"comment": "XQ-COMMENT", "admin_comment": "XQ-ADMIN", "wckey": "XQ-WCKEY", "qos": "XQ-QOS"}
SLUID = "s7SECRETZZZZZZ"
SECRETS = [ID, RAW_ARRAY, NAME, USER, SLUID, *COMMENTS.values()]  # and the project, to whom is not in it
PLANTED = [
    # Beside alice and bob on mixed1, an hour on a thin node of its own, an array, and one that failed.
    (ID, USER, PROJECT, "COMPLETED", 3 * HOUR, 4 * HOUR, "mixed1", NAME, "0", "", ""),
    (f"{RAW_ARRAY}_1", USER, PROJECT, "FAILED", 1 * HOUR, 2 * HOUR, "thin1", NAME, "0", "", ""),
    (f"{RAW_ARRAY}_2", USER, PROJECT, "OUT_OF_MEMORY", 6 * HOUR, 7 * HOUR, "thin2", NAME, "4", "", ""),
    ("400", "fred", PROJECT, "COMPLETED", 6 * HOUR, 7 * HOUR, "thin1", "of fred", "4", "", ""),
    ("401", "freda", PROJECT, "COMPLETED", 3 * HOUR, 4 * HOUR, "mixed1", "of freda", "0", "", ""),
]
REFUSED = [
    f"{ID},{USER},{PROJECT},COMPLETED,no time at all,{DAY_S},thin1,{DAY_S},{NAME},4,,",
    f"{ID},{USER},{PROJECT},{NAME},{DAY_S},{DAY_S},thin1,{DAY_S},{NAME},4,,",
]
WHO = ("anonymous", "stranger", "fellow", "operator", "fellow_operator")
OPERATORS = ("operator", "fellow_operator")

# Per route addresses of it; {batch} is a batch that refused lines of the secret job.
SEARCHES = [
    "", "?q=SECRET", "?q=XQ-", f"?after={(DAY_S + 9 * HOUR) * 1000}-999999", f"?after={(DAY_S + 3 * HOUR) * 1000}-99",
    "?state=failed", "?state=OUT_OF_MEMORY", "?quality=apportioned", "?type=mixed", "?type=thin&state=failed",
    "?partition=", "?cluster=alpha&running=on", f"?first={DAY}&last={DAY}", "?array=1",
    "?user=alice", "?project=physics",
    "?state=nonsense&quality=%00&array=x&first=never", "?q=%27%22%3Cb%3E", "?after=nonsense",
]  # fmt: skip
ADDRESSES: dict[str, list[str]] = {
    "": ["/", f"/?{PERIOD}", f"/?{PERIOD}&after={(DAY_S + 9 * HOUR) * 1000}-999999", "/?days=7", "/?after=x-1"],
    "energy/jobs/": [
        f"/energy/jobs/?{PERIOD}", f"/energy/jobs/?{PERIOD}&state=FAILED&node_type=thin", "/energy/jobs/?from=1&to=x",
    ],
    "energy.csv": [f"/energy.csv?{PERIOD}&group=project&format={kind}" for kind in ("csv", "json", "csv-de", "xlsx")],
    "energy/jobs.csv": [f"/energy/jobs.csv?{PERIOD}", f"/energy/jobs.csv?{PERIOD}&project=secret&format=json"],
    "calendar/": ["/calendar/", "/calendar/?year=2025", "/calendar/?year=x"],
    "report/": [f"/report/?{PERIOD}", "/report/?job=alpha/400", "/report/?job=beta/400", "/report/?job=alpha"],
    "reports/<sha256>/": [f"/reports/{64 * '0'}/"],
    "reports/<sha256>/report.json": [f"/reports/{64 * '0'}/report.json"],
    "reports/<sha256>/withdraw/": [f"/reports/{64 * '0'}/withdraw/"],
    "waste/": ["/waste/", f"/waste/?{PERIOD}", "/waste/?days=365"],
    "waste/lines/": ["/waste/lines/", f"/waste/lines/?{PERIOD}"],
    "projects/": ["/projects/", "/projects/?page=2"],
    **{
        f"projects/<name>/{part}": [f"/projects/{name}/{part}?{PERIOD}{more}" for name in ("physics", "none")
                                    for more in ("", "&group=state&format=json")]
        for part in ("", "energy.csv", "budget/", "members/")
    },
    "jobs/": [f"/jobs/{query}" for query in SEARCHES],
    "jobs.csv": [
        *(f"/jobs.csv{query}" for query in SEARCHES),
        *(f"/jobs.csv?format={form}" for form in ("csv-de", "json", "xlsx", "exe")),
    ],
    "jobs/compare/": ["/jobs/compare/", "/jobs/compare/?job=alpha/400&job=alpha/123", "/jobs/compare/?job=alpha"],
    "jobs/<cluster>/<job>/": [
        *(f"/jobs/alpha/{job}/" for job in ("123", "36_1", "36_2", "300", "400", "401", "nothing", "36_*")),
        *(f"/jobs/alpha/{job}/?format=csv" for job in ("123", "36_1", "400", "401")),
        "/jobs/alpha/400/?start=1", "/jobs/beta/400/",
    ],
    "jobs/tags/": [
        "/jobs/tags/", *(f"/jobs/tags/?{query}&t-workload=x" for query in ("q=SECRET", f"first={DAY}", "user=fred")),
        "/jobs/tags/?project=physics&t-do_workload=back", "/jobs/tags/?q=400&t-work=x",
    ],
    "jobs/<cluster>/<job>/tags/": [
        *(f"/jobs/alpha/{job}/tags/" for job in ("123", "36_1", "300", "400", "401", "nothing")),
        "/jobs/alpha/400/tags/?start=1", "/jobs/beta/400/tags/",
    ],
    "jobs/<cluster>/<job>/curve.json": [
        *(f"/jobs/alpha/{job}/curve.json" for job in ("123", "36_1", "300", "400", "401", "nothing")),
        f"/jobs/alpha/123/curve.json?from={(DAY_S + HOUR) * 1000}&to={(DAY_S + HOUR + 600) * 1000}",
        "/jobs/alpha/36_1/curve.json?from=x&to=1", "/jobs/alpha/400/curve.json?start=1",
    ],
    "carbon/": ["/carbon/", f"/carbon/?{PERIOD}", f"/carbon/?{PERIOD}&method=market", "/carbon/?cluster=beta"],
    "clusters/": ["/clusters/"],
    "clusters/<name>/": ["/clusters/alpha/", f"/clusters/alpha/?{PERIOD}", "/clusters/beta/"],
    "node-types/": ["/node-types/", f"/node-types/?{PERIOD}", f"/node-types/?{PERIOD}&cluster=alpha"],
    "node-types/nodes/": ["/node-types/nodes/", f"/node-types/nodes/?{PERIOD}"],
    "clusters/<name>/statement/<year>/": [
        f"/clusters/{name}/statement/2025/{query}"
        for name in ("alpha", "beta")
        for query in ("", "?draft=1", "?edition=1", "?edition=x")
    ],
    "clusters/<name>/statement/<year>/statement.csv": [
        f"/clusters/alpha/statement/2025/statement.csv{query}" for query in ("", "?draft=1", "?edition=1")
    ],
    "clusters/<name>/statement/<year>/close/": ["/clusters/alpha/statement/2025/close/"],
    "clusters/<cluster>/nodes/<node>/": [
        f"/clusters/alpha/nodes/{node}/?span=week&end=2025-03-12T00:00Z{form}"
        for node in ("thin1", "thin2", "mixed1", "dark1", "none")
        for form in ("", "&format=csv")
    ],
    "reviews/": ["/reviews/"],
    "leaderboards/": ["/leaderboards/"],
    "leaderboards/feed.xml": ["/leaderboards/feed.xml"],
    "leaderboards/new/": ["/leaderboards/new/"],
    "leaderboards/<slug>/": ["/leaderboards/nothing/"],
    **{
        f"leaderboards/<slug>/{part}/": [f"/leaderboards/nothing/{part}/"] for part in ("manage", "change", "name")
    },
    **{
        f"leaderboards/<slug>/<edition>/{part}": [f"/leaderboards/nothing/{number}/{part}" for number in ("1", "1.1")]
        for part in ("", "edition.json", "edition.csv", "review/", "object/")
    },
    "leaderboards/<slug>/<edition>/objections/<objection>/": ["/leaderboards/nothing/1/objections/1/"],
    "leaderboards/<slug>/<edition>/do/<action>/": ["/leaderboards/nothing/1/do/approve/"],
    "workloads/": ["/workloads/"],
    "workloads.csv": [f"/workloads.csv?name=wide&format={kind}" for kind in ("csv", "json", "xlsx")],
    "workloads/<name>/": [
        "/workloads/wide/", "/workloads/wide/?view=together&period=this-year", f"/workloads/wide/?{PERIOD}",
        "/workloads/nothing/", "/workloads/a/b@c+d:e/?size=x&target=y&unit=z&period=never",
    ],
    "methodology/": ["/methodology/"],
    "privacy/": ["/privacy/"],
    "privacy/my-data.zip": ["/privacy/my-data.zip"],
    "mails/": ["/mails/"],
    "mails/preview/<kind>/": [
        f"/mails/preview/{kind}/{form}" for kind in ("weekly", "monthly", "x") for form in ("", "?format=text")
    ],
    "mails/stop/<token>/": ["/mails/stop/nothing/"],
    "operations/": ["/operations/"],
    "operations/batches/<batch>/": ["/operations/batches/{batch}/", "/operations/batches/0/"],
    "operations/batches/<batch>/refused-<reason>.txt": [
        f"/operations/batches/{{batch}}/refused-{reason}.txt" for reason in range(4)
    ],
    "operations/imports/": ["/operations/imports/", "/operations/imports/?before=1"],
    "operations/imports/new/": ["/operations/imports/new/"],
    "operations/imports/<intake>/": [f"/operations/imports/{intake}/" for intake in range(3)],
    "operations/imports/<intake>/do/": ["/operations/imports/1/do/"],
    "operations/quarantine/": [
        "/operations/quarantine/",
        f"/operations/quarantine/?{PERIOD}",
        "/operations/quarantine/?reason=unknown+state",
        "/operations/quarantine/?content=jobs&node=thin1&days=90",
        "/operations/quarantine/?state=in&batch={batch}",
    ],
    "operations/quarantine/lines.csv": [
        "/operations/quarantine/lines.csv",
        "/operations/quarantine/lines.csv?content=jobs&days=90",
        "/operations/quarantine/lines.csv?batch={batch}",
    ],
    "operations/quarantine/replay/": ["/operations/quarantine/replay/", "/operations/quarantine/replay/?batch={batch}"],
    "operations/quarantine/source/": ["/operations/quarantine/source/", "/operations/quarantine/source/?days=90"],
    "operations/sources/": ["/operations/sources/", "/operations/sources/?cluster=beta"],
    "operations/doubts/": ["/operations/doubts/", f"/operations/doubts/?{PERIOD}"],
    "operations/doubts/change/": ["/operations/doubts/change/"],
    "operations/coverage/": ["/operations/coverage/", f"/operations/coverage/?{PERIOD}"],
    "operations/coverage.csv": ["/operations/coverage.csv", f"/operations/coverage.csv?{PERIOD}"],
    "operations/reconciliation/": ["/operations/reconciliation/", f"/operations/reconciliation/?{PERIOD}"],
    "operations/reconciliation.csv": [f"/operations/reconciliation.csv?{PERIOD}"],
    "operations/workloads/": ["/operations/workloads/"],
    "operations/workloads/new/": ["/operations/workloads/new/"],
    "operations/workloads/<rule>/": ["/operations/workloads/0/"],
    "operations/workloads/<rule>/change/": ["/operations/workloads/0/change/"],
    "operations/tokens/": ["/operations/tokens/"],
    "operations/tokens/new/": ["/operations/tokens/new/"],
    "operations/tokens/<token>/revoke/": ["/operations/tokens/0/revoke/"],
    "operations/factors/": ["/operations/factors/", "/operations/factors/?cluster=beta"],
    "operations/factors/declare/<kind>/": ["/operations/factors/declare/pue/", "/operations/factors/declare/none/"],
    "operations/factors/series/": ["/operations/factors/series/", "/operations/factors/series/?zone=DE"],
    "operations/factors/series/<slug>/": ["/operations/factors/series/nothing/"],
    "login/": ["/login/", "/login/?next=/jobs/alpha/400/"],
    "logout/": ["/logout/"],
    "language/": ["/language/setlang/"],
    "livez": ["/livez"],
    "favicon.ico": ["/favicon.ico"],
    "readyz": ["/readyz"],
    "api/v2/write": ["/api/v2/write"],
    "write": ["/write"],
    "query": ["/query"],
    "api/write": ["/api/write"],
    "api/write/": ["/api/write/"],
    "ping": ["/ping"],
    "api/v1/": [
        "/api/v1/openapi.json", "/api/v1/clusters", "/api/v1/clusters/alpha?since=2025-03-10&until=2025-03-11",
        "/api/v1/clusters/alpha/carbon-intensity?since=2025-03-10&until=2025-03-11",
        "/api/v1/node-types?since=2025-03-10&until=2025-03-11", "/api/v1/node-types?cluster=beta",
        "/api/v1/users/me?since=2025-03-10&until=2025-03-11", "/api/v1/projects/physics?since=2025-03-10",
        f"/api/v1/projects/{PROJECT}?since=2025-03-10&until=2025-03-11", "/api/v1/users/me?since=never",
        f"/api/v1/projects/{PROJECT}/months?since=2025-03-01&until=2025-04-01",
        "/api/v1/boards", "/api/v1/boards/nothing", "/api/v1/boards/nothing/1",
        *(f"/api/v1/jobs/alpha/{job}" for job in ("123", "36_1", "36_*", "400", "401", "nothing")),
        *(f"/api/v1/jobs/alpha/{job}/tags" for job in ("123", "36_1", "300", "400", "401", "nothing")),
        *(f"/api/v1/jobs/alpha/{job}/elsewhere" for job in ("123", "36_1", "300", "400", "401", "nothing")),
        "/api/v1/workloads", "/api/v1/workloads/wide", "/api/v1/workloads/nothing?first=x",
    ],
    "admin/": ["/admin/", "/admin/measurements/job/", "/admin/measurements/batch/"],
    "demo/stories/<slug>/": ["/demo/stories/runtime/", "/demo/stories/nothing/"],
    "demo/look-as/": ["/demo/look-as/"],
}  # fmt: skip
# Addresses that name the secret job: for whom it is not there they answer as for a job that is nowhere.
NAMING = [
    "/jobs/alpha/{}/", "/jobs/alpha/{}/?format=csv", "/jobs/alpha/{}/curve.json",
    "/jobs/alpha/{}/?start=1", "/jobs/compare/?job=alpha/{}",
    "/jobs/compare/?job=alpha/400&job=alpha/{}", "/jobs/?q={}", "/jobs.csv?q={}", "/api/v1/jobs/alpha/{}",
    "/jobs/tags/?q={}&t-phase=other", "/jobs/alpha/{}/tags/", "/api/v1/jobs/alpha/{}/tags",
    "/api/v1/jobs/alpha/{}/elsewhere",
]  # fmt: skip
NAMED = [(ID, "555555555"), (f"{RAW_ARRAY}_1", "555555555_1"), (SLUID, "s5555555555555"), (f"{RAW_ARRAY}_*", "5555_*")]
ASKED = [
    ("/jobs/?user={}", USER, "nobody55"), ("/jobs.csv?user={}", USER, "nobody55"),
    ("/projects/{}/", PROJECT, "nothing-here"), ("/projects/{}/energy.csv", PROJECT, "nothing-here"),
    ("/projects/{}/budget/", PROJECT, "nothing-here"), ("/projects/{}/members/", PROJECT, "nothing-here"),
    ("/api/v1/projects/{}/months", PROJECT, "nothing-here"),
    ("/jobs/?array={}", RAW_ARRAY, "555555555"), ("/jobs.csv?array={}", RAW_ARRAY, "555555555"),
    ("/jobs/?q={}", NAME, "XQ-NOTHING-HERE"), ("/jobs.csv?q={}", NAME, "XQ-NOTHING-HERE"),
]  # fmt: skip

Clients = dict[str, Client]


@pytest.fixture
def clients(db: None, own_var: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clients:
    """The cluster with the secret job in it, and who looks at it."""
    monkeypatch.setattr(world, "JOBS", [*world.JOBS, *PLANTED])
    whole = world.jobs_csv()
    monkeypatch.setattr(world, "jobs_csv", lambda: whole + "\n".join(REFUSED) + "\n")
    world.build(tmp_path)
    assert Job.objects.filter(username=USER).update(**COMMENTS) == 3
    assert Run.objects.filter(job__job_id=ID).update(sluid=SLUID) == 1
    DirtyJob.objects.create(job=Job.objects.get(job_id=ID), version=1)
    close_statement(Cluster.objects.get(), 2025, None, datetime(2026, 1, 10, tzinfo=UTC))
    users = {name: User.objects.create_user(name) for name in ("stranger", "operator")}
    users["fellow"] = User.objects.create_user("fred")
    users["fellow_operator"] = User.objects.create_user("freda")
    for name in OPERATORS:
        users[name].user_permissions.add(Permission.objects.get(codename="view_operations"))
    found = {"anonymous": Client()}
    for name, user in users.items():
        found[name] = Client()
        found[name].force_login(user)
    return found


def routes(patterns: Iterable[URLPattern | URLResolver]) -> Iterator[str]:
    """Those of this site; what is included from elsewhere is one."""
    for pattern in patterns:
        yield re.sub(r"<\w+:", "<", str(pattern.pattern))


def body(response: HttpResponseBase) -> str:
    """All bytes that are sent, headers included."""
    sent = response.getvalue()
    headers = "\n".join(f"{name}: {value}" for name, value in response.headers.items())
    return f"{headers}\n{unpacked(sent)}"


def unpacked(sent: bytes) -> str:
    """As it stands; of an archive, such as a workbook, all that is in it."""
    if not sent.startswith(b"PK"):
        return sent.decode()
    with ZipFile(BytesIO(sent)) as files:
        return "\n".join(files.read(name).decode() for name in files.namelist())


def addresses() -> list[str]:
    known = set(routes(get_resolver().url_patterns))
    return [address for route, some in ADDRESSES.items() if route in known for address in some]


def forbidden(who: str) -> list[str]:
    return SECRETS if who.startswith("fellow") else [*SECRETS, PROJECT]


def test_every_address_of_the_site_is_asked_for() -> None:
    assert set(routes(get_resolver().url_patterns)) <= set(ADDRESSES)


@override_settings(JOULEBOOK_DEMO=False)
@pytest.mark.parametrize("who", WHO)
def test_no_byte_of_a_secret_job_is_found(clients: Clients, who: str) -> None:
    batch = Batch.objects.filter(content=Batch.Content.JOBS).latest("pk")
    for address in addresses():
        response = clients[who].get(address.format(batch=batch.pk))
        sent = body(response)
        assert response.status_code in (200, 204, 302, 400, 401, 404, 405, 422, 503), address
        for secret in forbidden(who):
            assert secret not in sent, f"{secret} at {address} for {who}"


@pytest.mark.parametrize("who", WHO)
def test_who_names_the_secret_job_learns_nothing(clients: Clients, who: str) -> None:
    """The answer is that of a job that is nowhere, once what was asked for is taken out of both."""
    asked = [(naming, *pair) for naming in NAMING for pair in NAMED] + ASKED
    for naming, secret, nowhere in asked:
        there, not_there = (clients[who].get(naming.format(name)) for name in (secret, nowhere))
        assert there.status_code == not_there.status_code, naming
        sent = [bare(body(response), name) for response, name in ((there, secret), (not_there, nowhere))]
        assert sent[0] == sent[1], f"{naming} for {who}"
        for word in forbidden(who):
            assert word not in sent[0], f"{word} at {naming} for {who}"


def bare(sent: str, asked: str) -> str:
    """Without what was asked for, tokens, lengths and times."""
    for written in (asked, asked.replace("*", "%2A"), asked.replace("_*", "_%2A")):
        sent = sent.replace(written, "…")
    return re.sub(r'(value="[A-Za-z0-9]{64}"|Content-Length: \d+|csrftoken=\w+)', "", sent)


@override_settings(JOULEBOOK_DEMO=False)
@pytest.mark.parametrize("who", ["anonymous", "stranger", "operator"])
def test_what_a_stranger_asks_for_does_not_exist(clients: Clients, who: str) -> None:
    status = {"anonymous": 302}.get(who, 404)
    for address in ("/jobs/alpha/400/", "/jobs/alpha/123/", "/jobs/alpha/123/?format=csv", f"/jobs/alpha/{ID}/"):
        assert clients[who].get(address).status_code == status, address
    assert clients[who].get("/jobs/compare/?job=alpha/123&job=alpha/400").status_code == status
    for address in ("/operations/", f"/clusters/{CLUSTER}/nodes/thin1/"):
        wanted = 200 if who == "operator" else status
        assert clients[who].get(address).status_code == wanted, address


def test_exports_hold_one_s_own_jobs_only(clients: Clients) -> None:
    assert body(clients["stranger"].get("/jobs.csv")).count("\r\n") == 1  # the header
    own = body(clients["fellow"].get("/jobs.csv"))
    assert own.count("\r\n") == 2
    assert ",400," in own


def test_the_words_are_there_for_whoever_may_see_all(clients: Clients) -> None:
    """Else the tests above would find nothing because there is nothing."""
    User.objects.create_superuser("root")
    client = Client()
    client.force_login(User.objects.get(username="root"))
    page = body(client.get(f"/jobs/alpha/{ID}/"))
    assert NAME in page
    assert USER in page
    for address in (f"/jobs/?q={NAME}", f"/jobs.csv?user={USER}"):
        assert f"{ID}" in body(client.get(address))
    assert f">{ID}</a>" in body(client.get("/jobs/alpha/36_1/"))  # beside the job whose node it shared
