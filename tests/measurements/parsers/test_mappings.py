"""Each exporter's series becomes the right channel in the right unit; a wrong mapping file says what is wrong."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from measurements.parsers.mappings import SHIPPED, MappingFault, load_mappings
from tests.measurements.parsers.series_reading import catalogue, own_mapping, plain, refused, taken

GPU = "GPU-6d5c0ac5-74d7-3130-46f1-e93ed57f469a"

# a series and a value → node, channel, kind, stored value (mW or µJ), source
DICTIONARY = """
ipmi_dcmi_power_consumption_watts{instance=n1-oob.bmc.site:9290} 345.5
  -> n1 node gauge 345500 ipmi_dcmi
DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{gpu=3,UUID=@GPU,Hostname=n1} 15152422938
  -> n1 gpu3 counter 15152422938000 dcgm
DCGM_FI_DEV_POWER_USAGE{gpu=0,uuid=@GPU,hostname=n1,instance=n1:9400} 68.244
  -> n1 gpu0 gauge 68244 dcgm
node_rapl_package_joules_total{index=1,instance=n1:9100} 240422.366267
  -> n1 cpu1 counter 240422366267 rapl
node_rapl_dram_joules_total{index=0,instance=n1:9100} 1.5
  -> n1 dram0 counter 1500000 rapl
node_rapl_psys_joules_total{index=0,instance=n1:9100} 1
  -> n1 psys0 counter 1000000 rapl
node_rapl_joules_total{index=1,rapl_zone=package,path=/sys/class/powercap/intel-rapl:1,instance=n1:9100} 2
  -> n1 cpu1 counter 2000000 rapl
node_rapl_joules_total{index=0,rapl_zone=dram,path=/sys/class/powercap/intel-rapl:0:0,instance=n1:9100} 2
  -> n1 dram0 counter 2000000 rapl
ceems_rapl_joules_total{hostname=n1,index=0,rapl_zone=package,path=x} 2
  -> n1 cpu0 counter 2000000 rapl
node_hwmon_power_average_watt{chip=platform_acpi000d:00,sensor=power1,instance=n1:9100} 250
  -> n1 node gauge 250000 acpi
node_cray_pm_counters_energy_joules{instance=n1:9100} 7
  -> n1 node counter 7000000 pm_counters
node_cray_pm_counters_power_watts{domain=node,instance=n1:9100} 873
  -> n1 node gauge 873000 pm_counters
ceems_cray_pm_counters_energy_joules{hostname=n1,domain=accel2} 2
  -> n1 gpu2 counter 2000000 pm_counters
ceems_cray_pm_counters_energy_joules{hostname=n1,domain=memory} 2
  -> n1 dram counter 2000000 pm_counters
ceems_rapl_package_joules_total{hostname=n1,index=0,path=x} 2
  -> n1 cpu0 counter 2000000 rapl
ceems_ipmi_dcmi_current_watts{hostname=n1} 332
  -> n1 node gauge 332000 ipmi_dcmi
kepler_node_cpu_joules_total{node_name=n1,zone=package,instance=10.1.2.3:28282} 2
  -> n1 cpu counter 2000000 rapl
kepler_node_cpu_watts{node_name=n1,zone=psys} 9.25
  -> n1 psys gauge 9250 rapl
kepler_node_gpu_watts{node_name=n1,gpu_uuid=@GPU} 300
  -> n1 gpu@@GPU gauge 300000 kepler
kepler_platform_watts{node_name=n1,source=redfish,power_control_name=Server Power Control} 450.5
  -> n1 node gauge 450500 redfish
scaph_host_power_microwatts{instance=n1:8080} 123456789
  -> n1 host gauge 123457 rapl
scaph_host_energy_microjoules{instance=n1:8080} 123456789
  -> n1 host counter 123456789 rapl
scaph_socket_power_microwatts{instance=n1:8080,socket_id=1} 95000000
  -> n1 cpu1 gauge 95000 rapl
scaph_domain_power_microwatts{instance=n1:8080,socket_id=1,domain_name=dram} 5000000
  -> n1 dram1 gauge 5000 rapl
scaph_host_rapl_psys_microjoules{instance=n1:8080} 7
  -> n1 psys counter 7 rapl
