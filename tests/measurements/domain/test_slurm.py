"""Slurm's job ids, states and quantities, case by case."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from measurements.domain.slurm import (
    ENDED,
    NOT_ENDED,
    JobIdKind,
    State,
    UnknownJobId,
    UnknownState,
    Waste,
    has_ended,
    is_plain_id,
    parse_job_id,
    parse_state,
    waste_of,
)
from measurements.domain.slurm_quantities import (
    MIB,
    Tres,
    joules_or_none,
    parse_duration_s,
    parse_energy_j,
    parse_gpu_indices,
    parse_gres_gpus,
    parse_memory_bytes,
    parse_tres,
    tres_of_counts,
)


@pytest.mark.parametrize(
    ("text", "kind", "parts"),
    [
        ("123", JobIdKind.JOB, (123, None, "", None, "")),
        ("36_1", JobIdKind.ARRAY_TASK, (36, 1, "", None, "")),
        ("93+1", JobIdKind.HET_COMPONENT, (93, None, "", 1, "")),
        ("1080_[5-1024]", JobIdKind.ARRAY, (1080, None, "5-1024", None, "")),
        ("20_[0-15%4]", JobIdKind.ARRAY, (20, None, "0-15%4", None, "")),
        ("_[1-7:2]", JobIdKind.ARRAY, (None, None, "1-7:2", None, "")),
        ("1080_[1,3,5,7,...", JobIdKind.ARRAY, (1080, None, "1,3,5,7,...", None, "")),
        ("123.batch", JobIdKind.STEP, (123, None, "", None, "batch")),
        ("36_1.extern", JobIdKind.STEP, (36, 1, "", None, "extern")),
        ("93+1.0", JobIdKind.STEP, (93, None, "", 1, "0")),
        ("2658300.bat+", JobIdKind.STEP, (2658300, None, "", None, "bat+")),
        ("2658300.ext+", JobIdKind.STEP, (2658300, None, "", None, "ext+")),
        ("12.0+1", JobIdKind.STEP, (12, None, "", None, "0+1")),
        ("sDXHK9Q5PW3N00", JobIdKind.SLUID, (None, None, "", None, "")),
    ],
)
def test_job_ids(text: str, kind: JobIdKind, parts: tuple[object, ...]) -> None:
    job = parse_job_id(f" {text} ")
    assert (job.text, job.kind) == (text, kind)
    assert (job.job, job.task, job.tasks, job.offset, job.step) == parts


@pytest.mark.parametrize(
    "text",
    ["", "abc", "12x", "_1", "+1", "12_", "12+", "1.host", "sDXHK9Q5PW3N0I", "sDXHK9Q5PW3N0", "1_2+3", "٣", "1" * 30],
)
def test_what_is_no_job_id(text: str) -> None:
    with pytest.raises(UnknownJobId):
        parse_job_id(text)


def test_ids_of_other_batch_systems_are_one_word() -> None:
    assert is_plain_id("6[12].host")
    assert not any(is_plain_id(text) for text in ("", "a b", "../etc", "a/b", "<b>", "x" * 201))


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("COMPLETED", State("COMPLETED")),
        ("CANCELLED by 423120", State("CANCELLED", 423120)),
        ("CANCELLED+", State("CANCELLED")),
        ("CANCELLED by root", State("CANCELLED")),
        ("OOM", State("OUT_OF_MEMORY")),
        ("completed", State("COMPLETED")),
        ("COMPLETED,COMPLETING", State("COMPLETED")),
        ("COMPLETING", State("RUNNING")),
        ("SPECIAL_EXIT", State("PENDING")),
    ],
)
def test_states(text: str, state: State) -> None:
    assert parse_state(text) == state


@pytest.mark.parametrize("text", ["FOO", "BAR", "", "by 12", "COMPLETEDX"])
def test_unknown_states_are_told(text: str) -> None:
    with pytest.raises(UnknownState):
        parse_state(text)


def test_every_state_is_ended_or_not() -> None:
    assert not ENDED & NOT_ENDED
    assert len(ENDED | NOT_ENDED) == 15, "sacct's fifteen"
    assert has_ended("FAILED", end_known=False)
    assert not has_ended("RUNNING", end_known=True)
    assert has_ended("REQUEUED", end_known=True)
    assert not has_ended("REQUEUED", end_known=False)


def test_waste_is_told_apart() -> None:
    assert {state: waste_of(state) for state in ("FAILED", "NODE_FAIL", "COMPLETED", "RUNNING")} == {
        "FAILED": Waste.USER,
        "NODE_FAIL": Waste.SYSTEM,
        "COMPLETED": Waste.NONE,
        "RUNNING": Waste.NONE,
    }


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("00:13", 13),
        ("00:15.057", 15.057),
        ("03:33:25", 12_805),
        ("4-00:16:00", 346_560),
        ("125-00:00:00", 10_800_000),
        ("10-13:27:06", 912_426),
        ("UNLIMITED", None),
        ("Partition_Limit", None),
        ("", None),
        ("2-01:30", 2 * 86_400 + 90),
    ],
)
def test_durations(text: str, seconds: float | None) -> None:
    assert parse_duration_s(text) == seconds


@pytest.mark.parametrize(
    ("text", "cpus", "nodes", "mib"),
    [
        ("31000Mn", 12, 2, 62_000),
        ("3000Mc", 8, 1, 24_000),
        ("2147486648Mn", 8, 1, 24_000),
        ("250Gn", 32, 1, 256_000),
        ("6760Mc", 1, 1, 6760),
        ("320.5G", None, None, 320.5 * 1024),
        ("2252800K", None, None, 2200),
        ("128G", None, None, 131_072),
        ("512", None, None, 512),
        ("0n", 0, 0, 0),
        ("3000Mc", None, 1, None),
        ("", None, None, None),
    ],
)
def test_memory(text: str, cpus: int | None, nodes: int | None, mib: float | None) -> None:
    assert parse_memory_bytes(text, cpus=cpus, nodes=nodes) == (None if mib is None else mib * MIB)


@pytest.mark.parametrize(
    ("text", "joules"),
    [
        ("54156", 54_156),
        ("4.58M", 4_580_000),
        ("101.63K", 101_630),
        ("1.2G", 1.2e9),
        ("0", 0),
        ("", None),
        ("4294967294", None),
        ("18446744073709551614", None),
        ("18446744073709551615", None),
        ("36893488147419103228", None),
        ("18446744.07T", None),
        ("18.45E", "error"),
        ("-2", None),
    ],
)
def test_energy(text: str, joules: float | str | None) -> None:
    if joules == "error":
        with pytest.raises(ValueError, match="no amount of energy"):
            parse_energy_j(text)
    else:
        assert parse_energy_j(text) == joules


def test_suffixed_energies_add_up_to_the_truth() -> None:
    assert sum(parse_energy_j(text) or 0 for text in ("4.58M", "101.63K", "950")) == 4_682_580


@pytest.mark.parametrize(
    ("text", "gpus"),
    [
        ("", None),
        ("billing=12,cpu=12,mem=31000M,node=1", 0),
        ("cpu=1,gres/gpu=4", 4),
        ("gres/gpu:p100=1", 1),
        ("gres/gpu:volta=2", 2),
        ("gres/gpu:tesla=4", 4),
        ("gres/gpu:a100=1,gres/gpu=1", 1),
        ("gres/gpu:a100=3,gres/gpu:v100=1", 4),
        ("gres/gpu:a100=3,gres/gpu:v100=1,gres/gpu=4", 4),
        ("gres/gpumem=40G,gres/gpu=1", 1),
    ],
)
def test_gpus_of_a_tres_list_count_once(text: str, gpus: int | None) -> None:
    assert parse_tres(text).gpus == gpus


def test_a_tres_list() -> None:
    assert parse_tres("billing=64,cpu=64,energy=4096,mem=62.50G,node=8") == Tres(64, 0, 8, 64_000 * MIB, 4096.0, {})
    assert parse_tres("cpu=1K,energy=18446744073709551614").energy_j is None
    assert parse_tres("cpu=1K").cpus == 1024
    assert parse_tres("cpu=-2,mem=-2,energy=-2") == Tres(None, 0, None, None, None, {})
    with pytest.raises(ValueError, match="no part"):
        parse_tres("cpu=1,rubbish")


def test_counts_from_json_may_be_unset() -> None:
    assert tres_of_counts({"cpu": 4, "gres/gpu": -2, "gres/gpu:h100": 4}, 512, -2.0) == Tres(
        *(4, 4, None, 512 * MIB, None, {"h100": 4})
    )
    assert joules_or_none(1e19) is None


@pytest.mark.parametrize(("text", "indices"), [("0-1", (0, 1)), ("0,2-3", (0, 2, 3)), ("0;1", (0, 1)), ("3", (3,))])
def test_gpu_indices(text: str, indices: tuple[int, ...]) -> None:
    assert parse_gpu_indices(text) == indices


@pytest.mark.parametrize("text", ["", "3-1", "a", "0-64", "-1", "0-", "64"])
def test_bad_gpu_indices(text: str) -> None:
    with pytest.raises(ValueError, match="GPU ind"):
        parse_gpu_indices(text)


@pytest.mark.parametrize(
    ("text", "count", "models", "indices"),
    [
        ("gpu:a100:4(S:0-1)", 4, ("a100",), None),
        ("gpu:4", 4, (), None),
        ("gpu", 1, (), None),
        ("gpu:h100:4(IDX:0-3)", 4, ("h100",), (0, 1, 2, 3)),
        ("gpu:h100:2(IDX:0,3)", 2, ("h100",), (0, 3)),
        ("gpu:a100:2(S:0),gpu:1g.5gb:7(S:0-1),nic:1", 9, ("a100", "1g.5gb"), None),
        ("gpu:h100:0(IDX:N/A)", 0, ("h100",), None),
        ("(null)", 0, (), None),
        ("", 0, (), None),
    ],
)
def test_gpus_of_a_gres_list(text: str, count: int, models: tuple[str, ...], indices: tuple[int, ...] | None) -> None:
    gpus = parse_gres_gpus(text)
    assert (gpus.count, gpus.models, gpus.indices) == (count, models, indices)


PARSERS = (parse_duration_s, parse_memory_bytes, parse_energy_j, parse_tres, parse_gpu_indices, parse_gres_gpus)


@given(st.text(alphabet="0129-:.,;KMGTnc=()UIDXgpures/ \x00٣", max_size=30), st.sampled_from((*PARSERS, parse_job_id)))
def test_any_text_is_a_value_or_a_value_error(text: str, parse: Callable[[str], object]) -> None:
    try:
        parse(text)
    except ValueError:
        return
