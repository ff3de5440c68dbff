"""Which contact for whom under a budget: the best allocation of several arms, and what it brings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from churnsurv.errors import InputError
from churnsurv.numerics.allocation import AllocationCurve, allocation, allocation_curve, stacked_covariance
from churnsurv.recall.row_values import Targets, targets, units
from churnsurv.recall.student_limits import band_critical, t_quantile, two_sided
from churnsurv.recall.uplift_scores import UpliftScores
from churnsurv.survival.inputs import check_level
from churnsurv.tables import Result

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from churnsurv.data import ActivityLog

__all__ = ["BudgetCurve", "budget_curve"]

Floats: TypeAlias = NDArray[np.float64]

_PER = 1000.0
_BUDGETS = 40
_ALL, _ANY = "all arms", ", in any order"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BudgetCurve(Result):
    """What the best allocation of contacts brings by budget; made by `budget_curve`.

    Attributes
    ----------
    campaign, control, outcome : str
    arms : tuple of str
    policies : tuple of str
        "all arms", and, where there are several, each arm alone; each arm "in any order".
    costs : Mapping of arm to float
        Mean cost of a contact.
    horizon : int
    covariates : tuple of str
        Adjusted for.
    level : float
    n_users : int
    notes : tuple of str
    """

    _schema: ClassVar[str] = "budget_curve"

    campaign: str
    control: str
    outcome: str
    arms: tuple[str, ...]
    policies: tuple[str, ...]
    costs: Mapping[str, float]
    horizon: int
    covariates: tuple[str, ...]
    level: float
    n_users: int
    notes: tuple[str, ...]
    _tables: Mapping[str, pd.DataFrame]

    @property
    def table(self) -> pd.DataFrame:
        """One row for each policy and budget."""
        return self._tables["budget_curve"].copy()

    @property
    def shares(self) -> pd.DataFrame:
        """Share of the population that gets each arm; schema "budget_shares"."""
        return self._tables["budget_shares"].copy()

    @property
    def compared(self) -> pd.DataFrame:
        """What choosing among all arms brings more than each other policy; schema "budget_compared"."""
        return self._tables["budget_compared"].copy()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw gains by budget, for each policy."""
        from churnsurv.plots.lift_targets import budget_curve as draw

        return draw(self.table, ax, level=self.level)

    def _headline(self) -> str:
        mine = self._tables["budget_curve"]
        last = mine[mine["policy"] == _ALL].iloc[-1]
        limits = f"[{last['lower']:.3g}, {last['upper']:.3g}]"
        return (
            f"{self.campaign}, {self.outcome} by day {self.horizon}, {self.n_users:,} users: per 1,000 users, "
            f"{last['spent']:.3g} spent on {', '.join(self.arms)} bring {last['gain']:.3g} {units(self.outcome)} "
            f"{limits} more than no contact"
        )

    def _facts(self) -> dict[str, Any]:
        names = (
            "campaign",
            "control",
            "outcome",
            "arms",
            "policies",
            "costs",
            "horizon",
            "covariates",
            "level",
            "n_users",
        )
        return {name: getattr(self, name) for name in (*names, "notes")}


