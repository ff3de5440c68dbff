"""Scores of users by the effect of a contact on them: a doubly robust learner, cross-fitted, on censored outcomes."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError
from churnsurv.numerics.day_counts import read_only
from churnsurv.numerics.ridge import RidgeRegression
from churnsurv.numerics.targeting import ArmModel, arm_model, arm_values
from churnsurv.recall.row_values import Targets, targets, units
from churnsurv.tables import Result

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data import ActivityLog

__all__ = ["UpliftScores", "uplift_scores"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

_FEWEST_ROWS = 10  # of an arm in the first fold, which the second is scored by
_OTHER_SEED = 1 << 32


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class UpliftScores(Result):
    """Foretold effects by user, none learnt from the user's own fold; made by `uplift_scores`.

    Attributes
    ----------
    campaign, control, outcome : str
    arms : tuple of str
        Those with scores.
    horizon : int
    covariates : tuple of str
        What scores are learnt from, column by column.
    folds : int
    n_users : int
    scores : Mapping of arm to (n,) float64
        Foretold effect against the control, per user, in the order of the rows of the campaign: by a model that was
        learnt from the other folds.
    sequential : Mapping of arm to (n,) float64
        The same by a model that was learnt from the folds before that of the user; NaN in the first fold. What scores
        are worth is judged by these: see `uplift_scores`.
    fold : (n,) int64
    notes : tuple of str
    """

    _schema: ClassVar[str] = "uplift_scores"

    campaign: str
    control: str
    outcome: str
    arms: tuple[str, ...]
    horizon: int
    covariates: tuple[str, ...]
    folds: int
    n_users: int
    scores: Mapping[str, Floats]
    sequential: Mapping[str, Floats]
    fold: Ints
    notes: tuple[str, ...]
    _found: Targets
    _models: Mapping[str, tuple[Any, ...]]

    @property
    def table(self) -> pd.DataFrame:
        """One row for each user and arm."""
        import pandas as pd

        rows = self._found.rows
        names = np.array([self.control, *self._found.arms], dtype=object)
        parts = [
            pd.DataFrame(
                {
                    "user_id": rows.user_id.to_numpy(),
                    "campaign": self.campaign,
                    "arm": arm,
                    "assigned": names[self._found.arm],
                    "fold": self.fold,
                    "score": self.scores[arm],
                    "sequential_score": self.sequential[arm],
                }
            )
            for arm in self.arms
        ]
        return pd.concat(parts, ignore_index=True)

    def predict(self, covariates: pd.DataFrame) -> pd.DataFrame:
        """Foretell the effect on other users: the mean of the models of all folds.

        Parameters
        ----------
        covariates : DataFrame
            The columns of `.covariates`, without holes.

        Returns
        -------
        DataFrame
            One column for each arm, on the same index.

        Raises
        ------
        InputError
            If a column is missing.
        """
        import pandas as pd

        lacking = [name for name in self.covariates if name not in covariates.columns]
        if lacking:
            raise InputError(
                f"to foretell effects needs the columns {list(self.covariates)}; {lacking[0]!r} is missing."
            )
        X = covariates[list(self.covariates)].to_numpy(dtype=np.float64)
        found = {arm: np.mean([model.predict(X) for model in self._models[arm]], axis=0) for arm in self.arms}
        return pd.DataFrame(found, index=covariates.index)

    def ranks(self, arm: str) -> Floats:
        """Places of `sequential` within each fold, from 0 to 1, the highest near 1; NaN in the first fold. Shape (n,).

        Models of different folds differ in level, which must not decide who comes first.
        """
        return _ranks(self.sequential[arm], self.fold, self.folds)

    def check_rows(self, found: Targets) -> None:
        """Raise where other rows are ranked than those that were scored.

        Raises
        ------
        InputError
            If the campaign, its users or the control differ.
        """
        mine = self._found
        same = (
            found.campaign == self.campaign
            and found.n == self.n_users
            and np.array_equal(mine.rows.user, found.rows.user)
        )
        if not same or not np.array_equal(mine.arm, found.arm) or found.control != self.control:
            raise InputError(
                f"these scores are of {self.n_users:,} users of campaign {self.campaign!r} against {self.control!r}; "
                f"the rows are {found.n:,} of {found.campaign!r} against {found.control!r}. Score those rows."
            )

    def _headline(self) -> str:
        spread = ", ".join(
            f"{arm} {1000 * self.scores[arm].mean():.3g} (sd {1000 * self.scores[arm].std():.3g})"
            for arm in self.arms[:3]
        )
        return (
            f"{self.campaign}, {self.outcome} by day {self.horizon}, {self.n_users:,} users in {self.folds} folds: "
            f"foretold {units(self.outcome)} per 1,000 contacted: {spread}{', ...' if len(self.arms) > 3 else ''}"
        )

    def _facts(self) -> dict[str, Any]:
        names = ("campaign", "control", "outcome", "arms", "horizon", "covariates", "folds", "n_users", "notes")
        return {name: getattr(self, name) for name in names}


def uplift_scores(
    assignments: Any,
    log: ActivityLog | None = None,
    *,
    control: str = "holdout",
    campaign: str | None = None,
    outcome: str = "return_probability",
    horizon: int | str | None = None,
    covariates: Sequence[str] | None = None,
    learner: Any = None,
    outcome_learner: Any = None,
    folds: int = 5,
    rewards: Any = None,
    margin: float = 1.0,
    strata: str | Sequence[str] | None = None,
    cluster: str | None = "auto",
    columns: Mapping[str, Mapping[str, str]] | None = None,
    exclude_conflicts: bool = False,
    seed: int = 0,
) -> UpliftScores:
    """Foretell the effect of each arm on each user of a randomised campaign, from what was known before.

    A doubly robust learner (Kennedy 2023) on complete outcomes (`churnsurv.numerics.targeting`): the outcome under
    each arm is learnt, doubly robust values of the effect are made of it, and the effect is learnt from these; each
    half of the rows that are learnt from gets its values from outcomes of the other half.

    Users are in folds. `scores` of a fold come from all other folds. To judge them on the same users is unfair all the
    same: what is high in one fold by chance is low in the others, and the folds lean on each other. So there is a
    second run, `sequential`, in which each fold is scored by what was learnt from the folds before it; sums over folds
    are then martingales, with valid errors (Wager 2024). `targeting_curve` and `budget_curve` take these.

    Parameters
    ----------
    assignments, log, control, campaign, outcome, horizon, rewards, margin, strata, cluster, columns, exclude_conflicts
        As in `targeting_curve`.
    covariates : sequence of str, optional
        What is learnt from, as in `churnsurv.campaign_lift`: by default what is known of everybody.
    learner : regressor, optional
        Anything with ``fit(X, y)`` and ``predict(X)``, as those of scikit-learn; copied for each fit. Learns the
        effect. By default ridge regression on all columns, its penalty by generalised cross-validation.
    outcome_learner : regressor, optional
        Learns the outcome of each arm; the same as `learner` by default.
    folds : int
        At least 3. Clusters stay together.
    seed : int
        Of the folds. What else a learner draws, it draws by its own settings (``random_state=``).

    Returns
    -------
    UpliftScores
        `.scores` and `.sequential` by arm, in the order of the rows; `.predict` for other users.

    Raises
    ------
    InputError
        If there is nothing to learn from, or an arm is too small for the folds.

    Examples
    --------
    >>> import churnsurv as ch
    >>> app = ch.simulate_app(2000, seed=1)
    >>> found = uplift_scores(app.campaigns, app.log, campaign="recall", control="none")
    >>> found.arms, found.scores["sms"].shape == (found.n_users,)
    (('push', 'push_then_sms', 'sms', 'voucher'), True)
    """
    found = targets(
        assignments, log, control=control, campaign=campaign, outcome=outcome, horizon=horizon, covariates=covariates,
        rewards=rewards, margin=margin, strata=strata, cluster=cluster, columns=columns,
        exclude_conflicts=exclude_conflicts,
    )  # fmt: skip
    if not found.covariates:
        raise InputError("there is nothing to learn from: all covariates are the same for everybody. Name some.")
    learner = RidgeRegression() if learner is None else _checked(learner, "learner")
    of_outcome = learner if outcome_learner is None else _checked(outcome_learner, "outcome_learner")
    fold = _folds(found, folds, seed)
    how = _Learning(found, _probability(found), learner, of_outcome, _halves(found, seed))
    scores, models = _scored(how, fold, [(k, fold != k) for k in range(folds)])
    sequential, _ = _scored(how, fold, [(k, fold < k) for k in range(1, folds)])
    read_only(fold, *scores.values(), *sequential.values())
    return UpliftScores(
        campaign=found.campaign, control=control, outcome=outcome, arms=found.arms, horizon=found.rows.horizon,
        covariates=found.covariates, folds=folds, n_users=found.n, scores=MappingProxyType(scores),
        sequential=MappingProxyType(sequential), fold=fold, notes=found.notes, _found=found,
        _models=MappingProxyType(models),
    )  # fmt: skip


def _checked(learner: Any, name: str) -> Any:
    if not (callable(getattr(learner, "fit", None)) and callable(getattr(learner, "predict", None))) or isinstance(
        learner, type
    ):
        raise InputError(
            f"{name} must be a regressor with fit and predict, such as Ridge() of scikit-learn; not {learner!r}."
        )
    return learner


def _folds(found: Targets, folds: int, seed: int) -> Ints:
    """Fold of each row, in equal parts of each arm; the rows of a cluster share that of its first row."""
    if isinstance(folds, bool) or not isinstance(folds, (int, np.integer)) or folds < 3:
        raise InputError(f"folds must be a whole number from 3 on; not {folds!r}.")
    fold = _parts(found, folds, seed)
    for a, name in enumerate((found.control, *found.arms)):
        number = np.bincount(fold[found.arm == a], minlength=folds)
        if number[0] < _FEWEST_ROWS:
            raise InputError(
                f"arm {name!r} has {number.sum():,} users, too few to learn from in {folds} folds: the first one has "
                f"{number[0]} of them, {_FEWEST_ROWS} are needed. Take fewer folds, or leave the arm out."
            )
    return fold


def _halves(found: Targets, seed: int) -> Flags:
    """Two halves of each arm, apart from the folds."""
    return np.asarray(_parts(found, 2, seed + _OTHER_SEED) == 1)


def _parts(found: Targets, number: int, seed: int) -> Ints:
    rng = np.random.default_rng(seed)
    part = np.empty(found.n, dtype=np.int64)
    order = np.lexsort((rng.random(found.n), found.arm, found.rows.stratum))
    part[order] = np.arange(found.n) % number
    if found.cluster is not None:
        first = np.full(found.n_clusters, found.n, dtype=np.int64)
        np.minimum.at(first, found.cluster, np.arange(found.n))
        part = part[first[found.cluster]]
    return part


@dataclass(frozen=True, slots=True, eq=False)
class _Learning:
    """What is learnt from, and by what."""

    found: Targets
    probability: Floats
    learner: Any
    outcome_learner: Any
    half: Flags

    def effects(self, rows: Flags) -> list[Any]:
        """A model of the effect of each arm, learnt from some rows."""
        found = self.found
        values = np.empty((found.n, len(found.arms)))
        for side in (True, False):
            here = rows & (self.half == side)
            mean = np.column_stack([self._outcome(rows & ~here, a, here) for a in range(len(found.order))])
            of_arms = arm_values(found.outcome_value[here], found.arm[here], ArmModel(mean, self.probability[here]))
            values[here] = of_arms[:, 1:] - of_arms[:, :1]
        X = found.X[rows]
        return [copy.deepcopy(self.learner).fit(X, values[rows, a]) for a in range(len(found.arms))]

    def _outcome(self, rows: Flags, arm: int, here: Flags) -> Floats:
        """The outcome under an arm for rows `here`, learnt from others."""
        found = self.found
        own = rows & (found.arm == arm)
        if not own.any():
            name = (found.control, *found.arms)[arm]
            raise InputError(f"arm {name!r} has too few users to learn from. Take fewer folds, or leave the arm out.")
        model = copy.deepcopy(self.outcome_learner).fit(found.X[own], found.outcome_value[own])
        return np.asarray(model.predict(found.X[here]), dtype=np.float64)


def _scored(
    how: _Learning, fold: Ints, runs: Sequence[tuple[int, Flags]]
) -> tuple[dict[str, Floats], dict[str, tuple[Any, ...]]]:
    """Scores of each fold by what is learnt from some rows, and the models."""
    found = how.found
    scores = {arm: np.full(found.n, np.nan) for arm in found.arms}
    models: dict[str, list[Any]] = {arm: [] for arm in found.arms}
    for k, rows in runs:
        own = fold == k
        for arm, model in zip(found.arms, how.effects(rows), strict=True):
            scores[arm][own] = np.asarray(model.predict(found.X[own]), dtype=np.float64)
            models[arm].append(model)
    return scores, {arm: tuple(each) for arm, each in models.items()}


def _probability(found: Targets) -> Floats:
    """Probability of the arm that each row is in."""
    rows = found.rows
    return arm_model(
        found.outcome_value,
        found.arm,
        len(found.order),
        stratum=rows.stratum,
        n_strata=len(rows.strata),
        propensity=rows.propensity,
    ).probability


def _ranks(score: Floats, fold: Ints, folds: int) -> Floats:
    """Middle place of equal scores within the fold, as a share of it."""
    from scipy.stats import rankdata

    rank = np.full(score.shape[0], np.nan)
    for k in range(1, folds):
        own = fold == k
        rank[own] = (rankdata(score[own]) - 0.5) / max(int(own.sum()), 1)
    return rank
