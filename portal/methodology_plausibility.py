"""The rules by which readings are not taken: one by one as they come in, or as a day is looked through."""

from __future__ import annotations

from types import ModuleType

from django.utils.translation import gettext as _

from measurements.domain import plausibility
from measurements.domain import plausibility_chassis as chassis
from measurements.domain import plausibility_frozen as frozen
from measurements.domain import plausibility_skew as skew
from measurements.domain import plausibility_spikes as spikes
from measurements.domain.units import MW_PER_W
from portal.methodology import Constant, Rule, Section, exact, milliseconds, plain, rule, share


def sections() -> list[Section]:
    """Behind those from samples to joules."""
    return [_plausibility()]


def _watts(module: ModuleType, name: str) -> Constant:
    return Constant(module, name, lambda mw: exact(mw / MW_PER_W))


def _plausibility() -> Section:
    return Section(
        "plausibility",
        _("Readings that no true sensor shows"),
        (
            _as_it_comes(),
            _whole_days(),
            _spikes(),
            _frozen(),
            _against_frozen(),
            _counter_jumps(),
            _skew(),
            _skewed_windows(),
            _chassis(),
        ),
    )


def _as_it_comes() -> Rule:
    return rule(
        _(
            "A reading is refused as it comes in: 0 W, a negative one, a sensor's mark for “no value”, above"
            " the ceiling or below the floor that the site declares of the node (while it is not switched off),"
            " and what is dated more than %(CLOCK_SLACK_MS)s later than it was received."
        ),
        milliseconds(plausibility, "CLOCK_SLACK_MS"),
    )


def _whole_days() -> Rule:
    return rule(
        _(
            "Every UTC day is looked through as a whole before it is booked, and again whenever anything of it"
            " changes. What is left out is a gap: it adds no energy and lowers the coverage. The readings stay"
            " in the store, and operators may take them in again."
        )
    )


def _spikes() -> Rule:
    return rule(
        _(
            "Spike: a single reading of a whole node that is %(SPIKE_FACTOR)s times as high as any other one of"
            " the day, of %(SPIKE_LEAST_OTHERS)s at least; not where there are more than %(SPIKES_MOST)s. From"
            " %(SPIKE_SURE)s times on it is left out, below that it is reported."
        ),
        plain(spikes, "SPIKE_FACTOR"),
        plain(spikes, "SPIKE_LEAST_OTHERS"),
        plain(spikes, "SPIKES_MOST"),
        plain(spikes, "SPIKE_SURE"),
        formula="P_i ≥ n · max P_j",
    )


def _frozen() -> Rule:
    return rule(
        _(
            "Frozen sensor: the very same reading of a whole node for %(FROZEN_MS)s, %(FROZEN_SAMPLES)s times"
            " at least and never further apart than %(FROZEN_GAP_MS)s, if something speaks against it. That"
            " proves nothing by itself: idle nodes read in whole watts show it."
        ),
        milliseconds(frozen, "FROZEN_MS"),
        plain(frozen, "FROZEN_SAMPLES"),
        milliseconds(frozen, "FROZEN_GAP_MS"),
    )


def _against_frozen() -> Rule:
    return rule(
        _(
            "Against it speaks that the node's own parts moved by %(MOVED_SHARE)s of the reading and"
            " %(MOVED_LEAST_MW)s W, their highest and lowest %(MOVED_TAIL)s of a hundred readings apart: then"
            " it is left out. That the sensor tells %(FINE_MW)s W apart on the same day (of %(FINE_DISTINCT)s"
            " readings at least), or that the node turned from idle to busy or back %(TURNS_LEAST)s times, for"
            " %(TURN_MS)s each, is reported; both together leave it out."
        ),
        share(frozen, "MOVED_SHARE"),
        _watts(frozen, "MOVED_LEAST_MW"),
        plain(frozen, "MOVED_TAIL"),
        _watts(frozen, "FINE_MW"),
        plain(frozen, "FINE_DISTINCT"),
        plain(frozen, "TURNS_LEAST"),
        milliseconds(frozen, "TURN_MS"),
    )


def _counter_jumps() -> Rule:
    return rule(
        _(
            "Counter jump: steps of an energy counter above the ceiling are reported with their joules. They"
            " are not placed in time, and booked to nobody."
        ),
        formula="ΔE > P_ceiling · Δt",
    )


def _skew() -> Rule:
    return rule(
        _(
            "Clock skew: a meter that follows the GPUs or the meters it contains only once it is moved by whole"
            " quarter hours, %(SKEW_MOST_QUARTERS)s at most: correlation of at least %(SKEW_GOOD)s then, and"
            " less by %(SKEW_BETTER)s as it is dated, by %(SKEW_ALONE)s for any shift more than %(SKEW_APART)s"
            " quarter hours from it; of %(SKEW_LEAST_QUARTERS)s quarter hours at least, with %(SKEW_TURNS)s"
            " turns, both varying by %(SKEW_LEAST_MW)s W. It is reported."
        ),
        plain(skew, "SKEW_MOST_QUARTERS"),
        plain(skew, "SKEW_GOOD"),
        plain(skew, "SKEW_BETTER"),
        plain(skew, "SKEW_ALONE"),
        plain(skew, "SKEW_APART"),
        plain(skew, "SKEW_LEAST_QUARTERS"),
        plain(skew, "SKEW_TURNS"),
        _watts(skew, "SKEW_LEAST_MW"),
    )


def _skewed_windows() -> Rule:
    return rule(
        _(
            "Or a log that lies beside at least %(WINDOW_FEWEST)s others, which have some time in common, and"
            " within %(WINDOW_SLACK_MS)s on them once it is moved by whole quarter hours."
        ),
        plain(skew, "WINDOW_FEWEST"),
        milliseconds(skew, "WINDOW_SLACK_MS"),
    )


def _chassis() -> Rule:
    return rule(
        _(
            "Shared chassis: several nodes with the same readings at the same instants in %(CHASSIS_SHARE)s of"
            " their hours, %(CHASSIS_DISTINCT)s different ones at least. Of %(CHASSIS_SURE_NODES)s nodes or"
            " more they are left out, if at least as many others read otherwise, for a chassis would count once"
            " for each node; else they are reported, for some meters divide their reading between two, and some"
            " logs are modelled."
        ),
        share(chassis, "CHASSIS_SHARE"),
        plain(chassis, "CHASSIS_DISTINCT"),
        plain(chassis, "CHASSIS_SURE_NODES"),
    )
