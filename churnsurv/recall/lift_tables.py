"""The tables of a lift: one row for each arm and outcome, curves of return, and the difference of curves over days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from churnsurv.errors import InputError, did_you_mean
from churnsurv.notes import Note, note
from churnsurv.numerics.augmentation import ArmVector, within_clusters
from churnsurv.numerics.bootstrap_t import student_law
from churnsurv.numerics.kaplan_meier import survival_limits
from churnsurv.numerics.two_groups import simultaneous_critical
from churnsurv.recall.lift_arms import AMOUNTS, CampaignArms, comparison, unit_influence
from churnsurv.survival.multiplicity import ADJUST, adjusted, holds_together
from churnsurv.tables import schema

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "UNITS",
    "Settings",
    "check_lift_adjust",
    "curve_tables",
    "gain_table",
    "lift_table",
    "needed_outcomes",
    "with_users_per_return",
]

Floats: TypeAlias = NDArray[np.float64]

#: Outcomes in the order of the table: factor of the unit, and its words.
UNITS: dict[str, tuple[float, str]] = {
    "return_probability": (1000.0, "per 1,000 users"),
    "risk_ratio": (1.0, "ratio"),
    "users_per_return": (1.0, "users"),
    "days_to_return": (1.0, "days"),
    "hazard_ratio": (1.0, "ratio"),
    "active_days": (1000.0, "days per 1,000 users"),
    "reinvested": (1000.0, "money per 1,000 users"),
    "net_value": (1000.0, "money per 1,000 users"),
    "days_live": (1000.0, "days per 1,000 users"),
}


_HEAVY = 0.2  # share of the variance of one user, from which on a reader is warned


@dataclass(frozen=True, slots=True)
class Settings:
    """What was asked for: outcomes in order, level, adjustment for several arms, seed of resamples."""

    outcomes: tuple[str, ...]
    level: float
    adjust: str
    seed: int


def check_lift_adjust(adjust: str) -> str:
    """Return the name of an adjustment for several arms, or say which there are.

    Examples
    --------
    >>> check_lift_adjust("dunnett")
    'dunnett'
    """
    known = (*ADJUST, "dunnett")
    if adjust not in known:
        raise InputError(
            f"adjust must be one of {', '.join(map(repr, known))}, not {adjust!r}.{did_you_mean(str(adjust), known)}"
        )
    return adjust


def lift_table(found: CampaignArms, campaign: str, asked: Settings) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """One row for each outcome, arm, and with or without covariates; and how limits of amounts were found."""
    import pandas as pd

    records: list[dict[str, Any]] = []
    laws: dict[str, None] = {}
    for outcome in needed_outcomes(asked.outcomes):
        for vector in (found.plain, found.adjusted):
            if vector is None:
                continue
            of_outcome = _outcome_rows(found, vector, outcome, asked, campaign, laws)
            records += [{"campaign": campaign, "adjusted": vector is found.adjusted, **row} for row in of_outcome]
    records = with_users_per_return(records, asked.outcomes)
    table = pd.DataFrame.from_records(records, columns=list(schema("lift").names))
    return table, tuple(laws)


def _heavy(campaign: str, arm: str, outcome: str, share: float) -> Note:
    """That one user decides on an amount."""
    amounts = {
        "reinvested": note("reinvested"),
        "net_value": note("net_value"),
    }
    return note(
        "{campaign}, {arm}: one user makes up {share} of the variance of {outcome}, and no limits can be trusted then.",
        campaign=campaign,
        arm=arm,
        share=f"{share:.0%}",
        outcome=amounts[outcome],
    )


def _outcome_rows(
    found: CampaignArms, vector: ArmVector, outcome: str, asked: Settings, campaign: str, laws: dict[str, None]
) -> list[dict[str, Any]]:
    """Rows of one outcome for all arms, p-values and limits for their number."""
    arms = range(1, len(found.arms))
    factor, unit = UNITS[outcome]
    compared = [_compared(found, vector, outcome, k) for k in arms]
    estimate, error = np.array(compared).T
    contrasts = None if outcome == "risk_ratio" else np.array([found.contrast(outcome, k) for k in arms])
    reach = _reach(found, vector, outcome, error, asked)
    low, high, p_value = -reach * np.ones_like(error), reach * np.ones_like(error), _two_sided(estimate, error)
    if outcome in AMOUNTS and contrasts is not None:
        for i, contrast in enumerate(contrasts):
            influence, group = unit_influence(found, vector, contrast)
            law = student_law(
                influence, group, estimate=estimate[i], std_error=error[i], level=2 * float(ndtr(reach)) - 1,
                seed=asked.seed,
            )  # fmt: skip
            low[i], high[i], p_value[i] = law.low, law.high, law.p_value
            laws[law.how] = None
            if law.largest > _HEAVY:
                laws[_heavy(campaign, found.arms[i + 1], outcome, law.largest)] = None
    lower, upper = estimate - error * high, estimate - error * low
    if unit == "ratio":
        with np.errstate(over="ignore"):
            estimate, lower, upper = np.exp(estimate), np.exp(lower), np.exp(upper)
    values = None if unit == "ratio" else vector.estimate[:, found.columns[outcome]] * factor
    p_adjusted = _p_adjusted(found, vector, outcome, error, p_value, asked)
    n = found.cells.n.sum(axis=1)
    return [
        {
            "arm": found.arms[k],
            "outcome": outcome,
            "unit": unit,
            "estimate": estimate[i] * factor,
            "lower": lower[i] * factor,
            "upper": upper[i] * factor,
            "std_error": error[i] * factor,
            "p_value": p_value[i],
            "adjusted_p_value": p_adjusted[i],
            "arm_value": np.nan if values is None else values[k],
            "control_value": np.nan if values is None else values[0],
            "n_arm": int(n[k]),
            "n_control": int(n[0]),
        }
        for i, k in enumerate(arms)
    ]


def _compared(found: CampaignArms, vector: ArmVector, outcome: str, arm: int) -> tuple[float, float]:
    """Estimate and standard error of a difference, or of the logarithm of a ratio."""
    if outcome == "risk_ratio":
        return _log_ratio(vector, arm)
    one = comparison(found, vector, outcome, arm)
    return one.estimate, one.std_error


def _log_ratio(vector: ArmVector, arm: int) -> tuple[float, float]:
    """Log ratio of the shares returned, and its standard error by the delta method; NaN where a share is not > 0."""
    share = vector.estimate[[0, arm], 0]
    if not (share > 0).all():
        return np.nan, np.nan
    load = np.array([-1.0, 1.0]) / share
    variance = float(load @ vector.covariance[[0, arm], 0][:, [0, arm], 0] @ load)
    return float(np.log(share[1] / share[0])), float(np.sqrt(variance)) if variance > 0 else np.nan


def _two_sided(estimate: Floats, error: Floats) -> Floats:
    found: Floats = 2 * ndtr(-np.abs(estimate / error))
    return found


def _correlation(found: CampaignArms, vector: ArmVector, outcome: str) -> Floats:
    """Of the comparisons of all arms with the control."""
    q = vector.estimate.size
    arms = range(1, len(found.arms))
    if outcome == "risk_ratio":
        load = np.zeros((len(arms), *vector.estimate.shape))
        for i, k in enumerate(arms):
            load[i, [0, k], 0] = np.array([-1.0, 1.0]) / vector.estimate[[0, k], 0]
    else:
        load = np.array([found.contrast(outcome, k) for k in arms])
    flat = load.reshape(len(arms), q)
    covariance = flat @ vector.covariance.reshape(q, q) @ flat.T
    size = np.sqrt(np.diagonal(covariance))
    return np.asarray(covariance / np.outer(size, size))


def _reach(found: CampaignArms, vector: ArmVector, outcome: str, error: Floats, asked: Settings) -> float:
    """Standard errors from an estimate to its limits: limits hold together where the adjustment is of that kind."""
    number = int(np.sum(error > 0))
    if number > 1 and asked.adjust == "dunnett" and number == error.size:
        return simultaneous_critical([_correlation(found, vector, outcome)], asked.level)
    together = holds_together(asked.adjust) or asked.adjust == "dunnett"
    return float(-ndtri((1 - asked.level) / 2 / (max(number, 1) if together else 1)))


def _p_adjusted(
    found: CampaignArms,
    vector: ArmVector,
    outcome: str,
    error: Floats,
    p_value: Floats,
    asked: Settings,
) -> Floats:
    if asked.adjust != "dunnett":
        return adjusted(p_value, asked.adjust)
    if error.size == 1 or not (error > 0).all():
        return adjusted(p_value, "bonferroni")
    return _dunnett(p_value, _correlation(found, vector, outcome))


def _dunnett(p_value: Floats, correlation: Floats) -> Floats:
    """P(the largest of the comparisons is as far out) under no effect: between each p-value and Bonferroni's."""
    from scipy.stats import multivariate_normal

    k = p_value.shape[0]
    found = np.empty(k)
    for i, p in enumerate(p_value):
        z = -float(ndtri(max(p, 1e-300) / 2))
        # a seed of its own: the same input gives the same digits
        law = multivariate_normal(np.zeros(k), correlation, allow_singular=True, seed=1)
        inside = float(law.cdf(np.full(k, z), lower_limit=np.full(k, -z)))
        found[i] = np.clip(1 - inside, p, min(1.0, k * p))
    return found


