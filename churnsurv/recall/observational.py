"""What a contact brought where nobody drew lots, if all that it went by is among the covariates.

Every number of this file is observational. Two estimates stand side by side: weights, the inverse of the chance to be
contacted as one was; and the doubly robust one, which is right if the chances or the regressions of the outcome are
(`churnsurv.numerics.doubly_robust`). How strong a hidden cause would have to be to explain the ratio of returns away is
told by its E-value (VanderWeele and Ding 2017).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from churnsurv.errors import InputError, did_you_mean
from churnsurv.notes import note
from churnsurv.numerics.clone_censor import policy_risks
from churnsurv.numerics.doubly_robust import ArmMeans, by_regression_and_weights, by_weights, e_value
from churnsurv.numerics.targeting import complete_outcomes
from churnsurv.recall.lift_checks import contact_checks
from churnsurv.recall.lift_tables import UNITS, needed_outcomes, with_users_per_return
from churnsurv.recall.lift_verdicts import CHECKS
from churnsurv.recall.lift_words import several_arms
from churnsurv.recall.propensity import Propensity, propensity_of
from churnsurv.survival.multiplicity import adjusted, holds_together
from churnsurv.tables import schema
from churnsurv.tables.said import said_covariate, said_list

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data.assigned import CampaignRows
    from churnsurv.recall.lift import Lift

__all__ = ["observational_lift"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Sums: TypeAlias = "Mapping[str, Sequence[tuple[float, str]]]"

_TELLS = ("return_probability", "risk_ratio", "days_to_return")
_BALANCED = 0.1
_LEAST = 50


def observational_lift(
    rows: CampaignRows,
    *,
    control: str,
    sums: Sums,
    outcomes: Sequence[str],
    covariates: Sequence[str],
    adjust: str,
    level: float,
    clustered: bool = True,
) -> Lift:
    """Compare each arm with the control, one after the other.

    Parameters
    ----------
    rows : CampaignRows
    control : str
    sums : Mapping of outcome to (factor, column of `CampaignRows`)
        Outcomes that are added up over days.
    outcomes : sequence of str
        Those wanted, of "return_probability", "risk_ratio", "users_per_return", "days_to_return" and the names of
        `sums`.
    covariates : sequence of str
        Names in ``rows.pre``.
    adjust : str
        Of p-values, for several arms; limits hold together where it is of that kind. "dunnett" is for drawn arms.
    level : float
    clustered : bool
        Whether rows of a cluster depend on each other.

    Raises
    ------
    InputError
        If `adjust` is "dunnett", there is no overlap, no covariate, or too few users, or an arm holds only users whose
        treatment was decided after their assignment.
    """
    from churnsurv.recall.lift import Lift

    if adjust == "dunnett":
        raise InputError(
            "adjust='dunnett' needs the joint law of arms that were drawn; weighted comparisons are made two arms at a "
            "time. Use 'holm'."
        )
    made = _Made(tuple(outcomes), adjust)
    needed = needed_outcomes(outcomes)
    for code, campaign in enumerate(rows.campaigns):
        inside = np.flatnonzero(rows.campaign == code)
        arms = [each for place, each in enumerate(rows.arms) if (rows.arm[inside] == place).any()]
        if control not in arms:
            raise InputError(f"{campaign}: nobody is in the control arm {control!r}.{did_you_mean(control, arms)}")
        made.checks += _contacts(rows.only(campaign), control)
        others = [arm for arm in arms if arm != control]
        one = 1 - (1 - level) / max(len(others), 1) if holds_together(adjust) else level
        parts = [_compared(rows, inside, campaign, arm, control, sums, needed, covariates, level, one, clustered)
                 for arm in others]  # fmt: skip
        made.add(parts)
    return Lift(
        design="observational",
        horizon=rows.horizon,
        control=control,
        arms=tuple(each for each in rows.arms if each != control),
        campaigns=rows.campaigns,
        outcomes=tuple(outcomes),
        covariates=tuple(covariates),
        adjust=adjust,
        level=level,
        n_users=rows.n,
        n_returned=int(rows.returned.sum()),
        notes=(*_notes(covariates), *_several(rows, adjust), *rows.notes),
        _tables=MappingProxyType({**made.tables(), "assignment_problems": rows.problems}),
    )


class _Made:
    """Rows of the tables, campaign by campaign."""

    def __init__(self, outcomes: tuple[str, ...], adjust: str) -> None:
        self.outcomes, self.adjust = outcomes, adjust
        self.rows: dict[str, list[dict[str, Any]]] = {name: [] for name in ("lift", "lift_overlap", "lift_e_values")}
        self.checks: list[dict[str, Any]] = []
        self.curves: list[dict[str, Any]] = []

    def add(self, parts: Sequence[dict[str, Any]]) -> None:
        """Take the comparisons of one campaign."""
        lift = [row for part in parts for row in part["lift"]]
        groups: dict[tuple[str, bool], list[dict[str, Any]]] = {}
        for row in lift:
            groups.setdefault((row["outcome"], row["adjusted"]), []).append(row)
        for same in groups.values():
            corrected = adjusted(np.array([row["p_value"] for row in same]), self.adjust)
            for row, p in zip(same, corrected, strict=True):
                row["adjusted_p_value"] = float(p)
        self.rows["lift"] += with_users_per_return(lift, self.outcomes)
        for part in parts:
            self.rows["lift_overlap"] += part["overlap"]
            self.rows["lift_e_values"] += part["e_values"]
            self.checks += part["checks"]
            self.curves += part["curves"]

    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables by the name of their schema, those that only lots can fill empty."""
        import pandas as pd

        made = self.rows | {"lift_checks": self.checks, "return_curves": self.curves}
        empty = ("lift_over_time", "lift_subgroups", "lift_gain", "lift_balance")
        made |= {name: [] for name in empty}
        frames = {name: pd.DataFrame(found, columns=list(schema(name).names)) for name, found in made.items()}
        # as objects, so that notes stay what they are
        notes = {name: pd.Series([row[name] for row in self.checks], dtype=object) for name in ("check", "words")}
        return frames | {"lift_checks": frames["lift_checks"].assign(**notes)}


