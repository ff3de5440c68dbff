"""Thresholds and tiers of a study: how likely silent users churn, when to warn, and how that does on later days.

What a log cannot tell is absent, with the reason in one line. Only our own errors are reasons; any other is a fault of
ours and is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from churnsurv.errors import ChurnsurvError
from churnsurv.notes import note
from churnsurv.study.parts import left_out, part, why
from churnsurv.tables.said import said_list

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.study.config import StudyConfig
    from churnsurv.study.study import Study
    from churnsurv.warning.alerts import Alerts
    from churnsurv.warning.backtest import Backtest
    from churnsurv.warning.idle_risk import IdleRisk
    from churnsurv.warning.scheme import TierScheme

__all__ = ["VARIABLES", "ThresholdsAndTiers", "thresholds_and_tiers", "tiers_of"]

#: The parts and what notes call them.
PARTS: Mapping[str, str] = MappingProxyType(
    {
        "risk": note("idle risk"),
        "risk_by": note("idle risk by group"),
        "tiers": note("warning tiers"),
        "value": note("value by day"),
        "surface": note("risk by idle days and band"),
        "timeline": note("users in the tiers over time"),
        "backtest": note("tiers on later days"),
        "alerts": note("alerts of the last day"),
    }
)
#: What rules look at unless the study says otherwise: as many of these as a log can tell, and as differ.
VARIABLES = ("balance", "n_investments")
_TRIED = (VARIABLES, VARIABLES[1:], VARIABLES[:1], ())
#: Names of tiers whose order everybody knows, lowest first.
_KNOWN = ("low", "medium", "high")
#: Dates of a timeline, about.
_DATES = 80


@dataclass(frozen=True, slots=True, eq=False)
class ThresholdsAndTiers:
    """When silent users churn and when to warn. Each part is None where it was not asked for or cannot be told.

    Attributes
    ----------
    risk : IdleRisk or None
        Of all users.
    risk_by : IdleRisk or None
        By the groups or bands that the study names.
    tiers : TierScheme or None
        None without tiers in the study.
    value : DataFrame or None
        Schema "value_by_day": what contacts are worth by idle day, by the highest tier that has a value objective.
    surface : IdleRisk or None
        By the bands that the rules have of their first variable; None where they look at idle days alone.
    timeline : DataFrame or None
        Schema "tier_timeline".
    backtest : Backtest or None
        None unless the study asks for it.
    alerts : Alerts or None
        Of the last day of the log.
    absent : mapping of part to text
        Why a part that was asked for is not there.
    remarks : tuple of str
        What was left out of a part that is there, and why.
    """

    risk: IdleRisk | None = None
    risk_by: IdleRisk | None = None
    tiers: TierScheme | None = None
    value: pd.DataFrame | None = None
    surface: IdleRisk | None = None
    timeline: pd.DataFrame | None = None
    backtest: Backtest | None = None
    alerts: Alerts | None = None
    absent: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "absent", MappingProxyType(dict(self.absent)))

    @property
    def notes(self) -> tuple[str, ...]:
        """What is absent and why, one line each; parts with the same reason together."""
        return (*left_out(self.absent, PARTS), *self.remarks)


def thresholds_and_tiers(study: Study, *, only_try: bool = False) -> ThresholdsAndTiers:
    """Compute every part that the study asks for and its log can tell.

    Parameters
    ----------
    study : Study
    only_try : bool
        Leave out what takes long and can hardly fail once the tiers are fitted; of the backtest only look whether the
        log is long enough.
    """
    config = study.config
    if not config.warning_on:
        return ThresholdsAndTiers()
    absent: dict[str, str] = {}
    remarks: list[str] = []
    by = _groups(config)
    risk = part("risk", absent, lambda: _risk(study, None))
    risk_by = part("risk_by", absent, lambda: _risk(study, by)) if by and risk is not None else None
    tiers = part("tiers", absent, lambda: tiers_of(study, remarks)) if config.warning_tiers else None
    found: dict[str, Any] = {}
    if tiers is not None:
        makers: dict[str, Callable[[], Any]] = {"backtest": lambda: _backtest(study, tiers, only_try=only_try)}
        if not only_try:
            makers = {
                "value": lambda: _value(config, risk),
                "surface": lambda: _surface(study, tiers),
                "timeline": lambda: _timeline(study, tiers),
                **makers,
                "alerts": lambda: _alerts(study, tiers),
            }
        found = {name: part(name, absent, make) for name, make in makers.items()}
    return ThresholdsAndTiers(risk=risk, risk_by=risk_by, tiers=tiers, absent=absent, remarks=tuple(remarks), **found)


def _groups(config: StudyConfig) -> Any:
    """What the idle risk is split by; a month of registration says little about silence, and there are many."""
    if config.warning_by is not None:
        return config.warning_by
    return [name for name in config.by if name != "cohort"][:1]


def _risk(study: Study, by: Any) -> IdleRisk:
    from churnsurv.warning.idle_risk import idle_risk

    return idle_risk(study.log, by, level=study.config.level)


def tiers_of(study: Study, remarks: list[str]) -> TierScheme:
    """Fit over the variables that the study names; unless it names any, over as many of the usual ones as will do.

    Raises
    ------
    InputError
        If the log cannot tell: for the reason that even a rule on idle days alone meets.
    """
    if study.config.warning_variables is not None:
        return _fitted(study, study.config.warning_variables)
    reason: ChurnsurvError | None = None
    for variables in _TRIED:
        try:
            scheme = _fitted(study, variables)
        except ChurnsurvError as error:
            reason, last = reason or error, error
            if not variables:
                raise last from None
            continue
        if reason is not None:
            if variables:
                names = said_list(variables)
                remarks.append(
                    note("Rules of tiers look at {names} and idle days. {reason}", names=names, reason=why(reason))
                )
            else:
                remarks.append(note("Rules of tiers look at idle days alone. {reason}", reason=why(reason)))
        return scheme
    raise AssertionError("the last try has no variables")


def _fitted(study: Study, variables: Sequence[str]) -> TierScheme:
    from churnsurv.warning.fitting import fit_tiers

    return fit_tiers(study.log, seed=study.config.seed or 0, **_asked(study.config, variables))


def _asked(config: StudyConfig, variables: Sequence[str]) -> dict[str, Any]:
    """What the tiers of a study are fitted by, on all days and up to each origin of a backtest."""
    return {
        "objective": dict(config.warning_tiers),
        "variables": list(variables),
        "tiers": _order(tuple(config.warning_tiers)),
        "missing": {name: value for name, value in config.warning_missing.items() if name in variables} or None,
        "level": config.level,
    }


def _value(config: StudyConfig, risk: IdleRisk | None) -> pd.DataFrame | None:
    """By the worth of the highest tier that states one."""
    from churnsurv.warning.objectives import Value

    names = tuple(config.warning_tiers)
    order = [name for name in _order(names)[::-1] if name in names]
    worth = next((each for name in order if isinstance(each := config.warning_tiers[name], Value)), None)
    return None if worth is None or risk is None else risk.value(worth, variants=True)


def _surface(study: Study, tiers: TierScheme) -> IdleRisk | None:
    variable = next((name for name in tiers.bands()["variable"].dropna()), None)
    return None if variable is None else _risk(study, {str(variable): tiers.grids[str(variable)]})


def _timeline(study: Study, tiers: TierScheme) -> pd.DataFrame:
    """Week by week, or by so many weeks that the dates are not too many."""
    from churnsurv.warning.timeline import tier_timeline

    n_days = (study.log.observed_until - study.log.observed_from).days
    return tier_timeline(study.log, tiers, every=7 * max(1, round(n_days / 7 / _DATES)))


def _alerts(study: Study, tiers: TierScheme) -> Alerts:
    from churnsurv.warning.alerts import alerts

    widths = dict(study.config.score_hysteresis) or None
    return alerts(tiers, study.log, as_of=study.log.observed_until, hysteresis=widths, level=study.config.level)


def _backtest(study: Study, tiers: TierScheme, *, only_try: bool) -> Backtest | None:
    from churnsurv.warning.backtest import backtest
    from churnsurv.warning.backtest_windows import windows

    asked = study.config.warning_backtest
    if asked is None:
        return None
    if only_try:
        windows(study.log, asked.origins, asked.test_days, known_until=None)
        return None
    variables = [each if isinstance(each, str) else each.name for each in tiers.variables]
    return backtest(
        study.log,
        spec=_asked(study.config, variables),
        origins=asked.origins,
        test_days=asked.test_days,
        capacity=asked.capacity or None,
        level=study.config.level,
    )


def _order(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the tiers, lowest first: the usual ones in their order, others as the file has them, highest first."""
    return _KNOWN if set(names) <= set(_KNOWN) else names[::-1]