def needed_outcomes(outcomes: Sequence[str]) -> tuple[str, ...]:
    """Those that have to be estimated: users for a return are told by the share that returned.

    Examples
    --------
    >>> needed_outcomes(["users_per_return", "days_to_return"])
    ('return_probability', 'days_to_return')
    """
    estimated = {"return_probability" if name == "users_per_return" else name for name in outcomes}
    return tuple(name for name in UNITS if name in estimated)


def with_users_per_return(records: list[dict[str, Any]], outcomes: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of the outcomes in their order, with the users to contact for one more return where they are among them.

    These are known only where the interval of the difference is off zero.
    """
    more = []
    for row in records:
        if row["outcome"] != "return_probability" or "users_per_return" not in outcomes:
            continue
        off = row["lower"] > 0 or row["upper"] < 0
        turned = {name: 1000.0 / row[of] if off else np.nan for name, of in _TURNED.items()}
        blank = dict.fromkeys(("std_error", "p_value", "adjusted_p_value", "arm_value", "control_value"), np.nan)
        more.append({**row, **turned, **blank, "outcome": "users_per_return", "unit": UNITS["users_per_return"][1]})
    place = {name: i for i, name in enumerate(outcomes)}
    shown = [row for row in [*records, *more] if row["outcome"] in place]
    return sorted(shown, key=lambda row: place[row["outcome"]])


_TURNED = {"estimate": "estimate", "lower": "upper", "upper": "lower"}


def gain_table(found: CampaignArms, campaign: str, asked: Settings) -> pd.DataFrame:
    """How much variance adjustment took out; schema "lift_gain"."""
    import pandas as pd

    records: list[tuple[Any, ...]] = []
    for outcome in asked.outcomes:
        if outcome == "users_per_return" or found.adjusted is None:
            continue
        for k in range(1, len(found.arms)):
            before, after = (_compared(found, vector, outcome, k)[1] for vector in (found.plain, found.adjusted))
            ratio = (after / before) ** 2
            records.append((campaign, found.arms[k], outcome, ratio, 1 - ratio, len(found.covariates)))
    return pd.DataFrame.from_records(records, columns=list(schema("lift_gain").names))


def curve_tables(found: CampaignArms, campaign: str, asked: Settings) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Share returned by day and arm, and differences with the control: schemas "return_curves", "lift_over_time"."""
    import pandas as pd

    curves, cells = found.curves, found.cells
    days = np.arange(1, int(curves.horizon) + 1)
    place = np.searchsorted(curves.time, days, side="right") - 1  # the time that each day's value is of
    shares = cells.mean(1 - curves.survival)
    covariance = _curve_covariance(found)
    at_risk = _at_risk(found, days)
    one, two = [], []
    for k, arm in enumerate(found.arms):
        spread = np.sqrt(np.maximum(np.diagonal(covariance[k, :, k, :]), 0.0))
        lower, upper = survival_limits(1 - shares[k], spread, reach=float(ndtri(0.5 + asked.level / 2)), ci="log-log")
        values = [_on_days(column, place) for column in (shares[k], 1 - upper, 1 - lower)]
        one.append(_columns("return_curves", campaign, arm, days, *values, at_risk[k]))
        if k:
            both = covariance[k, :, k, :] + covariance[0, :, 0, :] - covariance[k, :, 0, :] - covariance[0, :, k, :]
            limits = _difference(shares[k] - shares[0], both, asked.level)
            of_days = [_on_days(1000 * column, place) for column in limits]
            two.append(_columns("lift_over_time", campaign, arm, days, *of_days))
    return pd.concat(one, ignore_index=True), pd.concat(two, ignore_index=True)


def _columns(name: str, *values: Any) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(dict(zip(schema(name).names, values, strict=True)))


def _on_days(values: Floats, place: NDArray[np.intp]) -> Floats:
    """Values by time on days; nothing has happened before the first time."""
    return np.where(place < 0, 0.0, values[np.maximum(place, 0)])


def _at_risk(found: CampaignArms, days: NDArray[np.int64]) -> NDArray[np.int64]:
    """Users of each arm who have not returned and are still followed at the beginning of each day."""
    by_cell = found.curves.counts.at_risk(days)
    return np.asarray(by_cell.reshape(found.cells.n_arms, found.cells.n_strata, -1).sum(axis=1))


def _curve_covariance(found: CampaignArms) -> Floats:
    """Covariance of the shares returned over arms and times, (n_arms, n_times, n_arms, n_times)."""
    cells, curves = found.cells, found.curves
    n_arms, n_times = cells.n_arms, curves.time.shape[0]
    total = np.zeros((n_arms, n_times, n_arms, n_times))
    weight = cells.weight()
    for cell in range(n_arms * cells.n_strata):
        a = cell // cells.n_strata
        total[a, :, a, :] += weight[cell] ** 2 * curves.covariance_of_return(cell)
    between = None
    if cells.n_strata > 1:
        returned = (1 - curves.survival).reshape(n_arms, cells.n_strata, n_times)
        between = np.swapaxes(returned - cells.mean(1 - curves.survival)[:, None, :], 0, 1) / cells.n_users
        flat = between.reshape(cells.n_strata, -1)
        total += ((flat.T * cells.n.sum(axis=0)) @ flat).reshape(total.shape)
    if found.clusters is not None:
        tables = np.array([(weight[:, None, None] * curves.influence_on_return(t)).ravel() for t in range(n_times)])
        total += within_clusters(
            lambda rows: tables[:, curves.pattern[rows]], cells.arm, n_times, n_arms, found.clusters,
            stratum=cells.stratum, between=between,
        )  # fmt: skip
    return total


def _difference(estimate: Floats, covariance: Floats, level: float) -> tuple[Floats, ...]:
    """Estimate, limits of each day alone, and limits that hold on all days together."""
    error = np.sqrt(np.maximum(np.diagonal(covariance), 0.0))
    some = error > 0
    alone = float(ndtri(0.5 + level / 2))
    reach = alone
    if some.sum() > 1:
        size = error[some]
        reach = simultaneous_critical([covariance[np.ix_(some, some)] / np.outer(size, size)], level)
    return (
        estimate,
        estimate - alone * error,
        estimate + alone * error,
        estimate - reach * error,
        estimate + reach * error,
    )
