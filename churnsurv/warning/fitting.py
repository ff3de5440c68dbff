"""Warning tiers from an activity log: for each objective the best rule that people can read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from churnsurv import __version__
from churnsurv.data.feature import Feature
from churnsurv.errors import InputError, did_you_mean
from churnsurv.survival.inputs import check_level
from churnsurv.warning.capacity_search import capacity_notes, fit_capacity, waiting_in
from churnsurv.warning.frames import frame_of
from churnsurv.warning.moving_search import fit_moving_tier, moving_on_average
from churnsurv.warning.objectives import Capacity, Objective, Precision, Value
from churnsurv.warning.scheme import TierRule, TierScheme
from churnsurv.warning.tier_figures import TierSums, figures, tier_sums
from churnsurv.warning.tier_search import FittedTier, fit_tier, on_average
from churnsurv.warning.tier_tables import may_be_best_rows, sensitivity_rows, threshold_rows
from churnsurv.warning.tier_words import scheme_notes, tier_notes
from churnsurv.warning.training import Training, train_on

if TYPE_CHECKING:
    from datetime import date

    from churnsurv.data import ActivityLog

__all__ = ["fit_tiers"]

_VARIABLES = ("balance", "n_investments")


def fit_tiers(
    log: ActivityLog,
    *,
    objective: Mapping[str, Objective],
    variables: Sequence[str | Feature] = _VARIABLES,
    tiers: Sequence[str] = ("low", "medium", "high"),
    grids: Mapping[str, Sequence[float]] | None = None,
    monotone: Mapping[str, str] | None = None,
    missing: Mapping[str, float] | None = None,
    until: date | str | None = None,
    family: Literal["rules", "score"] = "rules",
    formula: str | None = None,
    score: Any = None,
    bootstrap: int = 200,
    blocks: int = 1000,
    seed: int = 0,
    round: bool = True,
    level: float = 0.95,
) -> TierScheme:
    """Find the rules of warning tiers: who is contacted for the first time on which idle day.

    A rule is one threshold of idle days, or a split of one variable with a threshold of idle days on each side, each
    with at most one condition on another variable: at most two alternatives of at most three conditions. The best one
    is found exactly over the grid. A gap is alerted once in a tier: on the first day on which the rule holds, if the
    user is still silent and no higher tier holds yet.

    Parameters
    ----------
    log : ActivityLog
    objective : Mapping of str to Value, Precision or Capacity
        What each tier is for.
    variables : sequence of str or Feature
        What rules may look at besides the idle days: numbers, which may change while users are silent, too (balances
        that earn interest, the tenure, features of the last days). May be empty.
    tiers : sequence of str
        The names of tiers, lowest first; those of `objective` are among them. They are fitted from the highest down.
    grids : Mapping of str to sequence of float, optional
        Thresholds to try. By default those of `GRIDS` for the balance and the number of investments, else deciles with
        two digits.
    monotone : Mapping of str to {"decreasing", "increasing"}, optional
        "decreasing": users with less of the variable are warned no later than those with more; "increasing": no
        earlier.
    missing : Mapping of str to float, optional
        What stands in where a variable has no value: ``{"balance": 0}`` if a user without any record of a balance has
        none. By default a missing value fulfils no condition, and a note says how many gaps that concerns.
    family : {"rules", "score"}
        "score": a tier is one cut of P(churn), or for a value of what a contact today is worth over waiting, from a Cox
        fit of return on gap time; or of a score of your own. `grids` and `monotone` are for rules.
    formula : str, optional
        With "score": the covariates of the fit, such as ``"log1p(balance) + channel"``: attributes of the users and
        features; features of your own are named in `variables`.
    score : table, optional
        With "score", instead of `formula`: a score of your own, `user_id, date, score`, the higher the more urgent, as
        known at the end of the date; a data frame, an Arrow table, a path, or a relation of the log's engine. A day
        without a row carries the last one before. No value: the row is left out; a user without any row has no alert.
        A score that knows what comes later (of totals of a whole life, say, or learnt from these very gaps) looks good
        here and fails afterwards: nothing in the table shows it.
    until : date or ISO text, optional
        Fit as if the log ended on this day.
    bootstrap : int
        Resamples of users that the uncertainty of thresholds is told from; 0: none.
    blocks : int
        Random groups of users that are resampled and that variances are taken over.
    seed : int
    round : bool
        Take rounder thresholds (idle days in fives and weeks, other numbers with fewer digits) where that costs less
        than 1 % of net benefit, under the other curves of `sensitivity` too; or of lead-weighted recall.
    level : float
        Confidence level of all limits, and of the bound that `Precision` asks for.

    Returns
    -------
    TierScheme
        ``.table``, one row a tier; ``.thresholds``, ``.alternatives`` (the rules that may be the best as far as the
        data can tell; for values), ``.sensitivity`` (to the saving curve).

    Raises
    ------
    InputError
        If nobody churned, a variable is unknown or has no variation, a capacity is above the number of users, or an
        argument is not understood.

    Notes
    -----
    With S(d) = P(gap > d), a contact on idle day d is worth V s(d) S(idle_days) - c S(d) per gap of a cell. Only mature
    gaps are taken, those that began at least idle_days before the end: S is a share of gaps. Precision and capacity
    maximise sum y (idle_days - d) / idle_days / sum y, y being churn. Among rules of equal merit the one with fewer
    conditions is taken, then the one with fewer alerts.

    Examples
    --------
    >>> import churnsurv as ch
    >>> from churnsurv.warning import Saving, Value, fit_tiers
    >>> log = ch.simulate_app(1_000, seed=1).log
    >>> worth = Value(saved_value=100, contact_cost=5, saving=Saving.plateau(top=0.3, middle=20, width=3))
    >>> scheme = fit_tiers(log, variables=["balance"], missing={"balance": 0}, objective={"high": worth}, bootstrap=20)
    >>> print(scheme.tiers[0].rule)
    (idle_days > 10 and balance < 100) or (idle_days > 16 and balance >= 100)
    """
    level, order = check_level(level), _order(objective, tiers)
    n_samples = _whole(bootstrap, "bootstrap", least=0)
    if _by_score(family, formula, grids, monotone, score, variables):
        settings = {"missing": missing, "until": until, "n_samples": n_samples, "blocks": blocks, "level": level}
        seed = _whole(seed, "seed", least=0)
        settings |= {"rounded": bool(round), "seed": seed}
        return _of_scores(log, formula, score, objective, order, variables, **settings)
    training = train_on(log, variables, grids=grids, monotone=monotone, missing=missing, until=until, blocks=blocks)
    _check_capacity(training, objective)
    rng, n_blocks = np.random.default_rng(_whole(seed, "seed", least=0)), training.counts.n_blocks
    samples = rng.multinomial(n_blocks, np.full(n_blocks, 1 / n_blocks), size=n_samples).astype(np.float64)
    taken = np.full(training.counts.n.size, training.idle_days)
    fitted, rows, notes = list[TierRule](), _Rows(), scheme_notes(training, level)
    limited = any(isinstance(each, Capacity) for each in objective.values())
    waiting = waiting_in(log if until is None else log.as_of(until), training) if limited else None
    for name in order:
        goal = objective[name]
        if isinstance(goal, Capacity) and waiting is not None:
            search = (moving_on_average if training.moves else on_average)(
                training, taken, samples, level=level, rounded=bool(round)
            )
            above = [tier.rule for tier in fitted]
            lowest = name == order[-1]
            capped = fit_capacity(training, waiting, goal, above, search, lowest=lowest, rounded=bool(round))
            found, sums = capped.found, TierSums(*(getattr(capped.sums, each) for each in TierSums.__slots__))
            notes += capacity_notes(name, float(goal.per_day or 0.0), capped)
        else:
            fit = fit_moving_tier if training.moves else fit_tier
            found = fit(training, goal, taken, samples, level=level, rounded=bool(round))
            sums = tier_sums(training, goal, training.first_day(found.pair, found.five), taken)
        tier = _tier(training, name, goal, found, figures(training, sums, level=level))
        fitted.append(tier)
        rows.add(training, tier, goal, found, level)
        notes += tier_notes(training, name, goal, found)
        taken = np.minimum(taken, training.first_day(found.pair, found.five))
    return _scheme(log, training, fitted, rows, notes, {"bootstrap": n_samples, "seed": int(seed), "level": level})


def _of_scores(
    log: ActivityLog,
    formula: str | None,
    score: Any,
    objective: Mapping[str, Objective],
    order: list[str],
    own: Sequence[str | Feature],
    **settings: Any,
) -> TierScheme:
    """Tiers that are cuts of a score: that of a Cox fit, or one that is given."""
    from churnsurv.warning.score_fitting import fit_score_tiers
    from churnsurv.warning.score_given import fit_given_tiers

    if score is None:
        found = fit_score_tiers(log, formula, objective, order, own=own, **settings)
    else:
        found = fit_given_tiers(log, score, objective, order, **settings)
    rows, tiers = _Rows(), list[TierRule]()
    _check_capacity(found.training, objective)
    for each in found.tiers:
        goal = objective[each.name]
        plain = MappingProxyType(goal.to_plain())
        tiers.append(TierRule(each.name, each.rule, plain, each.fitted, each.figures))
        named = {"tier": each.name, "rule": str(each.rule), "objective": str(goal)}
        rows.tiers.append(named | dict(each.figures))
        rows.thresholds += map(dict, each.thresholds)
        rows.sensitivity += map(dict, each.sensitivity)
    facts = {"bootstrap": settings["n_samples"], "seed": settings["seed"], "level": settings["level"]}
    facts |= {"data_hash": found.data_hash, "score": found.score}
    return _scheme(log, found.training, tiers, rows, list(found.notes), facts)


def _scheme(
    log: ActivityLog, training: Training, fitted: list[TierRule], rows: _Rows, notes: list[str], facts: dict[str, Any]
) -> TierScheme:
    from datetime import timedelta

    counts = training.counts
    facts = facts if "data_hash" in facts else facts | {"data_hash": training.data_hash}
    return TierScheme(
        tiers=tuple(fitted),
        variables=training.variables,
        grids=counts.grids,
        missing=MappingProxyType(dict(training.missing)),
        churn_rule=log.rule,
        window=(counts.first_start, counts.last_start),
        known_until=counts.last_start + timedelta(days=counts.idle_days),
        n_users=counts.n_users,
        n_gaps=int(counts.n.sum()),
        n_churned=int(training.churned.sum()),
        n_days=counts.n_days,
        blocks=counts.n_blocks,
        version=__version__,
        notes=tuple(notes),
        _table=frame_of(rows.tiers, "tier_rules"),
        _thresholds=frame_of(rows.thresholds, "tier_thresholds"),
        _alternatives=frame_of(rows.alternatives, "tier_confidence_set"),
        _sensitivity=frame_of(rows.sensitivity, "tier_sensitivity"),
        **facts,
    )


class _Rows:
    """The rows of the tables, as tiers are fitted."""

    def __init__(self) -> None:
        self.tiers: list[dict[str, Any]] = []
        self.thresholds: list[dict[str, Any]] = []
        self.alternatives: list[dict[str, Any]] = []
        self.sensitivity: list[dict[str, Any]] = []

    def add(self, training: Training, tier: TierRule, objective: Objective, found: FittedTier, level: float) -> None:
        named = {"tier": tier.name, "rule": str(tier.rule), "objective": str(objective)}
        self.tiers.append(named | dict(tier.figures))
        self.thresholds += threshold_rows(training, tier.name, found, level=level)
        self.alternatives += may_be_best_rows(training, tier.name, found)
        self.sensitivity += sensitivity_rows(training, tier.name, found)


def _tier(
    training: Training, name: str, objective: Objective, found: FittedTier, told: Mapping[str, float]
) -> TierRule:
    return TierRule(
        name=name,
        rule=training.rule(found.pair, found.five),
        objective=MappingProxyType(objective.to_plain()),
        fitted=training.rule(found.pair, found.fitted),
        figures=MappingProxyType(dict(told) | {"value_optimism": 1000.0 * found.optimism}),
    )


# ------------------------------------------------------------------------------------------------------- arguments


def _by_score(
    family: str, formula: str | None, grids: object, monotone: object, score: object, variables: Sequence[str | Feature]
) -> bool:
    """Whether tiers are cuts of a score; raises where arguments are of the other family."""
    if family not in ("rules", "score"):
        raise InputError(f"family is 'rules' or 'score'; it is {family!r}.")
    if family == "rules" and formula is not None:
        raise InputError(f'formula={formula!r} is for family="score"; rules look at variables=.')
    if family == "rules" and score is not None:
        raise InputError('score= is for family="score"; rules look at variables=.')
    if formula is not None and score is not None:
        raise InputError("A score is fitted from formula= or given as score=; both were given.")
    if score is not None and tuple(variables) != _VARIABLES:
        raise InputError("variables= is for rules and formulas; tiers of a score that is given look at nothing else.")
    if family == "score" and (grids is not None or monotone is not None):
        raise InputError('grids and monotone are for family="rules"; a score has one cut, that of its objective.')
    return family == "score"


def _order(objective: Mapping[str, Objective], tiers: Sequence[str]) -> list[str]:
    """The tiers that have an objective, highest first."""
    if not isinstance(objective, Mapping) or not objective:
        raise InputError(
            'objective says what each tier is for, such as {"high": ch.Precision(target=0.6)}: ch.Value, ch.Precision '
            f"or ch.Capacity; it is {objective!r}. A threshold exists only against one of them."
        )
    names = [tiers] if isinstance(tiers, str) else list(tiers)
    if len(set(names)) < len(names):
        raise InputError(f"tiers: a name is there twice: {names}.")
    for name, each in objective.items():
        if name not in names:
            raise InputError(
                f"objective: {name!r} is not among the tiers ({', '.join(map(str, names))})."
                f"{did_you_mean(str(name), names)} Other names are given as tiers=, lowest first."
            )
        if not isinstance(each, (Value, Precision, Capacity)):
            raise InputError(
                f"objective[{name!r}] is a ch.Value, ch.Precision or ch.Capacity, such as ch.Precision(target=0.6); "
                f"it is {each!r}."
            )
    return [name for name in reversed(names) if name in objective]


def _check_capacity(training: Training, objective: Mapping[str, Objective]) -> None:
    for name, each in objective.items():
        if isinstance(each, Capacity) and float(each.per_day or 0.0) > training.counts.n_users:
            raise InputError(
                f"objective[{name!r}]: a capacity of {each.per_day:,.6g} alerts a day is above the number of users "
                f"({training.counts.n_users:,}), and limits nothing. Is it per month?"
            )


def _whole(value: object, what: str, *, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise InputError(f"{what} is a whole number, {least} or more; it is {value!r}.")
    return int(value)