amd_gpu_power{gpu_power=5,productname=x,instance=n1:2021} 310000000
  -> n1 gpu5 gauge 310000 amd_smi
gpu_power_usage{gpu_id=5,hostname=n1,job_id=} 310
  -> n1 gpu5 gauge 310000 amd_metrics
gpu_package_power{gpu_id=5,hostname=n1,partition_id=0} 310
  -> n1 gpu5 gauge 310000 amd_metrics
rocm_energy_joules{card=5,instance=n1:8001} 31
  -> n1 gpu5 counter 31000000 omnistat
rocm_average_socket_power_watts{card=5,instance=n1:8001} 31
  -> n1 gpu5 gauge 31000 omnistat
omnistat_vendor_energy_joules{instance=n1:8001,vendor=cray} 31
  -> n1 node counter 31000000 pm_counters
slurm_job_power_gpu{gpu=1,slurmjobid=2,user=u,instance=n1:9798} 236037
  -> n1 gpu1 gauge 236037 slurm_job
nvidia_smi_power_draw_watts{uuid=@BARE,instance=n1:9835} 631.95
  -> n1 gpu@@GPU gauge 631950 nvidia_smi
nvidia_gpu_power_usage_milliwatts{minor_number=0,uuid=@GPU,instance=n1:9445} 13240
  -> n1 gpu0 gauge 13240 nvidia_gpu
redfish_chassis_power_average_consumed_watts{instance=n1-oob,chassis_id=1} 345
  -> n1 node gauge 345000 redfish
nvidia_smi_power_draw{host=n1,index=2,uuid=@GPU} 61.25
  -> n1 gpu2 gauge 61250 nvidia_smi
redfish_power_powercontrol_power_consumed_watts{source=n1,host=mon,address=10.9.9.1,name=System Power Control} 308
  -> n1 node gauge 308000 redfish
redfish_power_powercontrol_power_consumed_watts{source=,host=mon,address=10.9.9.1} 308
  -> 10.9.9.1 node gauge 308000 redfish
amd_rocm_smi_power_draw{gpu_id=0x7408,gpu_unique_id=0x1,host=n1,name=card3} 90
  -> n1 gpu3 gauge 90000 rocm_smi
powerstat_package_current_power_consumption_watts{host=n1,package_id=0} 161.25
  -> n1 cpu0 gauge 161250 rapl
powerstat_package_current_dram_power_consumption_watts{host=n1,package_id=0} 11.5
  -> n1 dram0 gauge 11500 rapl
ipmi_sensor{server=10.20.2.203,host=n9,name=pwr_consumption,unit=watts} 210
  -> 10.20.2.203 node gauge 210000 ipmi_sensor
cpu_power{hostname=e1208,type=socket,type-id=0} 228.1
  -> e1208 cpu0 gauge 228100 rapl
mem_power{hostname=e1208,type=memoryDomain,type-id=1} 28.1
  -> e1208 dram1 gauge 28100 rapl
nv_power_usage{hostname=e1208,type=accelerator,type-id=3} 328.1
  -> e1208 gpu3 gauge 328100 clustercockpit
node_power{hostname=e1208,type=node} 828.1
  -> e1208 node gauge 828100 clustercockpit
