"""Two machines' own meters, and one machine's energy counter, against each other on the operators' page."""

from __future__ import annotations

import csv
import json
import re
from datetime import datetime
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from tests.pipeline.rich_input import write
from tests.pipeline.site import Farm, Site

HEADER = "node,node_type,level,parent"
ALEX = [
    *("total,meter,facility,", "nodes,meter,rack,total", "switches,meter,infrastructure,total"),
]
BARNARD = ["hpc,meter,facility,", "racks,meter,rack,hpc"]
COLUMNS = {
    "nodes": "Node Power (W)",
    "switches": "IB Switch Power AC estimated (W)",
    "total": "Total Power (W)",
}
NBSP = "\u00a0"


def page(site: Site, url: str) -> str:
    """A page as an operator gets it."""
    source = f"""
from django.contrib.auth.models import User
from django.test import Client
user = User.objects.filter(username="olga").first() or User.objects.create_superuser("olga")
client = Client()
client.force_login(user)
answer = client.get({url!r}, headers={{"host": "localhost"}})
assert answer.status_code == 200, answer.status_code
print(b"".join(answer.streaming_content).decode() if answer.streaming else answer.content.decode())
"""
    return site.evaluate(source)


def rows(site: Site, cluster: str, day: str) -> dict[str, dict[str, float]]:
    """The meters' CSV: by meter, the figures that are numbers."""
    query = f"cluster={cluster}&first={day}&last={day}&table=meters"
    found = csv.DictReader(page(site, f"/operations/reconciliation.csv?{query}").strip().splitlines())
    return {
        row["meter"]: {
            name: float(value) for name, value in row.items() if name.endswith(("_j", "_s", "_share")) and value
        }
        for row in found
        if row["day_utc"] == day
    }


def sentence(site: Site, cluster: str, day: str, meter: str) -> str:
    """A meter's row of the page as text."""
    whole = page(site, f"/operations/reconciliation/?cluster={cluster}&first={day}&last={day}")
    table = whole.split('class="stack numbers meters"')[1].split("</table>")[0]
    (row,) = (row for row in table.split("<tr ")[1:] if f">{meter}<" in row or f">{meter} <" in row)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", row)).replace(NBSP, " ").split())


