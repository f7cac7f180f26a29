"""When a figure over several people may be shown to others."""

from __future__ import annotations

import numpy as np
import pytest

from measurements.domain.crowd import Withheld, may_show


@pytest.mark.parametrize(
    ("energies", "k", "expected"),
    [
        ([1, 1, 1, 1, 1], 5, None),
        ([1, 1, 1, 1], 5, Withheld.FEW_PEOPLE),
        ([1, 1, 1, 1, 0], 5, Withheld.FEW_PEOPLE),  # who drew nothing hides nobody
        ([1, 1], 1, Withheld.FEW_PEOPLE),  # never fewer than three, whatever the site says
        ([1, 1, 1], 1, None),
        ([], 5, Withheld.FEW_PEOPLE),
        ([80, 5, 5, 5, 5], 5, None),  # just 80 %
        ([81, 5, 5, 5, 4], 5, Withheld.DOMINATED),
        ([46, 45, 3, 3, 3], 5, Withheld.DOMINATED),
        ([45, 45, 4, 3, 3], 5, None),  # just 90 %
    ],
)
def test_enough_people_and_none_who_makes_most_of_it(energies: list[float], k: int, expected: Withheld | None) -> None:
    assert may_show(np.array(energies, float), k) is expected