# -------------------------------------------------------------------------------------------------- one comparison


def _compared(
    rows: CampaignRows,
    inside: Ints,
    campaign: str,
    arm: str,
    control: str,
    sums: Sums,
    outcomes: Sequence[str],
    covariates: Sequence[str],
    level: float,
    one: float,
    clustered: bool,
) -> dict[str, Any]:
    """All that is told of an arm; `one` is the level of its own limits, where those of all arms hold at `level`."""
    name = f"{campaign}, {arm!r} against {control!r}"
    codes = [rows.arms.index(each) for each in (control, arm)]
    chosen = inside[np.isin(rows.arm[inside], codes)]
    treated = rows.arm[chosen] == codes[1]
    n = (int((~treated).sum()), int(treated.sum()))
    if min(n) < _LEAST:
        raise InputError(f"{name}: {min(n)} users are too few to compare what was not drawn ({_LEAST} at least).")
    drawn = propensity_of(rows, chosen, treated, covariates, name=name)
    wanted = [each for each in ("return_probability", "days_to_return", *sums) if _asked(each, outcomes)]
    outcome = np.column_stack([_outcome(rows, chosen, each, sums) for each in wanted])
    found = {
        False: by_weights(outcome, treated, drawn.matrix, drawn.chance),
        True: by_regression_and_weights(outcome, treated, drawn.matrix, drawn.chance),
    }
    named = {"campaign": campaign, "arm": arm}
    clusters = np.arange(chosen.size)
    if clustered:
        clusters = np.unique(rows.cluster[chosen], return_inverse=True)[1].reshape(-1)
    lift, ratio = [], (np.nan, np.nan, np.nan)
    for robust, means in found.items():
        table, told = _rows(means, wanted, outcomes, clusters, one)
        lift += [named | row | {"adjusted": robust, "n_arm": n[1], "n_control": n[0]} for row in table]
        ratio = told if robust else ratio
    return {
        "lift": lift,
        "overlap": [named | row for row in drawn.balance()],
        "e_values": [named | _e_values(ratio)] if "return_probability" in wanted else [],
        "checks": _checks(drawn, named, n),
        "curves": _curves(rows, chosen, treated, drawn, (control, arm), campaign, level),
    }