def budget_curve(
    assignments: Any,
    log: ActivityLog | None = None,
    *,
    scores: Mapping[str, str | ArrayLike] | UpliftScores,
    costs: Mapping[str, float | str | ArrayLike] | None = None,
    budgets: ArrayLike | None = None,
    control: str = "holdout",
    campaign: str | None = None,
    outcome: str = "return_probability",
    horizon: int | str | None = None,
    covariates: Sequence[str] | None = None,
    rewards: Any = None,
    margin: float = 1.0,
    strata: str | Sequence[str] | None = None,
    cluster: str | None = "auto",
    columns: Mapping[str, Mapping[str, str]] | None = None,
    exclude_conflicts: bool = False,
    level: float = 0.95,
) -> BudgetCurve:
    """Allocate the contacts of a randomised campaign by their foretold effects, and estimate what that brings.

    Parameters
    ----------
    assignments, log, control, campaign, outcome, horizon, covariates
        As in `targeting_curve`.
    rewards, margin, strata, cluster, columns, exclude_conflicts
        As in `targeting_curve`.
    scores : UpliftScores, or mapping of arm to column or (n,) array
        Foretold effects of the arms against the control, all in the same unit, per user; not learnt from these
        outcomes. Users with a score of 0 or less are not contacted. Scores only choose: gains are estimated from the
        campaign itself. Of `UpliftScores` the sequential ones are taken, each fold but the first with a budget of its
        own.
    costs : mapping of arm to number, column or (n,) array, optional
        Cost of a contact, >= 0. By default the mean `cost` of the arm in the assignments.
    budgets : (n_budgets,) array, optional
        Cost per 1,000 of the population, ascending, >= 0; by default 40 steps up to what it costs to contact all whose
        score is above 0.
    level : float

    Returns
    -------
    BudgetCurve
        `.table`: by budget what the best allocation brings per 1,000 of the population, beside that of each arm alone
        by its score, and of each arm in any order. `.shares`: who gets what. `.compared`: differences to the best.

    Raises
    ------
    InputError
        If costs are missing or negative, scores are of no arm, or no score is above 0.

    Examples
    --------
    >>> import churnsurv as ch
    >>> from churnsurv.recall.uplift_scores import uplift_scores
    >>> app = ch.simulate_app(2000, seed=1)
    >>> found = uplift_scores(app.campaigns, app.log, campaign="recall", control="none")
    >>> curve = budget_curve(app.campaigns, app.log, scores=found, campaign="recall", control="none")
    >>> curve.policies[:3]
    ('all arms', 'push', 'push, in any order')
    """
    level = check_level(level)
    given = {} if isinstance(scores, UpliftScores) else {str(arm): values for arm, values in scores.items()}
    found = targets(
        assignments, log, control=control, campaign=campaign, outcome=outcome, horizon=horizon, covariates=covariates,
        given={"scores": given.values(), "costs": (costs or {}).values()}, rewards=rewards, margin=margin,
        strata=strata, cluster=cluster, columns=columns, exclude_conflicts=exclude_conflicts,
    )  # fmt: skip
    if isinstance(scores, UpliftScores):
        scores.check_rows(found)
        arms = found.arms
        expected = np.column_stack([scores.sequential[arm] for arm in arms])
        parts = [np.flatnonzero(scores.fold == k) for k in range(1, scores.folds)]
    else:
        arms = found.some(given, "scores")
        if not arms:
            raise InputError("scores is empty: give the foretold effect of one arm or more.")
        expected = np.column_stack([found.column(given[arm], f"scores of {arm!r}") for arm in arms])
        parts = [np.arange(found.n)]
    found.some(costs or {}, "costs")
    cost = np.column_stack([_cost(found, arm, costs) for arm in arms])
    return _result(found, arms, expected, cost, parts, _budgets(budgets), level)


def _cost(found: Targets, arm: str, costs: Mapping[str, Any] | None) -> Floats:
    """Cost of a contact with each row."""
    if costs is None:
        if "cost" not in found.rows.given:
            raise InputError("the assignments have no column cost: pass costs={arm: cost of a contact}.")
        values: Any = float(found.rows.cost[found.arm == 1 + found.arms.index(arm)].mean())
    elif arm not in costs:
        raise InputError(f"costs lacks the arm {arm!r}: say what a contact costs.")
    else:
        values = costs[arm]
    if isinstance(values, (int, float, np.number)) and not isinstance(values, bool):
        values = np.full(found.n, float(values))
    cost = found.column(values, f"costs of {arm!r}")
    if (cost < 0).any():
        raise InputError(
            f"costs of {arm!r}: {int((cost < 0).sum()):,} are negative, first at row {int((cost < 0).argmax())} "
            f"({cost[cost < 0][0]:g}). A contact costs 0 or more."
        )
    return cost


def _budgets(budgets: ArrayLike | None) -> Floats | None:
    if budgets is None:
        return None
    at = np.atleast_1d(np.asarray(budgets, dtype=np.float64))
    if at.ndim != 1 or at.size == 0 or not (np.isfinite(at) & (at >= 0)).all() or (np.diff(at) <= 0).any():
        raise InputError(f"budgets must be 0 or more, ascending and none twice; got {budgets!r}.")
    return at