@pytest.fixture(scope="module")
def alex(any_farm: Farm, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Alex: a table with a column each for nodes, switches and their total, in local time."""
    site = any_farm.new()
    site.do("load_nodes", write(tmp_path_factory.mktemp("alex") / "nodes.csv", HEADER, ALEX), "--cluster", "alex")
    renamed = [word for node, column in COLUMNS.items() for word in ("--rename", f"{column}={node}")]
    log = shared_data / "facility_power" / "megware_alex" / "megware-alex.csv"
    taken = site.json("ingest_power", log, "--cluster", "alex", "--time-zone", "Europe/Berlin", *renamed)
    assert taken["refused"] == []
    site.do("attribute")
    return site


def trapezoid(log: Path, column: str) -> float:
    """The energy of a column, read without the code under test; of two readings of a second the larger counts."""
    found: dict[float, float] = {}
    with log.open() as file:
        for row in csv.DictReader(file):
            second = datetime.fromisoformat(row["Time"]).timestamp()
            found[second] = max(float(row[column]), found.get(second, 0.0))
    t, watts = np.array(sorted(found)), np.array([found[second] for second in sorted(found)])
    held = (watts[0] + watts[-1]) / 2  # half a second at both ends
    return float(((watts[1:] + watts[:-1]) / 2 * np.diff(t)).sum() + held)


def test_alex_adds_up_row_by_row(alex: Site, shared_data: Path) -> None:
    log = shared_data / "facility_power" / "megware_alex" / "megware-alex.csv"
    expected = json.loads(log.with_name("expected.json").read_text())["recomputed"]
    figures = rows(alex, "alex", "2023-04-28")
    for node, column in COLUMNS.items():
        assert figures[node]["read_j"] == pytest.approx(trapezoid(log, column), rel=1e-9)
    total = figures["total"]
    assert total["read_j"] == pytest.approx(expected["energy_J_trapezoid"], rel=1e-3)  # that one counts doubles twice
    assert total["compared_s"] == total["read_s"] == expected["seconds"] + 1
    assert total["difference_j"] == 0
    said = sentence(alex, "alex", "2023-04-28", "total")
    assert "35 min 37 s 0 J (0 %) Both agree." in said


def test_alex_says_how_to_name_its_columns(sqlite_farm: Farm, shared_data: Path, tmp_path: Path) -> None:
    site = sqlite_farm.new()
    site.do("load_nodes", write(tmp_path / "nodes.csv", HEADER, ALEX), "--cluster", "alex")
    log = shared_data / "facility_power" / "megware_alex" / "megware-alex.csv"
    answer = site.manage("ingest_power", log, "--cluster", "alex")
    assert answer.code == 1
    assert '--rename "Node Power (W)=NODE"' in answer.err


def test_barnard_s_racks_agree_with_its_own_energy_counter(
    sqlite_farm: Farm, shared_data: Path, tmp_path: Path
) -> None:
    folder = shared_data / "facility_power" / "tud_barnard"
    official = json.loads((folder / "expected.json").read_text())["official"]["energy_J"]
    site = sqlite_farm.new()
    site.do("load_nodes", write(tmp_path / "nodes.csv", HEADER, BARNARD), "--cluster", "barnard")
    power = ("--rename", "LZR.BARNARD.Racks-AK.Wirkleistung=racks")
    counter = ("--rename", "barnard.hpc.energy=hpc [J]")
    for name, renamed in (("power", power), ("energy", counter)):
        taken = site.json("ingest_power", folder / f"tud-barnard-{name}.csv", "--cluster", "barnard", *renamed)
        assert taken["refused"] == []
    site.do("attribute")
    figures = rows(site, "barnard", "2023-05-12")
    hpc = figures["hpc"]
    # The counter's energy is all there: what came in steps too steep for a power is known and not placed.
    assert hpc["meter_j"] + hpc["meter_unplaced_j"] == pytest.approx(official, rel=1e-4)
    assert hpc["meter_unplaced_j"] > 0
    assert figures["racks"]["read_j"] == pytest.approx(official, rel=1e-4)
    assert hpc["left_out_s"] == 0
    assert abs(hpc["difference_share"]) <= 1e-4
    apart = (hpc["meter_j"] + hpc["meter_unplaced_j"] - hpc["below_j"]) / (hpc["meter_j"] + hpc["meter_unplaced_j"])
    assert hpc["difference_share"] == pytest.approx(apart, rel=1e-9)
    said = sentence(site, "barnard", "2023-05-12", "hpc")
    assert "9 h 31 min −176 Wh (−0.00345 %) Both agree." in said
    assert "Counted with it: 2.73 kWh that counters rose by without telling when" in said


def test_the_operators_pages_say_the_same_on_either_database(any_farm: Farm, tmp_path: Path) -> None:
    site = any_farm.new()
    site.do(
        "load_nodes", write(tmp_path / "nodes.csv", HEADER, ["pdu,meter,facility,", "n1,a,node,pdu"]), "--cluster", "c"
    )
    lines = [
        f"2025-03-10T{i // 60:02d}:{i % 60:02d}:00Z,{n},{w}" for i in range(360) for n, w in (("n1", 100), ("pdu", 130))
    ]
    power = write(tmp_path / "power.csv", "timestamp,node,watts", [*lines, "never,n1,1"])
    site.do("ingest_power", power, "--cluster", "c")
    period = "cluster=c&first=2025-03-09&last=2025-03-11"
    for url in ("/operations/", "/operations/?cluster=c&refused=on&reason=unreadable+time", "/operations/batches/1/"):
        assert "power.csv" in page(site, url)
    assert "Node-days to book" in page(site, "/operations/")
    site.do("attribute")
    assert "unreadable time" in page(site, "/operations/quarantine/")
    found = csv.DictReader(page(site, f"/operations/coverage.csv?{period}").strip().splitlines())
    covered = {row["day_utc"]: (float(row["covered_s"]), float(row["gap_s"])) for row in found}
    assert covered == {"2025-03-09": (30, 0), "2025-03-10": (21_570, 64_830), "2025-03-11": (0, 86_400)}
    assert rows(site, "c", "2025-03-10")["pdu"]["difference_j"] == pytest.approx(30 * 21_570, rel=1e-9)
