"""The rules from joules to emissions, cost and water; docs/carbon.md has them in words, with worked cases."""

from __future__ import annotations

from datetime import date

from django.utils.translation import gettext as _

from measurements.domain import carbon, overhead, slotting, timeshift, units
from measurements.selectors import equivalents
from portal.methodology import Constant, Section, fraction, joules, milliseconds, plain, rule, share


def sections() -> list[Section]:
    """In the order of the chain."""
    return [_chain(), _ladder(), _overhead(), _beside(), _bounds()]


def _chain() -> Section:
    return Section(
        "chain",
        _("From joules to emissions"),
        (
            rule(
                _(
                    "Each quarter hour's energy is multiplied by the factors of that quarter hour, never by those of a"
                    " job's start [2]. Shared infrastructure and PUE enter exactly once, each in a line of its own."
                ),
                formula=("E_IT = (E_metered + E_filled) · (1 + s); E_fac = E_IT · PUE; O = Σ_quarter hours E_fac · CI"),
            ),
            rule(
                _(
                    "The emissions of a figure are operational and location-based: those of the grid that supplies the"
                    " site. Where a site declares its contract, the market-based figure stands beside it and never in"
                    " its place [3]."
                )
            ),
            rule(
                _(
                    "Energies are kept in joules and shown in kWh: 1 kWh = %(J_PER_KWH)s J. 1 kg = %(G_PER_KG)s g,"
                    " 1 t = %(G_PER_T)s g."
                ),
                plain(units, "J_PER_KWH"),
                plain(carbon, "G_PER_KG"),
                plain(carbon, "G_PER_T"),
            ),
            rule(
                _(
                    "Prices are kept by cluster and day, energies without them: when a factor changes, days are priced"
                    " anew, and no joule is touched. What was closed or delivered keeps the factors it was made with."
                )
            ),
        ),
    )


def _ladder() -> Section:
    return Section(
        "ladder",
        _("Which carbon intensity is taken"),
        (
            rule(
                _(
                    "The best that is known of a quarter hour: measured for the slot, estimated for the slot, mean of"
                    " the month, mean of the year, mean of an earlier year. Each figure says which share of its energy"
                    " was priced how."
                )
            ),
            rule(
                _(
                    "What is unknown stays unknown: without any of them the energy is shown as not priced. There is no"
                    " world average, and no value is carried on after a failure."
                )
            ),
            rule(
                _(
                    "A slot holds for the quarter hours that it covers; shorter ones are averaged by their length; of"
                    " overlapping ones the shorter wins. A slot longer than %(_LONGEST_MS)s is no slot."
                ),
                milliseconds(slotting, "_LONGEST_MS"),
            ),
            rule(
                _(
                    "A factor holds from a local day of the site on, until a later one; %(EPOCH_DAY)s means from the"
                    " beginning. Rows are only added: of one day the newest holds."
                ),
                Constant(units, "EPOCH_DAY", date.isoformat),
            ),
            rule(
                _(
                    "From a mix of generation the intensity is the mean of its fuels' factors. Charging storage is no"
                    " generation."
                ),
                formula="CI = Σ_f G_f · EF_f / Σ_f G_f",
            ),
        ),
    )


def _overhead() -> Section:
    return Section(
        "overhead",
        _("Shared infrastructure and PUE"),
        (
            rule(
                _(
                    "Shared infrastructure (switches, storage, service nodes) is measured by quarter hour where meters"
                    " of it exist, else a declared share of the nodes' energy, else not included, which is said."
                ),
                formula="s = E_infrastructure / E_nodes",
            ),
            rule(
                _(
                    "The PUE is measured by UTC day where meters of the facility and of IT exist [4], else declared,"
                    " else 1 and called not configured."
                ),
                formula="PUE = Σ E_facility / Σ E_IT",
            ),
            rule(
                _(
                    "Meters above the nodes are held against them only in quarter hours in which at least"
                    " %(LEAST_COVERAGE)s of the nodes' time was measured; a day's PUE needs %(LEAST_QUARTERS)s such"
                    " quarter hours, and half of those that are over."
                ),
                share(overhead, "LEAST_COVERAGE"),
                plain(overhead, "LEAST_QUARTERS"),
            ),
            rule(
                _("A measured PUE below %(LOWEST_PUE)s or above %(HIGHEST_PUE)s is not used, and the figure says so."),
                plain(carbon, "LOWEST_PUE"),
                plain(carbon, "HIGHEST_PUE"),
            ),
        ),
    )


def _beside() -> Section:
    return Section(
        "beside",
        _("Embodied emissions, cost, water"),
        (
            rule(
                _(
                    "Embodied emissions of a node are spread evenly over its lifetime and charged by reserved"
                    " node-hour [2]; a year has %(HOURS_PER_YEAR)s hours. They have a low, a central and a high"
                    " figure, and stand apart from operational ones. Hours that no job reserved are the machine's own."
                ),
                plain(carbon, "HOURS_PER_YEAR"),
                formula="M = TE · (TiR / EL) · (RR / ToR)",
            ),
            rule(
                _("The cost is the facility's energy at the tariff of its quarter hour, by local time of the site."),
                formula="C = Σ E_fac · tariff",
            ),
            rule(
                _("The water of the site is IT energy times the declared WUE [5]. Without one there is no figure."),
                formula="W = E_IT · WUE",
            ),
            rule(
                _(
                    "What if a job had run at another hour is a difference of two figures that are shown as such. It is"
                    " never subtracted from emissions."
                ),
                formula="Δ = Σ E_slot · (CI_slot − CI_slot′)",
            ),
            rule(
                _("The greenest hours of a period are the %(GREENEST_PART)s of them with the lowest intensity."),
                fraction(timeshift, "GREENEST_PART"),
            ),
            rule(
                _(
                    "Equivalents only illustrate: at most %(AT_MOST)s, each with its source, none of less than"
                    " %(LEAST_J)s; those of energy come first, for they take no intensity for granted."
                ),
                plain(equivalents, "AT_MOST"),
                joules(equivalents, "LEAST_J"),
            ),
        ),
    )


def _bounds() -> Section:
    return Section(
        "bounds",
        _("What is refused"),
        (
            rule(
                _("A carbon intensity below %(LOWEST_G_PER_KWH)s or above %(HIGHEST_G_PER_KWH)s g/kWh is refused."),
                plain(carbon, "LOWEST_G_PER_KWH"),
                plain(carbon, "HIGHEST_G_PER_KWH"),
            ),
            rule(
                _(
                    "Intensities in pounds per MWh are refused, unless the import says that they are: 1 lb/MWh is"
                    " %(G_PER_KWH_FROM_LBS_PER_MWH)s g/kWh. Values of another zone or basis than those of the series"
                    " that they are meant for are always refused."
                ),
                plain(carbon, "G_PER_KWH_FROM_LBS_PER_MWH"),
            ),
        ),
    )
