"""What the figures are of and what they are not, and the works that the rules are from."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _

from portal.methodology import Section, rule


@dataclass(frozen=True, slots=True)
class Reference:
    """A work, as it is cited."""

    number: int
    text: str
    url: str = ""


REFERENCES = (
    Reference(
        1,
        "W. H. Press, S. A. Teukolsky, W. T. Vetterling, B. P. Flannery: Numerical Recipes. The Art of Scientific"
        " Computing. 3rd edition, Cambridge University Press, 2007, chapter 4.",
    ),
    Reference(
        2,
        "Green Software Foundation: Software Carbon Intensity (SCI) Specification, version 1.1. Also ISO/IEC"
        " 21031:2024.",
        "https://sci.greensoftware.foundation/",
    ),
    Reference(
        3,
        "Greenhouse Gas Protocol: Scope 2 Guidance. An amendment to the GHG Protocol Corporate Standard. World"
        " Resources Institute, 2015.",
        "https://ghgprotocol.org/scope-2-guidance",
    ),
    Reference(
        4,
        "ISO/IEC 30134-2: Information technology. Data centres key performance indicators. Part 2: Power usage"
        " effectiveness (PUE). Also EN 50600-4-2.",
    ),
    Reference(
        5,
        "ISO/IEC 30134-9:2022: Information technology. Data centres key performance indicators. Part 9: Water usage"
        " effectiveness (WUE).",
    ),
    Reference(
        6,
        "S. Schlömer et al.: Annex III: Technology-specific cost and performance parameters. In: Climate Change 2014:"
        " Mitigation of Climate Change. Working Group III to the Fifth Assessment Report of the IPCC. Cambridge"
        " University Press, 2014, table A.III.2.",
        "https://www.ipcc.ch/site/assets/uploads/2018/02/ipcc_wg3_ar5_annex-iii.pdf",
    ),
)


def scope() -> Section:
    """What stands before all rules."""
    return Section(
        "scope",
        _("What the figures are of"),
        (
            rule(_("Energy is metered energy of compute nodes: what their meters show, nothing derived from runtime.")),
            rule(
                _(
                    "Emissions are those of making the electricity (scope 2), with the upstream of fuels where the"
                    " basis is lifecycle, and, apart from them, embodied emissions of the nodes (scope 3) where a site"
                    " declares them."
                )
            ),
            rule(
                _(
                    "Out of scope is scope 3 beyond embodied emissions: staff, travel, the building, networks outside"
                    " the site. So are fuels that the site burns itself (scope 1)."
                )
            ),
            rule(
                _(
                    "Energy that no job held, and node-hours that no job reserved, are the machine's own. They are"
                    " shown, and charged to nobody."
                )
            ),
            rule(
                _(
                    "These pages inform. They claim no compliance with any law or standard, and certificates reduce no"
                    " location-based figure."
                )
            ),
        ),
    )
