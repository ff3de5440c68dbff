"""What is wrong with a study file that no single key can tell, and how a problem is told."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from churnsurv.errors import did_you_mean

if TYPE_CHECKING:
    from churnsurv.study.config import StudyConfig

__all__ = ["Problem", "check_together"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a study file: `where` is the key (``rule.idle_days``), `what` the sentence about it."""

    where: str
    what: str


def check_together(config: StudyConfig, campaign_fields: Collection[str]) -> list[Problem]:
    """Return what no single key can tell.

    Parameters
    ----------
    config : StudyConfig
    campaign_fields : collection of str
        Fields of [campaigns].
    """
    problems: list[Problem] = []
    start, end = config.observed_from, config.observed_until
    if start and end and start > end:
        problems.append(Problem("window.observed_from", f"{start} is after observed_until, {end}."))
    if config.features and config.baseline_day is None:
        what = "features need baseline_day, the day after registration at whose end they are known (such as 30)."
        problems.append(Problem("cox.features", what))
    if config.formula is None and (config.features or config.strata or config.reference):
        problems.append(Problem("cox.formula", 'is missing. Such as formula = "channel".'))
    if config.calendar and "calendar" in config.sources:
        problems.append(Problem("calendar", "stands under [sources] and as [[calendar]]. Keep one of the two."))
    problems += _check_who(config)
    problems += _check_why(config)
    problems += _check_warning(config)
    problems += _check_campaigns(config, campaign_fields)
    problems += _check_score(config)
    problems += [
        Problem(f"columns.{name}", f"sources.{name} is missing.")
        for name in config.columns
        if name not in config.sources
    ]
    return problems


def _check_who(config: StudyConfig) -> list[Problem]:
    found = []
    alive, plain = config.who_window + config.idle_days, type(config)()
    asked = (config.who_window, config.who_profile_horizon) != (plain.who_window, plain.who_profile_horizon)
    if asked and config.who_profile_horizon <= alive:
        what = (
            f"must be later than day {alive}, window and idle_days together: users are compared from then on. It is "
            f"{config.who_profile_horizon}."
        )
        found.append(Problem("who_churns.profile_horizon", what))
    if config.who_margin and "costs" not in config.sources:
        what = 'needs sources.costs, what channels cost: costs = "costs.csv".'
        found.append(Problem("who_churns.margin", what))
    return found


def _check_why(config: StudyConfig) -> list[Problem]:
    found = []
    asked, entries = config.why_shocks, [each.name for each in config.calendar]
    if asked.names and not entries and "calendar" not in config.sources:
        what = "needs a calendar that these entries stand in: [[calendar]], or sources.calendar."
        found.append(Problem("why.shocks.names", what))
    elif entries:
        found += [
            Problem("why.shocks.names", f"The calendar has no entry {name!r}.{did_you_mean(name, entries)}")
            for name in asked.names
            if name not in entries
        ]
    if "reasons" in config.sources and "feedback" not in config.sources:
        found.append(Problem("sources.reasons", "needs sources.feedback, the answers that the reasons are of."))
    return found


def _check_warning(config: StudyConfig) -> list[Problem]:
    known = ("balance", "n_investments") if config.warning_variables is None else config.warning_variables
    found = [
        Problem(f"warning.missing.{name}", f"is not among the variables.{did_you_mean(name, known)}")
        for name in config.warning_missing
        if name not in known
    ]
    if config.warning_backtest is not None and not config.warning_tiers:
        found.append(Problem("warning.backtest", "needs tiers to judge: sections such as [warning.tiers.high]."))
    return found


def _check_campaigns(config: StudyConfig, fields: Collection[str]) -> list[Problem]:
    found = []
    plain = type(config)()
    asked = any(getattr(config, name) != getattr(plain, name) for name in fields if name != "campaigns_on")
    if asked and "assignments" not in config.sources:
        what = 'needs sources.assignments, who was in which arm: assignments = "assignments.parquet".'
        found.append(Problem("campaigns", what))
    if "rewards" in config.sources and "assignments" not in config.sources:
        found.append(Problem("sources.rewards", "needs sources.assignments, the campaigns that promised them."))
    if config.campaigns_smallest_lift is not None and config.campaigns_smallest_lift < 1:
        what = f"is an odds ratio of at least 1; it is {config.campaigns_smallest_lift:g}."
        found.append(Problem("campaigns.smallest_lift", what))
    return found


def _check_score(config: StudyConfig) -> list[Problem]:
    found = []
    if config.score_policy is not None and "opt_outs" not in config.sources:
        what = (
            "is missing, and without it nobody may be contacted. Name the table of users who do not want to be: "
            'opt_outs = "opt_outs.csv" (user_id, perhaps channel; it may be empty).'
        )
        found.append(Problem("sources.opt_outs", what))
    return found
