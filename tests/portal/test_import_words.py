"""What the import console says of a file: each format by the name an admin knows, and a cure that the page has."""

from __future__ import annotations

import ast
import gzip
import io
import re
import tarfile
import zipfile
from pathlib import Path

import pytest
from django.test import Client
from django.utils import translation

from measurements.models import Cluster, Intake
from measurements.parsers import detect_jobs, detect_nodes
from measurements.parsers.detect import POWER_PARSERS
from measurements.services.intake import take_next
from measurements.services.trying import accept
from portal.cures import FIELDS, lacking, on_page
from portal.import_forms import OptionsForm
from portal.wording_formats import TITLES
from tests.conftest import People
from tests.house import ROOT
from tests.imports_world import POWER, described, now, tried, uploaded
from tests.portal.test_imports import words

pytestmark = pytest.mark.django_db
LONG = "timestamp,node,watts\n2026-03-01T12:00:00Z,n1,100\n2026-03-01T12:01:00Z,n1,110\n"
WIDE = "timestamp," + ",".join(f"n{n}" for n in range(24)) + "\n" + "1772366400" + ",100" * 24 + "\n"
SDR = "Timestamp: 2026-03-01 12:00:00 UTC\nSys Power | 270 Watts | ok\n"
DCMI = "    Instantaneous power reading:                  2578 Watts\n    Power reading state is:    activated\n"
MLLOG = ':::MLLOG {"time_ms": 1772366400000, "event_type": "POINT_IN_TIME", "key": "power_reading", "value": 100}\n'
PROMETHEUS = '{"status":"success","data":{"resultType":"matrix","result":[]}}'
EXPORTER = '# TYPE node_rapl_package_joules_total counter\nnode_rapl_package_joules_total{index="0"} 5 1772366400000\n'
INFLUX = "ipmi_sensor,host=n1,name=sys_power,unit=watts value=270 1772366400000000000\n"
SACCT = "JobID|User|Account|State|Start|End|NodeList\n1|a|b|COMPLETED|2026-03-01T12:00:00|2026-03-01T12:01:00|n1\n"
PBS = "03/01/2026 12:00:00;E;1.srv;user=a group=b start=1772366400 end=1772366460 exec_host=n1/0\n"
EVENTS = "node,start,end,state\nn1,2026-03-01T12:00:00Z,2026-03-01T13:00:00Z,OFF\n"
SCONTROL = "NodeName=n1 Arch=x86_64 CoresPerSocket=4 CPUTot=8 RealMemory=1000\n"


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return described(tmp_path)


@pytest.fixture
def olga(client: Client, people: People, cluster: Cluster) -> Client:
    client.force_login(people.olga)
    return client


def page_of(client: Client, row: Intake) -> str:
    return words(client.get(f"/operations/imports/{row.pk}/"))


# --- What it was recognised as --------------------------------------------------------------------

RECOGNISED = [
    (LONG, "power: CSV table: one reading a line; 1 node, power in watts."),
    (WIDE, "power: wide CSV table: one column a node; 24 nodes, power in watts."),
    ("timestamp;rack1 [kWh]\n1772366400;5,5\n1772366460;6,5\n",
     "wide CSV table: one column a node; 1 node, energy that only rises, in kWh, fields separated by semicolons, "
     "decimal commas."),
    ("timestamp,node,node_w,gpu0_w\n1772366400,n1,500,90\n",
     "wide CSV table: one column a channel; 1 node, 2 channels, power in watts."),
    ("timestamp,node,joules\n1772366400,n1,500\n", "one reading a line; 1 node, energy that only rises, in joules."),
    (LONG.encode("utf-16"), "one reading a line; 1 node, power in watts, text in UTF-16."),
    (gzip.compress(LONG.encode()), "1 node, power in watts, packed with gzip."),
    ("timestamp, index, power.draw [W]\n2026/03/01 12:00:00.000, 0, 61.10 W\n", "power: CSV of nvidia-smi."),
    ("<nvidia_smi_log></nvidia_smi_log>", "power: XML of nvidia-smi."),
    (SDR, "power: sensors as ipmitool and FreeIPMI print them."),
    (DCMI, "power: DCMI power readings (ipmitool, FreeIPMI, ipmiutil)."),
    (MLLOG, "power: power log of MLPerf Training; 1 node, power in watts."),
    ('{"@odata.type": "#Power.v1_5_0.Power", "PowerControl": [{"PowerConsumedWatts": 5}]}', "Redfish resource (JSON)"),
    (EXPORTER, "power: metrics of an exporter (Prometheus text, OpenMetrics)."),
    (PROMETHEUS, "power: answer of Prometheus (JSON)."),
    (INFLUX, "power: line protocol (Telegraf, cc-metric-collector); 1 node, power in watts."),
    ("job_id,user,account,state,start,end,nodes\n", "jobs: plain CSV of jobs"),
    (SACCT, "jobs: output of sacct with its header."),
    ('{"jobs": []}', "jobs: Slurm's JSON (sacct, scontrol, slurmrestd)"),
    (PBS, "jobs: accounting log of PBS or TORQUE; 1 node."),
    ("node,node_type,cpus\nn7,a,8\n", "nodes: CSV list of nodes."),
    (SCONTROL, "nodes: output of scontrol show node."),
    (EVENTS, "states of nodes as sacctmgr prints them, or as CSV; 1 node."),
]  # fmt: skip


