"""What formats say of channels is written once; two sources are never one curve; GPUs are found by their UUID."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from measurements.domain.samples import Samples
from measurements.domain.units import EPOCH_DAY, Kind
from measurements.models import (
    Channel,
    ChannelPeriod,
    Cluster,
    DirtyNodeDay,
    GpuPlace,
    MeterPeriod,
    Node,
    Segment,
)
from measurements.parsers.records import ChannelFacts, ParseOptions, PowerChunk
from measurements.parsers.source import Source
from measurements.services import ingest_power as module
from measurements.services.channel_facts import FactsDraft, KnownFacts, write_facts
from measurements.services.channels import Declaration, declare_channels
from measurements.services.gpu_places import GpuSeen, note_gpu_places
from measurements.services.ingest_power import PowerInput, ingest_power
from measurements.services.judge import judge
from tests.measurements.parsers.series_reading import catalogue, taken

pytestmark = [pytest.mark.django_db]
NOW = datetime(2025, 3, 20, tzinfo=UTC)
T0_MS = 1_740_830_400_000  # 2025-03-01T12:00:00Z
DAY = date(2025, 3, 1)
MARCH_1 = (DAY - EPOCH_DAY).days
GPU, OTHER = "GPU-6d5c0ac5-74d7-3130-46f1-e93ed57f469a", "GPU-00000000-0000-0000-0000-000000000002"


@pytest.fixture
def cluster() -> Cluster:
    found = Cluster.objects.create(name="alpha")
    Node.objects.bulk_create([Node(cluster=found, name="n1"), Node(cluster=found, name="n2")])
    return found


def run(*argv: str) -> dict[str, Any]:
    out = StringIO()
    with suppress(SystemExit):
        call_command(*argv, "--cluster", "alpha", "--json", stdout=out, stderr=StringIO())
    return dict(json.loads(out.getvalue()))


def give(folder: Path, text: str, *options: str) -> dict[str, int]:
    """Ingest a text; stored, and what was refused by reason."""
    path = folder / "power.log"
    path.write_text(text)
    report = run("ingest_power", str(path), *options)
    return {"stored": report["stored"]} | {row["reason"]: row["count"] for row in report["refused"]}


def periods(name: str = "node", kind: str = Kind.GAUGE) -> list[tuple[date, str]]:
    rows = ChannelPeriod.objects.filter(channel__name=name, channel__kind=kind).order_by("valid_from")
    return list(rows.values_list("valid_from", "source"))


def dcmi(node: str = "n1", watts: float = 300, t_ms: int = T0_MS) -> str:
    return f'ipmi_dcmi_power_consumption_watts{{instance="{node}-bmc:9290"}} {watts} {t_ms}\n'


def redfish(node: str = "n1", watts: float = 310, t_ms: int = T0_MS + 500) -> str:
    return f'redfish_chassis_power_average_consumed_watts{{instance="{node}-oob"}} {watts} {t_ms}\n'


def test_the_source_of_a_channel_is_written_with_its_first_samples_and_only_once(
    cluster: Cluster, tmp_path: Path
) -> None:
    assert give(tmp_path, dcmi()) == {"stored": 1}
    assert periods() == [(DAY, "ipmi_dcmi")]
    assert give(tmp_path, dcmi(t_ms=T0_MS + 86_400_000)) == {"stored": 1}
    assert periods() == [(DAY, "ipmi_dcmi")]
    assert give(tmp_path, dcmi(t_ms=T0_MS - 86_400_000)) == {"stored": 1}
    assert periods() == [(date(2025, 2, 28), "ipmi_dcmi")]


def test_samples_of_a_second_source_are_refused_with_both_names_and_a_cure(cluster: Cluster, tmp_path: Path) -> None:
    give(tmp_path, dcmi())
    path = tmp_path / "other.log"
    path.write_text(redfish() + redfish("n2"))
    report = run("ingest_power", str(path))
    assert report["stored"] == 1, "nobody else feeds n2"
    (refused,) = report["refused"]
    assert (refused["reason"], refused["count"]) == ("another source feeds this channel", 1)
    example = cluster.batches.latest("pk").quarantine.get().example
    assert "ipmi_dcmi feeds it, this is redfish" in example
    assert "declare the change of source from a day on (channel_source)" in example


def test_of_two_sources_in_one_file_the_first_is_taken(cluster: Cluster, tmp_path: Path) -> None:
    assert give(tmp_path, dcmi() + redfish() + dcmi(t_ms=T0_MS + 1000)) == {
        "stored": 2,
        "another source feeds this channel": 1,
    }
    assert periods() == [(DAY, "ipmi_dcmi")]


def test_a_change_of_source_that_a_person_declared_holds_from_its_day_on(cluster: Cluster, tmp_path: Path) -> None:
    give(tmp_path, dcmi())
    channel = Channel.objects.get()
    ChannelPeriod.objects.create(channel=channel, valid_from=date(2025, 3, 3), source="redfish")
    later = T0_MS + 2 * 86_400_000
    assert give(tmp_path, redfish(t_ms=later)) == {"stored": 1}
    assert give(tmp_path, dcmi(t_ms=later + 1) + dcmi(t_ms=T0_MS + 1)) == {
        "stored": 1,
        "another source feeds this channel": 1,
    }
    assert periods() == [(DAY, "ipmi_dcmi"), (date(2025, 3, 3), "redfish")]


def test_a_plain_file_that_names_no_source_goes_beside_any(cluster: Cluster, tmp_path: Path) -> None:
    give(tmp_path, dcmi())
    assert give(tmp_path, "timestamp,node,watts\n2025-03-01T12:30:00Z,n1,345\n") == {"stored": 1}
    assert periods() == [(DAY, "ipmi_dcmi")]


def test_the_other_way_round_the_first_named_source_is_adopted(cluster: Cluster, tmp_path: Path) -> None:
    give(tmp_path, "timestamp,node,watts\n2025-03-01T12:30:00Z,n1,345\n")
    assert periods() == []
    assert give(tmp_path, dcmi()) == {"stored": 1}
    assert periods() == [(DAY, "ipmi_dcmi")]


def test_what_a_person_declared_is_not_written_over_by_a_format(cluster: Cluster, tmp_path: Path) -> None:
    node = Node.objects.get(name="n1")
    channel = Channel.objects.create(node=node, name="cpu0", kind=Kind.COUNTER)
    ChannelPeriod.objects.create(channel=channel, covers_gpus=True, nominal_ms=5000)
    give(tmp_path, f'node_rapl_package_joules_total{{index="0",instance="n1"}} 5 {T0_MS}\n')
    row = ChannelPeriod.objects.get(channel=channel, valid_from=DAY)
    assert (row.covers_gpus, row.nominal_ms, row.source, row.dc) == (True, 5000, "rapl", True)


def test_a_dry_run_writes_nothing_of_it(cluster: Cluster, tmp_path: Path) -> None:
    path = tmp_path / "power.log"
    path.write_text(dcmi() + redfish())
    report = run("ingest_power", str(path), "--dry-run")
    assert report["stored"] == 1
    assert report["refused"][0]["reason"] == "another source feeds this channel"
    assert not Channel.objects.exists()
    assert not ChannelPeriod.objects.exists()


def test_after_a_mapping_was_mended_the_same_file_gives_all_its_samples(
    cluster: Cluster, tmp_path: Path, own_var: Path
) -> None:
    text = "".join(f'rack_power_watts{{host="n1"}} {300 + i} {T0_MS + i * 1000}\n' for i in range(5))
    assert give(tmp_path, text) == {"stored": 0, "no mapping for this metric": 1}
    (own_var / "mappings").mkdir(parents=True)
    mapping = '[node]\nlabels = ["host"]\n[[series]]\nmetric = "rack_power_watts"\nchannel = "node"\nunit = "W"\n'
    (own_var / "mappings" / "rack.toml").write_text(mapping + 'source = "pdu"\n')
    assert give(tmp_path, text) == {"stored": 5}
    assert give(tmp_path, text) == {"stored": 0}


def test_a_wrong_mapping_file_of_the_site_refuses_the_file_and_says_where(
    cluster: Cluster, tmp_path: Path, own_var: Path
) -> None:
    (own_var / "mappings").mkdir(parents=True)
    (own_var / "mappings" / "rack.toml").write_text('[[series]]\nmetric = "x"\n')
    path = tmp_path / "power.log"
    path.write_text(dcmi())
    err = StringIO()
    with pytest.raises(SystemExit):
        call_command("ingest_power", str(path), "--cluster", "alpha", stdout=StringIO(), stderr=err)
    assert "rack.toml: [[series]] 1 (x): unit: missing" in err.getvalue()


# --- GPUs -----------------------------------------------------------------------------------------------


def smi(uuid: str = GPU, watts: float = 300, t_ms: int = T0_MS) -> str:
    return f'nvidia_smi_power_draw_watts{{uuid="{uuid[4:]}",instance="n1:9835"}} {watts} {t_ms}\n'


def index(uuid: str = GPU, place: int = 3, t_ms: int = T0_MS) -> str:
    return f'nvidia_smi_index{{uuid="{uuid[4:]}",instance="n1:9835"}} {place} {t_ms}\n'


def places() -> list[tuple[str, int, str, int]]:
    rows = GpuPlace.objects.order_by("node__name", "index", "valid_from_ms")
    return [(r.node.name, r.index, r.uuid, r.valid_from_ms - T0_MS) for r in rows]


def test_a_gpu_without_an_index_is_refused_until_something_told_it(cluster: Cluster, tmp_path: Path) -> None:
    assert give(tmp_path, smi()) == {"stored": 0, "GPU of unknown index": 1}
    assert give(tmp_path, index(t_ms=T0_MS + 1) + smi(t_ms=T0_MS + 1)) == {"stored": 1}
    assert list(Channel.objects.values_list("name", flat=True)) == ["gpu3"]
    assert places() == [("n1", 3, GPU, 1)]
    assert give(tmp_path, smi(t_ms=T0_MS + 2)) == {"stored": 1}, "it is known from now on"


def dcgm(uuid: str, t_ms: int, place: int = 0) -> str:
    return f'DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{{gpu="{place}",UUID="{uuid}",Hostname="n1"}} 5 {t_ms}\n'


def test_the_place_of_a_gpu_begins_with_its_first_sample_and_ends_with_the_first_of_another(
    cluster: Cluster, tmp_path: Path
) -> None:
    give(tmp_path, dcgm(GPU, T0_MS) + dcgm(GPU, T0_MS + 1000))
    assert places() == [("n1", 0, GPU, 0)]
    give(tmp_path, dcgm(OTHER, T0_MS + 5000) + dcgm(OTHER, T0_MS + 6000))
    give(tmp_path, dcgm(GPU, T0_MS - 1000))
    assert places() == [("n1", 0, GPU, -1000), ("n1", 0, OTHER, 5000)]


def test_gpus_of_samples_that_are_refused_are_not_noted(cluster: Cluster, tmp_path: Path) -> None:
    give(tmp_path, dcgm(GPU, T0_MS))
    energy = f'rocm_energy_joules{{card="0",instance="n1"}} 5 {T0_MS + 1}\n'
    assert give(tmp_path, energy) == {"stored": 0, "another source feeds this channel": 1}
    stranger = dcgm(OTHER, T0_MS + 1).replace("n1", "n9")
    assert give(tmp_path, stranger) == {"stored": 0, "unknown node": 1}
    assert places() == [("n1", 0, GPU, 0)]


def test_noting_the_same_in_any_order_gives_the_same_places(cluster: Cluster) -> None:
    node = Node.objects.get(name="n1").pk
    seen = [GpuSeen(t, node, 0, uuid) for t, uuid in ((1, GPU), (2, GPU), (5, OTHER), (7, OTHER), (9, GPU))]
    for order in (seen, seen[::-1]):
        GpuPlace.objects.all().delete()
        for one in order:
            note_gpu_places([one])
        assert [(r.valid_from_ms, r.uuid) for r in GpuPlace.objects.order_by("valid_from_ms")] == [
            (1, GPU),
            (5, OTHER),
            (9, GPU),
        ]


# --- Zones that overlap ----------------------------------------------------------------------------------


def meter() -> list[str]:
    return sorted(MeterPeriod.objects.get(node__name="n1").channels.values_list("name", flat=True))


def scaphandre(*names: str) -> str:
    """What it shows of one moment."""
    lines = {
        "host": f'scaph_host_energy_microjoules{{instance="n1:8080"}} 5 {T0_MS}\n',
        "psys": f'scaph_host_rapl_psys_microjoules{{instance="n1:8080"}} 5 {T0_MS}\n',
        "cpu": f'scaph_socket_energy_microjoules{{instance="n1:8080",socket_id="0"}} 5 {T0_MS}\n',
        "core": f'scaph_domain_energy_microjoules{{instance="n1:8080",socket_id="0",domain_name="core"}} 5 {T0_MS}\n',
        "dram": f'scaph_domain_energy_microjoules{{instance="n1:8080",socket_id="0",domain_name="dram"}} 5 {T0_MS}\n',
    }
    return "".join(lines[name] for name in names)


@pytest.mark.parametrize(
    ("shown", "counted"),
    [
        (("host", "psys", "cpu", "core", "dram"), ["cpu0", "dram0"]),
        (("host", "psys", "core"), ["host"]),
        (("psys", "core"), ["psys"]),
        (("host",), ["host"]),
    ],
)
def test_of_overlapping_zones_only_some_that_do_not_overlap_are_the_meter(
    cluster: Cluster, tmp_path: Path, shown: tuple[str, ...], counted: list[str]
) -> None:
    assert give(tmp_path, scaphandre(*shown)) == {"stored": len(shown)}
    assert meter() == counted


# --- The services themselves ----------------------------------------------------------------------------


def test_nothing_new_costs_no_query(cluster: Cluster) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert write_facts(cluster, FactsDraft())
    assert len(queries) == 0


def test_what_another_process_wrote_first_stays(cluster: Cluster) -> None:
    channel = Channel.objects.create(node=Node.objects.get(name="n1"), name="node", kind=Kind.GAUGE)
    mine, theirs = (
        FactsDraft({channel.pk: (Declaration(source=source), MARCH_1)}) for source in ("redfish", "ipmi_dcmi")
    )
    assert write_facts(cluster, theirs)
    assert not write_facts(cluster, mine)
    assert periods() == [(DAY, "ipmi_dcmi")]


def test_a_file_whose_channel_got_another_source_meanwhile_is_judged_again(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    def overtaken(*arguments: Any, **named: Any) -> Samples:
        nonlocal calls
        calls += 1
        samples = judge(*arguments, **named)
        if calls == 1:
            write_facts(cluster, FactsDraft({Channel.objects.get().pk: (Declaration(source="ipmi_dcmi"), MARCH_1)}))
        return samples

    monkeypatch.setattr(module, "judge", overtaken)
    assert give(tmp_path, redfish()) == {"stored": 0, "another source feeds this channel": 1}
    assert Segment.objects.count() == 0


def test_a_source_alone_changes_no_figure_and_so_marks_no_day(cluster: Cluster) -> None:
    channel = Channel.objects.create(node=Node.objects.get(name="n1"), name="node", kind=Kind.GAUGE)
    known, draft = KnownFacts(cluster), FactsDraft()
    known.look([channel.pk])
    known.adopt(channel.pk, ChannelFacts("ipmi_dcmi"), MARCH_1, draft)
    write_facts(cluster, draft)
    assert periods() == [(DAY, "ipmi_dcmi")]
    assert not DirtyNodeDay.objects.exists()


def test_a_source_of_which_it_is_known_how_far_a_counter_wraps_has_its_days_booked_anew(cluster: Cluster) -> None:
    node = Node.objects.get(name="n1")
    channel = Channel.objects.create(node=node, name="cpu0", kind=Kind.COUNTER)
    ChannelPeriod.objects.create(channel=channel, valid_from=DAY, wrap_uj=262_143_328_850)
    DirtyNodeDay.objects.create(cluster=cluster, node=node, day=DAY, version=1)  # about to be booked
    declare_channels(cluster, {channel.pk: DAY}, Declaration(source="rapl"))
    assert DirtyNodeDay.objects.get().version != 1, "whoever is at it begins anew"


def test_a_thousand_nodes_with_facts_take_no_query_each(cluster: Cluster, tmp_path: Path) -> None:
    Node.objects.bulk_create([Node(cluster=cluster, name=f"m{i}") for i in range(300)])

    def chunks(_source: object, _options: ParseOptions, _now_ms: int) -> Iterator[PowerChunk]:
        labels = [{"gpu": "0", "UUID": f"GPU-{i}", "Hostname": f"m{i}"} for i in range(300)]
        yield taken(catalogue(), [("DCGM_FI_DEV_POWER_USAGE", one, 0, 50.0) for one in labels])

    path = tmp_path / "x"
    path.write_text("x")
    with CaptureQueriesContext(connection) as queries:
        report = ingest_power(cluster, Source(path), PowerInput(chunks), NOW)
    assert report.stored == 300
    assert GpuPlace.objects.count() == ChannelPeriod.objects.count() == 300
    assert len(queries) < 60