def _asked(name: str, outcomes: Sequence[str]) -> bool:
    return name in outcomes or (name == "return_probability" and "risk_ratio" in outcomes)


def _outcome(rows: CampaignRows, chosen: Ints, name: str, sums: Sums) -> Floats:
    """The outcome of each row, complete: made up for follow-up that ended, whose law is known."""
    keys = list(rows.weights)
    place = {key: i for i, key in enumerate(keys)}
    cell = np.array(
        [place[a, s] for a, s in zip(rows.arm[chosen].tolist(), rows.stratum[chosen].tolist(), strict=True)]
    )
    weights = [rows.weights[key] for key in keys]
    if name in sums:
        weighted = sum((f * getattr(rows, column)[chosen] for f, column in sums[name]), np.zeros(chosen.size))
        by_day = [
            sum((f * rows.by_day[column][key] for f, column in sums[name]), np.zeros(rows.horizon)) for key in keys
        ]
        return complete_outcomes(weighted, rows.followed[chosen], cell, by_day, weights)
    left = np.ones(rows.horizon) if name == "return_probability" else rows.horizon - np.arange(1.0, rows.horizon + 1)
    time, returned = rows.time[chosen], rows.returned[chosen]
    known = np.stack(weights)[cell, time - 1]
    weighted = np.where(returned, left[time - 1] / known, 0.0)
    by_day = []
    for code, G in enumerate(weights):
        own = cell == code
        first = np.bincount(time[own & returned] - 1, minlength=rows.horizon)[: rows.horizon]
        n = max(int(own.sum()), 1)
        by_day.append(np.divide(left * first, n * G, out=np.zeros(rows.horizon), where=G > 0))
    complete = complete_outcomes(weighted, rows.followed[chosen], cell, by_day, weights)
    return complete if name == "return_probability" else rows.horizon - complete


def _rows(
    means: ArmMeans, wanted: Sequence[str], outcomes: Sequence[str], clusters: Ints, level: float
) -> tuple[list[dict[str, Any]], tuple[float, float, float]]:
    """Rows of the lift, and the ratio of returns with its limits."""
    reach = float(ndtri((1 + level) / 2))
    made, ratio = [], (np.nan, np.nan, np.nan)
    for place, name in enumerate(wanted):
        control, arm = (float(each) for each in means.mean[:, place])
        moves = np.stack([np.bincount(clusters, means.influence[:, a, place]) for a in (0, 1)])
        if name in outcomes:
            factor, unit = UNITS[name]
            error = float(np.sqrt(((moves[1] - moves[0]) ** 2).sum()))
            row = _row(name, unit, factor * (arm - control), factor * error, reach)
            made.append(row | {"arm_value": factor * arm, "control_value": factor * control})
        if name == "return_probability" and control > 0 and arm > 0:
            error = float(np.sqrt(((moves[1] / arm - moves[0] / control) ** 2).sum()))
            log = _row("risk_ratio", "ratio", float(np.log(arm / control)), error, reach)
            ratio = tuple(float(np.exp(log[each])) for each in ("estimate", "lower", "upper"))  # type: ignore[assignment]
            if "risk_ratio" in outcomes:
                shown = dict(zip(("estimate", "lower", "upper"), ratio, strict=True))
                made.append(log | shown | {"arm_value": np.nan, "control_value": np.nan})
    return made, ratio


def _row(name: str, unit: str, estimate: float, error: float, reach: float) -> dict[str, Any]:
    return {
        "outcome": name,
        "unit": unit,
        "estimate": estimate,
        "lower": estimate - reach * error,
        "upper": estimate + reach * error,
        "std_error": error,
        "p_value": float(2 * ndtr(-abs(estimate) / error)) if error > 0 else np.nan,
    }


def _e_values(ratio: tuple[float, float, float]) -> dict[str, Any]:
    """That of the ratio, and of the limit next to 1; 1 where the limits hold it."""
    estimate, lower, upper = ratio
    if np.isnan(estimate):
        return {"risk_ratio": np.nan, "lower": np.nan, "upper": np.nan, "e_value": np.nan, "e_value_limit": np.nan}
    near = 1.0 if lower <= 1.0 <= upper else (lower if estimate > 1 else upper)
    return {
        "risk_ratio": estimate,
        "lower": lower,
        "upper": upper,
        "e_value": e_value(estimate),
        "e_value_limit": e_value(near),
    }


