"""The rules of node types: mean power, whether meters hold the GPUs, and nodes that draw more for the same work."""

from __future__ import annotations

from django.utils.translation import gettext as _

from measurements.domain import outliers, scope_check
from portal.methodology import Section, milliseconds, plain, rule, share


def sections() -> list[Section]:
    """Behind those of use."""
    return [_mean_power(), _meters(), _outliers()]


def _mean_power() -> Section:
    return Section(
        "mean-power",
        _("Node types"),
        (
            rule(
                _(
                    "The mean power of a node type is the metered energy of its nodes by the hours in which they were"
                    " measured; by core-hour and GPU-hour the same shared out over the cores or GPUs of a node, their"
                    " mean over its nodes and days where they differ. It is no efficiency: it says nothing of what was"
                    " computed, and no types are ranked by it."
                ),
                formula=_("P = E ÷ t(covered)"),
            ),
            rule(
                _(
                    "The time that nobody held is 1 less the node-hours that jobs reserved by those in which nodes were"
                    " on."
                ),
            ),
        ),
    )


def _meters() -> Section:
    return Section(
        "meter-scope",
        _("Whether a meter holds the GPUs"),
        (
            rule(
                _(
                    "A node's meter is compared with the sum of its GPUs over a UTC day, in means of %(BUCKET_MS)s, if"
                    " at least %(LEAST_PAIRS)s of them are known of both: M = s G + C, with C the rest of the node."
                ),
                milliseconds(scope_check, "BUCKET_MS"),
                plain(scope_check, "LEAST_PAIRS"),
                formula="|b − s| ≤ (K ÷ 2) ÷ sd(G)",
            ),
            rule(
                _(
                    "K is the most that the rest of the node can vary: its rated less its idle power, or"
                    " %(CORE_SWING_W)s W for each core where these are not declared; where processors and memory are"
                    " metered at most %(PARTS_FACTOR)s times what they varied, and %(UNSEEN_SHARE)s of it once they are"
                    " taken out. What the slope would leave for the rest may not vary by more than %(SWING_SLACK)s K"
                    " either, the %(EDGE_SHARE)s of highest and lowest values apart."
                ),
                plain(scope_check, "CORE_SWING_W"),
                plain(scope_check, "PARTS_FACTOR"),
                share(scope_check, "UNSEEN_SHARE"),
                plain(scope_check, "SWING_SLACK"),
                share(scope_check, "EDGE_SHARE"),
            ),
            rule(
                _(
                    "The interval of the slope is the bootstrap's of %(LEVEL)s over blocks of %(BLOCK)s values, widened"
                    " by what the rest of the node can do. A meter is said to include the GPUs if no slope up to"
                    " %(OUTSIDE_MOST)s is possible and one of %(INSIDE_LEAST)s to %(INSIDE_MOST)s is; to exclude them"
                    " if it is the other way round; else it cannot be told."
                ),
                share(scope_check, "LEVEL"),
                plain(scope_check, "BLOCK"),
                plain(scope_check, "OUTSIDE_MOST"),
                plain(scope_check, "INSIDE_LEAST"),
                plain(scope_check, "INSIDE_MOST"),
            ),
            rule(
                _(
                    "Nor is it told where more than %(MOST_ERROR)s of the variance of the GPUs' power is error of"
                    " reading it at instants, or where a meter that seems to exclude them follows them up to"
                    " %(MOST_SKEW)s values earlier or later: then a clock is wrong."
                ),
                share(scope_check, "MOST_ERROR"),
                plain(scope_check, "MOST_SKEW"),
            ),
        ),
    )


def _outliers() -> Section:
    return Section(
        "outlier-nodes",
        _("Nodes that draw more"),
        (
            rule(
                _(
                    "Completed single-node jobs with declared work are compared with those of the same workload, phase,"
                    " size, target, unit and node type, if these ran on at least %(LEAST_NODES)s nodes: x is the"
                    " logarithm of a job's energy for each unit of work over their median."
                ),
                plain(outliers, "LEAST_NODES"),
                formula="x = ln(e ÷ median e)",
            ),
            rule(
                _(
                    "A node with at least %(LEAST_JOBS)s such jobs is named if the bootstrap interval of the median of"
                    " x lies above ln %(MORE)s, and if the sign test says so at a level of %(FALSE_ALARMS)s shared out"
                    " over all nodes."
                ),
                plain(outliers, "LEAST_JOBS"),
                plain(outliers, "MORE"),
                share(outliers, "FALSE_ALARMS"),
            ),
        ),
    )