@pytest.mark.parametrize(("content", "said"), RECOGNISED, ids=[said[:40] for _, said in RECOGNISED])
def test_a_format_is_named_as_an_admin_knows_it(
    olga: Client, cluster: Cluster, content: str | bytes, said: str
) -> None:
    row = tried(uploaded(cluster, content))
    assert said in page_of(olga, row).replace("&#x27;", "'")


def test_every_format_that_is_read_has_a_name(db: None) -> None:
    assert set(TITLES["power"]) == set(POWER_PARSERS)
    assert set(TITLES["jobs"]) == set(detect_jobs.JOB_PARSERS)
    assert set(TITLES["nodes"]) == set(detect_nodes.NODE_PARSERS)


REAL = [
    ("ipmi/fasrc_snapshot/2025-05-29.tar.gz", {}, "1,691 nodes, 9 channels, power in watts, packed with gzip, a tar"),
    ("facility_power/tud_barnard/tud-barnard-energy.csv", {}, "Readings of node never fall"),
    ("gpu/nvidia_smi_3090/gpudata.csv", {"node": "n1"}, "CSV of nvidia-smi"),
    ("influx_line/telegraf_ipmi_sensor.lp", {}, "2 channels, power in watts"),
    ("job_archive/cluster_alex.json", {}, "nodes: ClusterCockpit cluster.json"),
    ("job_archive/fritz_398764/data.json", {}, "A ClusterCockpit job is two files"),
    ("batch_accounting/swf_hpc2n/hpc2n.swf", {}, "trace in Standard Workload Format"),
    ("batch_accounting/lsf_xdmod/input/accounting-logs.log", {}, "accounting file of LSF (lsb.acct); 12 nodes"),
    ("redfish/telegraf_dell/dell_power.json", {}, "can be said below: Taken at"),
    ("node_energy_geopm/aurora_cap1800/535.weather_t_1_12_trace.csv-x1921c0s2b0n0", {},
     "can be said below: Time zone"),
    ("facility_power/megware_alex/megware-alex.csv", {}, "can be said below: Columns renamed"),
    ("mlperf_inference/v3.0_NVIDIA_Orin_resnet50_singlestream/spl.txt", {}, "can be said below: Node , Time zone"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "options", "said"), REAL, ids=[path for path, _, _ in REAL])
def test_real_files_are_named_or_say_what_they_lack(
    olga: Client, cluster: Cluster, shared_data: Path, path: str, options: dict[str, str], said: str
) -> None:
    file = shared_data / path
    assert said in page_of(olga, tried(uploaded(cluster, file.read_bytes(), file.name, **options)))


# --- Awkward files ----------------------------------------------------------------------------------