def _result(
    found: Targets,
    arms: tuple[str, ...],
    expected: Floats,
    cost: Floats,
    parts: Sequence[NDArray[np.intp]],
    at: Floats | None,
    level: float,
) -> BudgetCurve:
    everybody = np.concatenate(parts)
    if not (expected[everybody] > 0).any():
        raise InputError("no score is above 0: by these scores no contact brings anything, and no budget is needed.")
    value = found.effects()[:, [found.arms.index(arm) for arm in arms]]
    if at is None:
        most = sum(allocation(expected[rows], cost[rows]).most * rows.size for rows in parts) / everybody.size
        if most <= 0:
            raise InputError("contacts cost nothing: there is no budget to keep to. Pass costs= that are above 0.")
        at = _PER * most * np.arange(1, _BUDGETS + 1) / _BUDGETS
    together = _together(found, arms, expected, cost, value, parts, at / _PER)
    return BudgetCurve(
        campaign=found.campaign, control=found.control, outcome=found.outcome, arms=arms,
        policies=tuple(together.policies), horizon=found.rows.horizon, covariates=found.covariates, level=level,
        costs=MappingProxyType({arm: float(cost[:, a].mean()) for a, arm in enumerate(arms)}), n_users=everybody.size,
        notes=found.notes, _tables=MappingProxyType(_tables(together, arms, at / _PER, level)),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class _Together:
    """Curves of all policies over the parts, by policy; the covariance is of the gains of all, one behind the other."""

    policies: tuple[str, ...]
    gain: Floats
    spent: Floats
    slope: Floats
    share: tuple[Floats, ...]
    covariance: Floats


def _together(
    found: Targets,
    arms: tuple[str, ...],
    expected: Floats,
    cost: Floats,
    value: Floats,
    parts: Sequence[NDArray[np.intp]],
    at: Floats,
) -> _Together:
    """Each part has the budget to itself: scores of two parts may come from two models."""
    n, terms = sum(rows.size for rows in parts), found.terms()
    sums: list[Any] = []
    for rows in parts:
        cluster = None
        if found.cluster is not None:
            rows = rows[np.argsort(found.cluster[rows], kind="stable")]
            cluster = found.cluster[rows]
        curves = _policies(arms, expected[rows], cost[rows], value[rows], at)
        weight = rows.size / n
        each = list(curves.values())
        found_here = [
            *(weight * np.array([getattr(curve, name) for curve in each]) for name in ("gain", "spent", "slope")),
            *(weight * curve.share for curve in each),
            weight**2 * stacked_covariance(each, rows.size, cluster, terms=terms[rows], part=rows.size / found.n),
        ]
        sums = found_here if not sums else [a + b for a, b in zip(sums, found_here, strict=True)]
    return _Together(tuple(curves), sums[0], sums[1], sums[2], tuple(sums[3:-1]), sums[-1])


def _policies(
    arms: tuple[str, ...], expected: Floats, cost: Floats, value: Floats, at: Floats
) -> dict[str, AllocationCurve]:
    """The best of all arms, each arm alone by its score, and each arm in any order."""
    curves = {_ALL: allocation_curve(allocation(expected, cost), value, at)}
    for a, arm in enumerate(arms):
        own, price, effect = expected[:, a : a + 1], cost[:, a : a + 1], value[:, a : a + 1]
        if len(arms) > 1:
            curves[arm] = allocation_curve(allocation(own, price), effect, at)
        # each step has the same slope, and is taken for the same part
        alike = allocation(np.where(price > 0, price, 1.0), price)
        curves[f"{arm}{_ANY}"] = allocation_curve(alike, effect, at)
    return curves


def _tables(together: _Together, arms: tuple[str, ...], at: Floats, level: float) -> dict[str, pd.DataFrame]:
    import pandas as pd

    J, covariance = at.shape[0], together.covariance
    main, shares, compared = [], [], []
    for p, policy in enumerate(together.policies):
        own = slice(p * J, (p + 1) * J)
        main.append(_curve_table(together, p, at, covariance[own, own], level))
        names = arms if policy == _ALL else (policy.removesuffix(_ANY),)
        shares += [
            pd.DataFrame({"policy": policy, "budget": _PER * at, "arm": arm, "share": together.share[p][:, a]})
            for a, arm in enumerate(names)
        ]
        if p:
            variance = np.diag(covariance[:J, :J]) + np.diag(covariance[own, own]) - 2 * np.diag(covariance[:J, own])
            compared.append(_difference_table(policy, at, together.gain[0] - together.gain[p], variance, level))
    return {
        "budget_curve": pd.concat(main, ignore_index=True),
        "budget_shares": pd.concat(shares, ignore_index=True),
        "budget_compared": pd.concat(compared, ignore_index=True),
    }


def _errors(variance: Floats) -> Floats:
    error = np.sqrt(np.maximum(variance, 0.0))
    return np.asarray(np.where(error > 1e-9 * error.max(initial=0.0), error, 0.0))


def _curve_table(together: _Together, p: int, at: Floats, covariance: Floats, level: float) -> pd.DataFrame:
    import pandas as pd

    error, gain = _errors(np.diag(covariance)), together.gain[p]
    half = np.where(error > 0, t_quantile(np.inf, level) * error, np.nan)
    band = band_critical(covariance, error, error > 0, level) * np.where(error > 0, error, np.nan)
    return pd.DataFrame(
        {
            "policy": together.policies[p],
            "budget": _PER * at,
            "spent": _PER * together.spent[p],
            "contacted": together.share[p].sum(axis=1),
            "gain": _PER * gain,
            "std_error": _PER * error,
            "lower": _PER * (gain - half),
            "upper": _PER * (gain + half),
            "band_lower": _PER * (gain - band),
            "band_upper": _PER * (gain + band),
            "per_cost": together.slope[p],
        }
    )


def _difference_table(policy: str, at: Floats, estimate: Floats, variance: Floats, level: float) -> pd.DataFrame:
    import pandas as pd

    error = _errors(variance)
    half = np.where(error > 0, t_quantile(np.inf, level) * error, np.nan)
    return pd.DataFrame(
        {
            "policy": policy,
            "budget": _PER * at,
            "estimate": _PER * estimate,
            "std_error": _PER * error,
            "lower": _PER * (estimate - half),
            "upper": _PER * (estimate + half),
            "p_value": two_sided(estimate, error, np.full(estimate.shape[0], np.inf)),
        }
    )