"""
ENTRY = re.compile(r"(\w+)\{(.*)\} (\S+)\n  -> (\S+) (\S+) (\S+) (\S+) (\S+)\n")


@pytest.mark.parametrize("row", ENTRY.findall(DICTIONARY), ids=lambda row: f"{row[0]} {row[4]}")
def test_a_series_of_an_exporter_is_the_channel_in_the_unit_that_its_mapping_says(row: tuple[str, ...]) -> None:
    metric, said, value, node, channel, kind, stored, source = row
    text = said.replace("@GPU", GPU).replace("@BARE", GPU[4:].upper())
    labels = dict(pair.split("=", 1) for pair in text.split(","))
    chunk = taken(catalogue(), [(metric, labels, 0, float(value))])
    assert plain(chunk) == [(node, channel.replace("@GPU", GPU), kind, 0, int(stored))]
    assert refused(chunk) == []
    assert [facts.source for facts in chunk.facts] == [source]


def test_all_of_the_dictionary_is_asked() -> None:
    assert len(ENTRY.findall(DICTIONARY)) == DICTIONARY.count("  -> ") >= 40


@pytest.mark.parametrize(
    ("metric", "labels"),
    [
        ("ceems_ipmi_dcmi_max_watts", {"hostname": "n1"}),  # spans the BMC's own window
        ("ceems_rapl_package_power_limit_watts_total", {"hostname": "n1", "index": "0"}),  # a gauge, whatever its name
        ("ceems_emissions_gCo2_kWh", {"provider": "owid"}),
        ("node_power_supply_power_watt", {"power_supply": "BAT0", "instance": "n1"}),  # a battery
        ("node_pcidevice_power_state", {"state": "D0", "instance": "n1"}),
        ("kepler_node_cpu_idle_watts", {"zone": "package", "node_name": "n1"}),  # split by use, not a floor
        ("kepler_process_cpu_watts", {"zone": "package", "node_name": "n1"}),
        ("kepler_platform_watts", {"node_name": "n1", "power_control_name": "CPU Sub-system Power"}),
        ("scaph_process_power_consumption_microwatts", {"cmdline": "secret --password", "instance": "n1"}),
        ("amd_gpu_package_power", {"gpu_id": "1", "partition_id": "1", "hostname": "n1"}),  # says 0 without a sensor
        ("DCGM_FI_DEV_POWER_MGMT_LIMIT", {"gpu": "0", "Hostname": "n1"}),
        ("nvidia_smi_enforced_power_limit_watts", {"uuid": GPU, "instance": "n1"}),
        ("nv_power_max_limit", {"hostname": "n1", "type": "accelerator", "type-id": "0"}),
        ("node_rapl_package_joules_total", {"index": "0", "path": "/sys/class/powercap/intel-rapl-mmio:0"}),
        ("redfish_power_powercontrol_power_consumed_watts", {"source": "n1", "name": "CPU Sub-system Power"}),
        ("redfish_power_powersupplies_last_power_output_watts", {"source": "n1", "name": "PS1"}),
        ("node_cpu_seconds_total", {"cpu": "0", "mode": "idle", "instance": "n1"}),
    ],
)
def test_what_is_no_power_drawn_is_left_out_and_told_once(metric: str, labels: dict[str, str]) -> None:
    known = catalogue()
    chunk = taken(known, [(metric, labels, 0, 5.0), (metric, labels, 1000, 6.0)])
    assert plain(chunk) == []
    assert refused(chunk) == []
    assert [metric in warning for warning in known.summary()] == [True]
    assert known.summary() == []


@pytest.mark.parametrize(
    ("metric", "labels", "reason"),
    [
        ("rapl_consumed_energy_alumet_joules", {"resource_id": "0", "instance": "n1"}, "a difference shown as a gauge"),
        ("uuid:ceems_host_power_watts:pue", {"uuid": "1", "hostname": "n1"}, "made by rules that hold PUE"),
        ("nv_energy", {"hostname": "n1", "type": "accelerator", "type-id": "0"}, "a difference since the last reading"),
        ("rapl_package-0_energy", {"hostname": "n1", "type": "node"}, "a difference since the last reading"),
        ("rack_power_watts", {"instance": "n1"}, "no mapping for this metric"),
        ("node_hwmon_power_average_watt", {"chip": "0000:03:00_0", "instance": "n1"}, "no mapping for these labels"),
        ("cpu_power", {"hostname": "n1", "type": "moon", "type-id": "0"}, "no mapping for these labels"),
        (
            "nv_power_usage",
            {"hostname": "n1", "type": "accelerator", "type-id": "0000:0F:00.0"},
            "no mapping for these",
        ),
        (
            "kepler_node_platform_joules_total",
            {"instance": "n1", "mode": "idle", "source": "trained"},
            "estimated",
        ),
        ("node_rapl_package_joules_total", {"index": "0"}, "no node"),
        ("node_rapl_package_joules_total", {"index": "0/1", "instance": "n1"}, "unusable label"),
        ("node_rapl_package_joules_total", {"instance": "n1"}, "unusable label"),
        ("", {"instance": "n1"}, "series without a name"),
    ],
)
def test_what_should_be_known_and_is_not_is_refused_once_with_the_reason(
    metric: str, labels: dict[str, str], reason: str
) -> None:
    chunk = taken(catalogue(), [(metric, labels, 0, 5.0), (metric, labels, 1000, 6.0)])
    assert plain(chunk) == []
    assert [line for _, line in refused(chunk)] == [1]
    assert chunk.refusals[0].reason.startswith(reason)
    assert len(chunk.refusals[0].reason) <= 128


@pytest.mark.parametrize(
    ("label", "node"),
    [
        ("n1:9290", "n1"),
        ("n1", "n1"),
        ("n1-bmc", "n1"),
        ("n1-oob.mgmt.site.example:9290", "n1"),
        ("n1.site.example", "n1.site.example"),  # whether the node is called so, the ingest knows
        ("10.20.2.203:9290", "10.20.2.203"),
        ("[fe80::1]:9290", "fe80::1"),
        ("-bmc", "-bmc"),
    ],
)
def test_a_host_loses_its_port_and_the_suffix_of_its_bmc(label: str, node: str) -> None:
    chunk = taken(catalogue(), [("ipmi_dcmi_power_consumption_watts", {"instance": label}, 0, 5.0)])
    assert [row[0] for row in plain(chunk)] == [node]


@pytest.mark.parametrize(
    ("metric", "labels"),
    [
        ("ipmi_dcmi_power_consumption_watts", {"instance": "monitor:9290", "exported_instance": "n1:9290"}),
        ("node_rapl_package_joules_total", {"instance": "10.0.0.1:9100", "nodename": "n1", "index": "0"}),
        ("DCGM_FI_DEV_POWER_USAGE", {"Hostname": "8c1f0d2a77b1", "nodename": "n1", "gpu": "0", "instance": "pod:9400"}),
        ("slurm_job_power_gpu", {"instance": "10.0.0.1:9798", "nodename": "n1", "gpu": "0"}),
    ],
)
def test_a_label_that_says_the_node_by_name_goes_before_the_address_that_was_scraped(
    metric: str, labels: dict[str, str]
) -> None:
    assert [row[0] for row in plain(taken(catalogue(), [(metric, labels, 0, 5.0)]))] == ["n1"]


OWN = """
[node]
labels = ["rack_host"]
strip_domain = true
names = { "pdu-7" = "n7" }

