"""The rules of comparing: what jobs compute, medians and their intervals, ranks, whose figures may be shown, boards."""

from __future__ import annotations

from django.utils.translation import gettext as _

from measurements.domain import (
    board_places,
    boards,
    comparison,
    crowd,
    like_jobs,
    workload_figures,
    workload_findings,
    workload_groups,
)
from measurements.domain.board_document import Rules
from portal.methodology import Constant, Section, exact, plain, rule, share, share_words


def sections() -> list[Section]:
    """Behind those of use."""
    return [_tags(), _comparing(), _boards()]


def _tags() -> Section:
    return Section(
        "workloads",
        _("Workloads and work"),
        (
            rule(
                _(
                    "What a job computes is said tag by tag: workload, phase, size, quality, work. Each is taken from"
                    " the strongest source that says it: an edit on the site, the operator's comment, the user's"
                    " comment, the site's rules in their order. Where each is from stands on the job's page."
                )
            ),
            rule(
                _(
                    "Energy per node-, core- or GPU-hour is mean power, is called mean power, and is never ranked:"
                    " code that idles would come first. Efficiency is energy for equal declared work."
                )
            ),
        ),
    )


def _comparing() -> Section:
    return Section(
        "comparing",
        _("Comparing"),
        (
            rule(
                _(
                    "Jobs are compared that have workload, phase, size, quality and unit of work in common, completed"
                    " on nodes of one type, were measured throughout and not ended by the machine. If more than"
                    " %(POOR)s of a type's completed jobs were not measured throughout, it is not ranked."
                ),
                share(workload_groups, "POOR"),
            ),
            rule(
                _(
                    "Figures are medians with their quartiles. The interval of a median is the percentile bootstrap's,"
                    " at %(LEVEL)s, of %(DRAWS)s draws that begin with the number %(SEED)s: the same jobs give the"
                    " same interval."
                ),
                share(comparison, "LEVEL"),
                plain(comparison, "DRAWS"),
                plain(comparison, "SEED"),
            ),
            rule(
                _(
                    "A rank is one more than the number of those proven less: whose interval lies wholly below. What"
                    " overlaps can't be told apart and shares a place. Node types with fewer than %(FEWEST_RANKED)s"
                    " jobs, and figures whose meters cover unlike things, are not ranked; one's own jobs are shown"
                    " from %(FEWEST_OWN)s on."
                ),
                plain(workload_figures, "FEWEST_RANKED"),
                plain(workload_groups, "FEWEST_OWN"),
                formula="rank = 1 + |{j : high(j) < low(i)}|",
            ),
            rule(
                _("Two node types are called comparable if the whole interval of their ratio lies within %(NEAR)s."),
                Constant(workload_findings, "NEAR", lambda near: " … ".join(map(exact, near))),
            ),
            rule(
                _(
                    "What a job would draw on another node type is told from at least %(FEWEST_JOBS)s jobs of like"
                    " work that ran there, for the work it declares. The interval is to hold the next job with a"
                    " probability of %(LEVEL)s: from %(FEWEST_RANKED)s jobs on by their order, of fewer by Student's t"
                    " on logarithms."
                ),
                plain(like_jobs, "FEWEST_JOBS"),
                share(like_jobs, "LEVEL"),
                plain(like_jobs, "FEWEST_RANKED"),
            ),
            rule(
                _(
                    "Others are shown a figure of people's jobs only if enough people stand behind it, never fewer"
                    " than %(FEWEST_EVER)s, and none of them makes more than %(LARGEST_ONE)s of its energy, no two"
                    " more than %(LARGEST_TWO)s. It is made of whole months that are over and each have such a crowd,"
                    " so that no difference of two figures tells of fewer."
                ),
                plain(crowd, "FEWEST_EVER"),
                share(crowd, "LARGEST_ONE"),
                share(crowd, "LARGEST_TWO"),
            ),
        ),
    )


def _eligible(rules: Rules) -> str:
    return _("%(jobs)s jobs on %(days)s days, %(kwh)s kWh, %(coverage)s measured") % {
        "jobs": rules.least_jobs,
        "days": rules.least_days,
        "kwh": exact(rules.least_kwh),
        "coverage": share_words(rules.least_coverage),
    }


def _boards() -> Section:
    return Section(
        "leaderboards",
        _("Leaderboards"),
        (
            rule(
                _(
                    "Whoever is on a leaderboard has at least: %(RULES)s. Their figure is a ratio of sums over all"
                    " their jobs of the period, failed ones and those without declared work too; what the machine"
                    " ended is left out. Days are drawn anew whole, so that splitting a job changes nothing."
                ),
                Constant(boards, "RULES", _eligible),
                formula="Σ energy ÷ Σ work",
            ),
            rule(
                _(
                    "Of unused energy it is the share of what was unused in it and what successful jobs drew above"
                    " idle: %(IDLE_MARGIN)s times the idle power of what they held is taken off, so that nobody gains"
                    " by sleeping, holding more or running slower."
                ),
                plain(boards, "IDLE_MARGIN"),
                formula="x ÷ (x + y)",
            ),
            rule(
                _(
                    "Somebody else is proven better if their interval lies wholly below one's own figure less a"
                    " margin: the half-width that %(MARGIN)s of the others' intervals do not exceed. One's own"
                    " interval counts for nothing, because one could widen it. Bands A to E are by the middle of the"
                    " best and the worst possible rank."
                ),
                share(board_places, "MARGIN"),
            ),
            rule(
                _(
                    "Figures that people stand behind have %(DIGITS_OF_PEOPLE)s significant digits, those of node"
                    " types %(DIGITS)s. A band of too few people is put together with its neighbour; the figure is the"
                    " band's, nobody's own. Pseudonyms are drawn anew for each edition."
                ),
                plain(boards, "DIGITS_OF_PEOPLE"),
                plain(boards, "DIGITS"),
            ),
            rule(
                _(
                    "An edition is frozen with its SHA-256 when it goes into review. Late data and new factors never"
                    " change it: it is corrected by a new revision that says why, or withdrawn."
                )
            ),
        ),
    )
