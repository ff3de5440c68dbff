"""Who churns: stages, structure, profiles, registration bursts and the value of channels, as far as a log can tell.

What a log cannot tell is absent, with the reason in one line. Only our own errors are reasons; any other is a fault of
ours and is raised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from churnsurv.diagnosis.naming import called, quoted
from churnsurv.errors import FollowUpError, InputError
from churnsurv.notes import note
from churnsurv.study.parts import left_out, part, why
from churnsurv.study.side_tables import calendar_of, costs_of
from churnsurv.tables.said import said_list

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data import ActivityLog
    from churnsurv.data.lifecycle import Lifecycle
    from churnsurv.diagnosis.bursts import CohortBursts
    from churnsurv.diagnosis.channels import ChannelValue
    from churnsurv.diagnosis.profile import ChurnProfile
    from churnsurv.diagnosis.structure import ChurnStructure
    from churnsurv.study.config import StudyConfig
    from churnsurv.study.study import Study

__all__ = ["PARTS", "CannotTellError", "WhoChurns", "value_of_channels", "who_churns"]

#: The parts and what notes call them.
PARTS: Mapping[str, str] = MappingProxyType(
    {
        "lifecycle": note("lifecycle stages"),
        "structure": note("churn by stage, channel and cohort"),
        "by_channel": note("churn by channel"),
        "profile": note("churned against retained users in their first days"),
        "spell_profile": note("churned against living users over their first spells"),
        "bursts": note("bursts of registrations"),
        "channels": note("the value of channels"),
    }
)
CHANNEL = "channel"
_NO_CHANNEL = note("The users have no column 'channel'; name theirs under [columns.users].")


@dataclass(frozen=True, slots=True, eq=False)
class WhoChurns:
    """Who the churned users are. Each part is None where it was not asked for, or where the log cannot tell it.

    Attributes
    ----------
    lifecycle : Lifecycle or None
        Users by stage on the last day of the log.
    structure : ChurnStructure or None
    profile : ChurnProfile or None
        Over the first days of all users, with tests.
    spell_profile : SpellProfile or None
        Over whole first spells: a description.
    bursts : CohortBursts or None
    channels : ChannelValue or None
        None without costs.
    absent : mapping of part to text
        Why a part that was asked for is not there.
    """

    lifecycle: Lifecycle | None = None
    structure: ChurnStructure | None = None
    profile: ChurnProfile | None = None
    spell_profile: ChurnProfile | None = None
    bursts: CohortBursts | None = None
    channels: ChannelValue | None = None
    absent: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "absent", MappingProxyType(dict(self.absent)))

    @property
    def notes(self) -> tuple[str, ...]:
        """What is absent and why, one line each; parts with the same reason together."""
        return left_out(self.absent, PARTS)


def who_churns(study: Study) -> WhoChurns:
    """Compute every part that the study asks for and its log can tell.

    Parameters
    ----------
    study : Study

    Raises
    ------
    InputError
        If costs, margin or calendar of the study cannot be used.
    """
    config, log = study.config, study.log
    if not config.who_on:
        return WhoChurns()
    absent: dict[str, str] = {}
    calendar = calendar_of(config, study.base, log.engine)
    spells = study.spells.table
    if CHANNEL not in spells:
        absent["by_channel"] = _NO_CHANNEL
    value = None
    if "costs" in config.sources:  # first, since costs that cannot be used stop the study
        try:
            value = value_of_channels(study)
        except CannotTellError as reason:
            absent["channels"] = why(reason)
    lifecycle = part("lifecycle", absent, lambda: _lifecycle(log))
    parts = {
        "structure": lambda: _structure(log, config, spells, staged=lifecycle is not None),
        "profile": lambda: _profile(log, config, form="early"),
        "spell_profile": lambda: _profile(log, config, form="spell"),
        "bursts": lambda: _bursts(log, config, calendar),
    }
    made = {name: part(name, absent, make) for name, make in parts.items()}
    return WhoChurns(lifecycle=lifecycle, **made, channels=value, absent=absent)  # type: ignore[arg-type]


class CannotTellError(InputError):
    """The log does not hold what a part is about."""


def _lifecycle(log: ActivityLog) -> Lifecycle:
    found: Lifecycle = log.lifecycle()
    table = found.table
    if (table["users"] > 0).sum() < 2:
        stages = said_list([quoted(name) for name in table.loc[table["users"] > 0, "stage"]])
        raise CannotTellError(
            note(
                "All users are in one stage ({stage}), by {variable}.",
                stage=stages or note("none"),
                variable=called(found.stages.by),
            )
        )
    return found


def _structure(log: ActivityLog, config: StudyConfig, spells: pd.DataFrame, *, staged: bool) -> ChurnStructure:
    """Churn by what tells users apart: stages where there are several, channel and month where they differ."""
    from churnsurv.diagnosis.structure import churn_structure

    by = ["stage"] if staged else []
    by += [name for name in (CHANNEL, "cohort") if name in spells and len(spells[name].drop_duplicates()) > 1]
    if not by:
        raise CannotTellError(
            note("All users have the same stage, channel and month of registration, as far as is known.")
        )
    return churn_structure(log, by=by, horizons=config.who_horizons, min_users=config.who_min_users, level=config.level)


def _profile(log: ActivityLog, config: StudyConfig, *, form: Literal["early", "spell"]) -> ChurnProfile:
    from churnsurv.diagnosis.profile import churn_profile

    found: ChurnProfile = churn_profile(
        log,
        form=form,
        window=config.who_window,
        horizon=config.who_profile_horizon,
        min_users=config.who_min_users,
        level=config.level,
    )
    if found.table.empty:
        raise CannotTellError(note("The users do not differ in anything that the tables tell of their behaviour."))
    return found


def _bursts(log: ActivityLog, config: StudyConfig, calendar: pd.DataFrame | None) -> CohortBursts:
    from churnsurv.diagnosis.bursts import cohort_bursts

    return cohort_bursts(log, calendar=calendar, min_users=config.who_min_users, ties=config.ties, level=config.level)


def value_of_channels(study: Study) -> ChannelValue:
    """Weigh the channels of a study with costs.

    Raises
    ------
    InputError
        If the log cannot tell it (no channels, too short), or costs or margin cannot be used.
    """
    from churnsurv.diagnosis.channels import channel_value

    config, log = study.config, study.log
    costs = costs_of(config, study.base, log.engine)
    if CHANNEL not in study.spells.table:
        raise CannotTellError(_NO_CHANNEL)
    try:
        return channel_value(
            log,
            costs,
            margin=dict(config.who_margin) or None,
            horizon=config.who_value_horizon,
            min_users=config.who_min_users,
            keep=config.who_keep,
            level=config.level,
        )
    except FollowUpError as reason:
        raise CannotTellError(str(reason)) from reason
