"""What the campaigns of a study brought back: their lift, by group, and what could have been said as they ran.

What cannot be told is absent, with the reason in one line. Only our own errors are reasons; any other is a fault of
ours and is raised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from churnsurv.errors import ChurnsurvError, require_columns
from churnsurv.notes import note
from churnsurv.study.parts import left_out, why
from churnsurv.study.side_tables import assignments_of, rewards_of

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.recall.lift import Lift
    from churnsurv.recall.monitor import LiftMonitor
    from churnsurv.study.study import Study

__all__ = ["Campaigns", "campaigns_back"]

#: The parts and what notes call them.
PARTS: Mapping[str, str] = MappingProxyType(
    {
        "lift": note("what campaigns brought back"),
        "groups": note("what they brought back by group"),
        "monitors": note("campaigns as they ran"),
    }
)
_RETURNED = ("return_probability",)


@dataclass(frozen=True, slots=True, eq=False)
class Campaigns:
    """What campaigns brought back. Each part is None, or empty, where it was not asked for or cannot be told.

    Attributes
    ----------
    lift : Lift or None
        None without assignments in the study.
    groups : Lift or None
        Returns alone, by the columns that the study names.
    monitors : mapping of campaign to LiftMonitor
        Of campaigns whose users were drawn into arms.
    absent : mapping of part to text
        Why a part that was asked for is not there.
    """

    lift: Lift | None = None
    groups: Lift | None = None
    monitors: Mapping[str, LiftMonitor] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("monitors", "absent"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    @property
    def notes(self) -> tuple[str, ...]:
        """What is absent and why, one line each; parts with the same reason together."""
        return left_out(self.absent, PARTS)


def campaigns_back(study: Study, *, only_try: bool = False) -> Campaigns:
    """Estimate the lift of the study's campaigns, by group too where it names groups, and follow them day by day.

    Parameters
    ----------
    study : Study
    only_try : bool
        Only what shows whether the tables will do: returns, without covariates.
    """
    config = study.config
    if not config.campaigns_on or "assignments" not in config.sources:
        return Campaigns()
    absent: dict[str, str] = {}
    try:
        tables = _tables(study)
        lift = _lift(study, tables, _RETURNED if only_try else None)
    except ChurnsurvError as reason:
        return Campaigns(absent={"lift": why(reason)})
    groups = None
    if config.campaigns_by and config.campaigns_design == "randomised":
        try:
            groups = _lift(study, tables, _RETURNED, by=list(config.campaigns_by))
        except ChurnsurvError as reason:
            absent["groups"] = why(reason)
    monitors: dict[str, LiftMonitor] = {}
    if config.campaigns_design == "randomised" and not only_try:
        for campaign in lift.campaigns:
            try:
                monitors[campaign] = _monitor(study, tables, campaign)
            except ChurnsurvError as reason:
                absent.setdefault("monitors", why(reason))
    return Campaigns(lift, groups, monitors, absent)


@dataclass(frozen=True, slots=True, eq=False)
class _Tables:
    assignments: pd.DataFrame
    rewards: pd.DataFrame | None


def _tables(study: Study) -> _Tables:
    """Assignments and rewards under our names, strata as one column.

    Raises
    ------
    ChurnsurvError
        If they cannot be read, or have no such columns.
    """
    config, engine = study.config, study.log.engine
    assignments = assignments_of(config, study.base, engine)
    if config.campaigns_strata:
        require_columns("assignments", list(config.campaigns_strata), assignments.columns)
        values = assignments[list(config.campaigns_strata)].astype("string").fillna("missing")
        assignments = assignments.assign(stratum=values.agg(" | ".join, axis=1).astype(object))
    return _Tables(assignments, rewards_of(config, study.base, engine))


def _lift(study: Study, tables: _Tables, outcomes: tuple[str, ...] | None, **further: Any) -> Lift:
    from churnsurv.recall.lift import campaign_lift

    config = study.config
    # returns alone are told without covariates, by which no group is adjusted either; without lots there must be some
    covariates = () if outcomes is not None and config.campaigns_design == "randomised" else None
    return campaign_lift(
        tables.assignments,
        study.log,
        horizon=config.campaigns_horizon,
        control=config.campaigns_control,
        design=config.campaigns_design,
        campaign=config.campaigns_campaign,
        outcomes=outcomes,
        covariates=covariates,
        rewards=tables.rewards,
        margin=config.campaigns_margin,
        level=config.level,
        seed=config.seed or 0,
        **further,
    )


def _monitor(study: Study, tables: _Tables, campaign: str) -> LiftMonitor:
    from churnsurv.recall.monitor import lift_monitor

    config = study.config
    return lift_monitor(
        tables.assignments,
        study.log,
        control=config.campaigns_control,
        horizon=config.campaigns_horizon,
        smallest_lift=config.campaigns_smallest_lift,
        campaign=campaign,
        level=config.level,
    )