[[series]]
metric = "rack_power_watts"
where = { phase = "L[123]", outlet = "(?P<number>\\\\d+)" }
channel = "psu{number}"
unit = "kW"
source = "pdu"
covers_gpus = true
interval_s = 10

[[series]]
metric = "ipmi_dcmi_power_consumption_watts"
channel = "node"
unit = "W"
source = "house_meter"
"""


def test_a_sites_own_mapping_goes_before_the_shipped_ones(tmp_path: Path) -> None:
    known = catalogue(own_mapping(tmp_path, "\ufeff" + OWN))  # as an editor on Windows saves it
    chunk = taken(
        known,
        [
            ("rack_power_watts", {"rack_host": "pdu-7:80", "phase": "L1", "outlet": "04"}, 0, 1.25),
            ("rack_power_watts", {"rack_host": "n8.site", "phase": "L2", "outlet": "4"}, 0, 2),
            ("rack_power_watts", {"rack_host": "n8.site", "phase": "N", "outlet": "4"}, 0, 2),
            ("ipmi_dcmi_power_consumption_watts", {"rack_host": "n9", "instance": "x"}, 0, 5),
            ("node_rapl_package_joules_total", {"instance": "n9", "index": "0"}, 0, 5),
        ],
    )
    assert plain(chunk) == [
        ("n7", "psu4", "gauge", 0, 1_250_000),
        ("n8", "psu4", "gauge", 0, 2_000_000),
        ("n9", "cpu0", "counter", 0, 5_000_000),
        ("n9", "node", "gauge", 0, 5_000),
    ]
    assert refused(chunk) == [("no mapping for these labels", 3)]
    said = {chunk.channels[i]: chunk.facts[i] for i in range(len(chunk.channels))}
    assert (said["psu4"].source, said["psu4"].covers_gpus, said["psu4"].interval_ms) == ("pdu", True, 10_000)
    assert said["node"].source == "house_meter"


@pytest.mark.parametrize(
    ("unit", "kind", "stored"),
    [
        ("W", "gauge", 2_000), ("mW", "gauge", 2), ("uW", "gauge", 0), ("µW", "gauge", 0), ("kW", "gauge", 2_000_000),
        ("MW", "gauge", 2_000_000_000), ("J", "counter", 2_000_000), ("mJ", "counter", 2_000), ("uJ", "counter", 2),
        ("kJ", "counter", 2 * 10**9), ("MJ", "counter", 2 * 10**12), ("Wh", "counter", 7_200_000_000),
        ("kWh", "counter", 7_200_000_000_000),
    ],
)  # fmt: skip
def test_each_unit_is_stored_as_what_it_is(tmp_path: Path, unit: str, kind: str, stored: int) -> None:
    text = f'[[series]]\nmetric = "x"\nchannel = "node"\nsource = "s"\nunit = "{unit}"\n'
    chunk = taken(catalogue(own_mapping(tmp_path, text)), [("x", {"instance": "n"}, 0, 2.0)])
    assert plain(chunk) == [("n", "node", kind, 0, stored)]


SERIES = '[[series]]\nmetric = "x"\nchannel = "node"\nunit = "W"\nsource = "s"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[series", ["own.toml", "no TOML"]),
        ("", ["own.toml", "no entry", "[[series]]"]),
        (SERIES + 'colour = "red"\n', ["own.toml", "[[series]] 1 (x)", "colour", "unknown key", "gpu_uuid"]),
        (SERIES + SERIES.replace('"W"', '"BTU"'), ["[[series]] 2 (x)", "unit", "'BTU'", "kWh"]),
        (SERIES.replace('unit = "W"\n', ""), ["[[series]] 1 (x)", "unit: missing"]),
        (SERIES.replace('source = "s"\n', ""), ["source: missing"]),
        (SERIES + 'kind = "counter"\n', ["kind", "counter in W", "watts are a gauge"]),
        (SERIES.replace('"W"', '"J"') + 'kind = "gauge"\n', ["gauge in J", "running total"]),
        (SERIES + "wrap = 65536\n", ["wrap", "a gauge does not wrap"]),
        (SERIES + 'where = { zone = "(" }\n', ["where.zone", "no regular expression"]),
        (SERIES + "where = { zone = 1 }\n", ["where", "a table of texts"]),
        (SERIES + 'metric_like = "x.*"\n', ["metric", "beside metric_like"]),
        (SERIES.replace("node", "Node!"), ["channel", "'Node!' is no name", "cpu{package}"]),
        (SERIES.replace('"node"', '"gpu{gpu!r}"'), ["channel", "braces"]),
        (SERIES + 'repeats = "yes"\n', ["repeats", "true or false"]),
        (SERIES + 'add = ["mode"]\n', ["add", "one label with its values"]),
        (SERIES.replace("[[series]]", "[series]"), ["series", "two brackets"]),
        ('[[ignore]]\nmetric = "x"\n', ["[[ignore]] 1 (x)", "reason: missing"]),
        ('[[gpu_index]]\nmetric = "x"\n', ["[[gpu_index]] 1 (x)", "gpu_uuid: missing"]),
        ("[node]\nlabels = [1]\n" + SERIES, ["[node]", "labels", "a list of texts"]),
        ('[nodes]\nlabels = ["a"]\n' + SERIES, ["nodes", "unknown key", "node"]),
    ],
)
def test_a_wrong_mapping_file_is_refused_with_file_entry_key_reason_and_cure(
    tmp_path: Path, text: str, said: list[str]
) -> None:
    with pytest.raises(MappingFault) as fault:
        load_mappings(own_mapping(tmp_path, text))
    assert [part for part in said if part not in str(fault.value)] == []


def test_a_mapping_file_that_changed_is_read_anew_and_one_that_did_not_is_not(tmp_path: Path) -> None:
    folder = own_mapping(tmp_path, SERIES)
    first = load_mappings(folder)
    assert load_mappings(folder) is first
    own_mapping(tmp_path, SERIES.replace('"s"', '"other"'))
    assert load_mappings(folder).fingerprint != first.fingerprint


def test_every_shipped_mapping_says_what_it_is_for() -> None:
    files = sorted(SHIPPED.glob("*.toml"))
    assert len(files) >= 13
    assert [path.name for path in files if len(tomllib.loads(path.read_text()).get("about", "")) < 20] == []
