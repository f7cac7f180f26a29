"""What a meter covers, told from its channels."""

from __future__ import annotations

import pytest

from measurements.domain.scopes import MeterScope, common, scope_of
from measurements.selectors.meters import MeterChannel


def channel(name: str, *, covers_gpus: bool = True, dc: bool = False) -> MeterChannel:
    return MeterChannel(name, "gauge", "", covers_gpus, dc)


@pytest.mark.parametrize(
    ("channels", "has_gpus", "expected"),
    [
        ([], True, MeterScope.UNKNOWN),
        ([channel("node")], True, MeterScope.NODE_AC),
        ([channel("node", dc=True)], True, MeterScope.NODE_DC),
        ([channel("node", covers_gpus=False)], True, MeterScope.NODE_WITHOUT_GPUS),
        ([channel("node", covers_gpus=False)], False, MeterScope.NODE_AC),
        ([channel("node", covers_gpus=False), channel("gpu0")], True, MeterScope.NODE_AC),
        ([channel("cpu0"), channel("dram0")], True, MeterScope.PARTS_WITHOUT_GPUS),
        ([channel("cpu0"), channel("dram0")], False, MeterScope.PARTS),
        ([channel("cpu0"), channel("gpu0")], True, MeterScope.PARTS),
    ],
)
def test_a_meter_says_what_it_covers(channels: list[MeterChannel], has_gpus: bool, expected: MeterScope) -> None:  # noqa: FBT001
    assert scope_of(channels, has_gpus=has_gpus) is expected


def test_nodes_together_have_one_scope_or_a_mixed_one() -> None:
    assert common([MeterScope.NODE_AC, MeterScope.NODE_AC]) is MeterScope.NODE_AC
    assert common([MeterScope.NODE_AC, MeterScope.PARTS]) is MeterScope.MIXED
    assert common([]) is MeterScope.UNKNOWN