def _curves(
    rows: CampaignRows,
    chosen: Ints,
    treated: NDArray[np.bool_],
    drawn: Propensity,
    names: tuple[str, str],
    campaign: str,
    level: float,
) -> list[dict[str, Any]]:
    """Weighted Kaplan-Meier; limits of the weights' effective number, taken as known."""
    reach, made = float(ndtri((1 + level) / 2)), []
    for own, name, effective in zip((~treated, treated), names, drawn.effective, strict=True):
        time, returned = rows.time[chosen][own], rows.returned[chosen][own]
        none = np.zeros((time.size, rows.horizon))
        share = policy_risks(time, returned, np.zeros_like(time), none, [None], weights=drawn.weight[own])[0]
        at_risk = time.size - np.concatenate([[0], np.cumsum(np.bincount(time, minlength=rows.horizon + 1)[1:])])[:-1]
        error = np.sqrt(share * (1 - share) / effective)
        made += [
            {
                "campaign": campaign, "arm": name, "day": day + 1, "returned": share[day],
                "lower": max(share[day] - reach * error[day], 0.0), "upper": min(share[day] + reach * error[day], 1.0),
                "at_risk": int(at_risk[day]),
            }
            for day in range(rows.horizon)
        ]  # fmt: skip
    return made


def _contacts(rows: CampaignRows, control: str) -> list[dict[str, Any]]:
    """Checks of one campaign as rows of the table: contamination and immortal time, where deliveries are known."""
    names = schema("lift_checks").names
    found = [dict(zip(names, check.row(), strict=True)) for check in contact_checks(rows, control=control)]
    return [{name: np.nan if value is None else value for name, value in row.items()} for row in found]


def _checks(drawn: Propensity, named: Mapping[str, str], n: tuple[int, int]) -> list[dict[str, Any]]:
    worst = max((abs(row["weighted_difference"]) for row in drawn.balance()), default=0.0)
    effective = min(e / m for e, m in zip(drawn.effective, n, strict=True))
    overlap = "fine" if drawn.rare < 0.01 and effective > 0.5 else "look" if effective > 0.1 else "broken"
    found = (
        (
            CHECKS["overlap"], sum(n) * drawn.rare, effective, overlap,
            note(
                "{share} of the users have a chance of the arm below 2 or above 98 %; weighted, the users of an arm "
                "are worth {worth} of their number, or more. Few users who stand for many make wide limits.",
                share=f"{drawn.rare:.1%}", worth=f"{effective:.0%}",
            ),
        ),
        (
            CHECKS["balance after weighting"], np.nan, worst, "fine" if worst < _BALANCED else "look",
            note(
                "The largest difference of a covariate is {difference} standard deviations after weighting; below 0.1 "
                "is taken as balanced. Above it, add powers or other covariates.",
                difference=f"{worst:.2f}",
            ),
        ),
    )  # fmt: skip
    columns = ("check", "n", "statistic", "verdict", "words")
    nothing = {"expected": np.nan, "p_value": np.nan}
    return [{**named, **nothing, **dict(zip(columns, each, strict=True))} for each in found]


def _several(rows: CampaignRows, adjust: str) -> tuple[str, ...]:
    if len(rows.arms) < 3:
        return ()
    return (several_arms(len(rows.arms) - 1, adjust, together=holds_together(adjust)),)


def _notes(covariates: Sequence[str]) -> tuple[str, ...]:
    return (
        note(
            "Observational: nobody drew lots. Differences are effects only if users who are alike in {names} were "
            "contacted by chance; what is not among these can be behind all of it (see the E-values).",
            names=said_list(map(said_covariate, covariates)),
        ),
        note(
            "Rows with adjusted=False are weighted by the inverse of the chance of the arm; with adjusted=True they "
            "are doubly robust: right if the chances, or the linear regressions of the outcome, are."
        ),
        note("A hazard ratio is not given: weighted, it is not that of users who are alike."),
    )