def zipped(*names: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in names:
            archive.writestr(name, LONG)
    return packed.getvalue()


def tarred(*names: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(LONG)
            archive.addfile(member, io.BytesIO(LONG.encode()))
    return packed.getvalue()


AWKWARD = [
    (zipped("a.csv"), {}, "It is an archive that is not opened here: unpack it"),
    (zipped("[Content_Types].xml", "xl/workbook.xml"), {}, "It is an Excel workbook: save the sheet as CSV"),
    (tarred("a.csv", "b.csv"), {}, "give all its files together"),
    (b"%PDF-1.7\n%\xe2\xe3", {}, "export its table as CSV"),
    (b"", {}, "The file is empty"),
    (b"\x00\x01\x02" * 99, {}, "It is no text file"),
    ("\ufefftimestamp;node;watts\r\n2026-03-01T12:00:00Z;n1;100,5\r\n".encode(), {}, "Would be stored 1"),
    (LONG.replace("Z", ""), {}, "Choose the zone of the file's clock at “Time zone” below."),
    ("timestamp,node,watts\n2025-10-26 02:10:00,n1,1\n", {"time_zone": "Europe/Berlin"}, "log in UTC"),
    ("timestamp,node,watts\n2025-03-30 02:10:00,n1,1\n", {"time_zone": "Europe/Berlin"}, "is “Time zone” below right?"),
    ("timestamp;node;watts\n01.03.2026 12:00;n1;100\n", {}, "in a spreadsheet give the column the format"),
    ("timestamp,node,watts\n1772366400000,n1,1\n", {}, "often epoch milliseconds"),
    ("Datum,Leistung\n1,2\n", {}, "whose columns are called otherwise"),
    ("timestamp,n1\n" + "".join(f"{1772366400 + 60 * n},{1000 * n + 1}\n" for n in range(50)), {},
     "Readings of node never fall, as those of a counter of energy"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "options", "said"), AWKWARD, ids=[said[:40] for _, _, said in AWKWARD])
def test_an_awkward_file_is_read_or_has_a_sentence_with_a_cure(
    olga: Client, cluster: Cluster, content: str | bytes, options: dict[str, str], said: str
) -> None:
    shown = page_of(olga, tried(uploaded(cluster, content, **options))).replace("&#x27;", "'")
    assert said in shown
    assert not re.search(r"(?<!sacct) --[a-z]", shown), "a command's option is no field of a page"


def test_jobs_that_were_given_as_power_are_said_to_look_like_jobs(olga: Client, cluster: Cluster) -> None:
    row = tried(uploaded(cluster, "job_id,user,account,state,start,end,nodes\n", holds="power"))
    assert "It was given as power, and looks like jobs" in page_of(olga, row)


def test_a_power_log_for_a_cluster_without_nodes_asks_for_its_nodes_first(olga: Client) -> None:
    row = tried(uploaded(Cluster.objects.create(name="new"), POWER))
    assert "No node of new is known yet: give its list of nodes first" in page_of(olga, row)


def test_the_same_file_given_again_names_the_batch_that_it_made(olga: Client, cluster: Cluster) -> None:
    first = tried(uploaded(cluster, POWER))
    assert "taken already" not in page_of(olga, first)
    assert accept(first.pk, first.preview["version"], now())
    assert take_next(now)
    first.refresh_from_db()
    shown = page_of(olga, tried(uploaded(cluster, POWER)))
    assert f"The same bytes were taken already: Batch {first.batch_id}" in shown
    assert "all that can be used of it is known already" in shown


# --- What the page asks for ---------------------------------------------------------------------------


def test_the_fields_that_a_file_lacks_stand_first_and_are_linked(olga: Client, cluster: Cluster) -> None:
    row = tried(uploaded(cluster, "timestamp, index, power.draw [W]\n2026/03/01 12:00:00.000, 0, 61.10 W\n"))
    shown = olga.get(f"/operations/imports/{row.pk}/").content.decode()
    assert re.findall(r'data-option="(\w+)"', shown)[:2] == ["node", "time_zone"]
    assert '<a href="#id_node">Node</a>, <a href="#id_time_zone">Time zone</a>' in shown


def sentences() -> list[str]:
    """All that parsers and the services of files may say."""
    files = [*(ROOT / "measurements/parsers").glob("*.py"), *(ROOT / "measurements/services").glob("ingest_*.py")]
    found = []
    for file in files:
        if "intensity" in file.name:  # those have a page of their own
            continue
        tree = ast.parse(file.read_text())
        spoken = [node for node in ast.walk(tree) if not isinstance(node, ast.Expr)]  # no docstrings
        texts = [child for node in spoken for child in ast.iter_child_nodes(node) if isinstance(child, ast.Constant)]
        found += [text.value for text in texts if isinstance(text.value, str) and "--" in text.value]
    return found


def test_no_sentence_of_a_parser_shows_an_option_of_the_commands_on_a_page(db: None) -> None:
    own = {f"--{action}" for action in OptionsForm.base_fields} | {f"--{name}" for name in FIELDS}
    told = sentences()
    assert len(told) > 20, "nothing is looked at"
    others = ("sacct", "sacctmgr", "nvidia-smi", "query it", "scontrol", "squeue", "columns of sacct")
    for text in told:
        left = set(re.findall(r"--[a-z][a-z-]*", on_page(text)))
        if not any(word in text for word in others):
            assert not left & own, (text, on_page(text))


def test_options_of_other_programs_stay_as_they_are() -> None:
    for text in ("ask for sacct --parsable2, with its header", "as given to sacct --format", "load it with --nodes"):
        assert on_page(text) == text
    assert on_page("name it with --node") == "name it at “Node”"
    assert on_page("--node stands in only where that is empty") == "“Node” stands in only where that is empty"
    assert lacking("name it with --node; or with --at", ["no GPU", "zero watts"]) == ["node", "at", "channel"]


def test_a_german_page_names_its_fields_in_german() -> None:
    with translation.override("de"):
        assert on_page("name it with --node") == "name it at “Knoten”"


def test_a_german_preview_names_states_and_reasons_in_german_and_the_english_reason_beside(
    olga: Client, cluster: Cluster
) -> None:
    row = tried(uploaded(cluster, "timestamp,node,watts\n2026-03-01T12:00:00Z,n1,0\nxx,n1,5\n"))
    assert "awaits a decision" in words(olga.get("/operations/imports/"))
    shown = olga.get(f"/operations/imports/{row.pk}/", headers={"accept-language": "de"})
    for said in (
        "wartet auf Entscheidung",
        "null Watt Zeile 2 zero watts",
        "Zeit nicht lesbar Zeile 3 unreadable time",
    ):
        assert said in words(shown)
    assert "zero watts" in page_of(olga, row)
    assert '<code lang="en">' not in olga.get(f"/operations/imports/{row.pk}/").content.decode()
