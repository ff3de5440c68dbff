"""Whom a campaign should reach: effects on users ranked by scores, with limits, and what each ranking is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from churnsurv.errors import InputError
from churnsurv.numerics.rank_effects import (
    AreaEffects,
    Ranking,
    area_effects,
    curve_effects,
    explained,
    ranking,
    satterthwaite,
)
from churnsurv.recall.row_values import Targets, targets, units
from churnsurv.recall.student_limits import band_critical, t_quantile, two_sided
from churnsurv.recall.uplift_scores import UpliftScores
from churnsurv.survival.inputs import check_level
from churnsurv.survival.multiplicity import adjusted
from churnsurv.tables import Result

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from churnsurv.data import ActivityLog

__all__ = ["TargetingCurve", "targeting_curve"]

Floats: TypeAlias = NDArray[np.float64]

_PER = 1000.0
_LEAST_BAND = 0.05  # share targeted from which on there are bands
_FEWEST_DF = 20.0  # below, too few rows of an arm are targeted for limits to hold
_ZERO = 1e-12


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TargetingCurve(Result):
    """Effects on users ranked by scores; made by `targeting_curve`.

    Attributes
    ----------
    campaign, control, outcome : str
    arms : tuple of str
        Those compared with the control.
    scores : tuple of str
    horizon : int
    covariates : tuple of str
        Adjusted for.
    level : float
    n_users : int
        Rows that are ranked.
    notes : tuple of str
    """

    _schema: ClassVar[str] = "targeting_curve"

    campaign: str
    control: str
    outcome: str
    arms: tuple[str, ...]
    scores: tuple[str, ...]
    horizon: int
    covariates: tuple[str, ...]
    level: float
    n_users: int
    notes: tuple[str, ...]
    _tables: Mapping[str, pd.DataFrame]

    @property
    def table(self) -> pd.DataFrame:
        """One row for each score, arm, measure and share."""
        return self._tables["targeting_curve"].copy()

    @property
    def rates(self) -> pd.DataFrame:
        """Areas under toc and qini by score and arm; schema "targeting_rates"."""
        return self._tables["targeting_rates"].copy()

    @property
    def compared(self) -> pd.DataFrame:
        """Differences of these areas between scores, ranked on the same rows; schema "targeting_compared"."""
        return self._tables["targeting_compared"].copy()

    def plot(self, ax: Axes | None = None, *, quantity: str = "toc", arm: str | None = None) -> Axes:
        """Draw the curves of all scores.

        Parameters
        ----------
        ax : Axes, optional
        quantity : {"toc", "qini", "effect", "gain"}
        arm : str, optional
            Only this arm; all by default.
        """
        from churnsurv.plots.lift_targets import targeting_curve as draw

        return draw(self.table, ax, quantity=quantity, arm=arm, level=self.level)

    def _headline(self) -> str:
        rates = self._tables["targeting_rates"]
        rates = rates[rates["measure"] == "autoc"]
        said = []
        for row in rates.head(3).to_dict("records"):
            limits = "[{lower:.3g}, {upper:.3g}]".format_map(row)
            limits = "too few users for limits" if np.isnan(row["lower"]) else limits
            said.append(f"{row['score']} ({row['arm']}) {row['estimate']:.3g} {limits}")
        more = ", ..." if len(rates) > 3 else ""
        return (
            f"{self.campaign}, {self.outcome} by day {self.horizon}, {self.n_users:,} users: area under the targeting "
            f"curve, {units(self.outcome)} per 1,000 targeted: {', '.join(said)}{more}"
        )

    def _facts(self) -> dict[str, Any]:
        names = (
            "campaign",
            "control",
            "outcome",
            "arms",
            "scores",
            "horizon",
            "covariates",
            "level",
            "n_users",
            "notes",
        )
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True, eq=False)
class _Ranked:
    """One score on one arm."""

    score: str
    arm: str
    effects: Floats
    ranked: Ranking


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """The rows that are ranked, and which of them depend on each other."""

    place: NDArray[np.intp]
    cluster: NDArray[np.int64] | None
    n_clusters: int
    terms: Floats
    part: float


def targeting_curve(
    assignments: Any,
    log: ActivityLog | None = None,
    *,
    scores: Mapping[str, str | ArrayLike | UpliftScores] | Sequence[str] | str | UpliftScores,
    control: str = "holdout",
    arms: str | Sequence[str] | None = None,
    campaign: str | None = None,
    outcome: str = "return_probability",
    horizon: int | str | None = None,
    covariates: Sequence[str] | None = None,
    rewards: Any = None,
    margin: float = 1.0,
    strata: str | Sequence[str] | None = None,
    cluster: str | None = "auto",
    shares: ArrayLike | None = None,
    columns: Mapping[str, Mapping[str, str]] | None = None,
    exclude_conflicts: bool = False,
    level: float = 0.95,
) -> TargetingCurve:
    """Estimate what a randomised campaign does to the users that a score ranks highest.

    Parameters
    ----------
    assignments : table, or CampaignRows
        As in `churnsurv.campaign_lift`; with `CampaignRows` no log is needed.
    log : ActivityLog, optional
    scores : columns; mapping of name to column, (n,) array or UpliftScores; or UpliftScores
        Known before the assignment, and not learnt from these outcomes; a higher score is to be contacted first.
        Columns are numbers of the assignments or users, or ``pre_active_days, pre_invested, pre_balance,
        pre_idle_days, tenure``. Arrays have one number for each row of `CampaignRows` (of the campaign). `UpliftScores`
        are learnt from these outcomes, but in turn: each arm is ranked by its own `sequential` scores, within folds,
        and the first fold has none, so that all scores are judged on the users of the others.
    control : str
    arms : str or sequence of str, optional
        All arms but the control by default.
    campaign : str, optional
        Needed where there are several.
    outcome : {"return_probability", "active_days", "reinvested", "net_value", "days_live"}
    horizon : int or text such as "30d"
        30 by default, or that of the rows.
    covariates, rewards, margin, strata, cluster, columns, exclude_conflicts
        As in `churnsurv.campaign_lift`; covariates only sharpen what is estimated.
    shares : (n_shares,) array, optional
        Shares of the population that are targeted, ascending, in (0, 1]; by default 0.05, 0.06, ... 1.
    level : float

    Returns
    -------
    TargetingCurve
        `.table`: at each share q the effect per 1,000 targeted (*effect*), the same less the effect on all (*toc*), the
        gain per 1,000 of the population (*gain* = q effect) and what it is above that of a random share (*qini* = q
        toc). Nothing is normalised. Limits hold at each share alone, bands at all shares from 0.05 on together. Where
        too few users of an arm are targeted there are no limits. `.rates`: areas under toc and qini. `.compared`:
        differences of scores.

    Raises
    ------
    InputError
        If there is no such column, arm or campaign, a score has holes, or shares are none.
    FollowUpError
        If nobody of an arm was followed to the horizon.

    Examples
    --------
    >>> import churnsurv as ch
    >>> app = ch.simulate_app(2000, seed=1)
    >>> curve = targeting_curve(
    ...     app.campaigns, app.log, scores=["pre_idle_days", "tenure"], campaign="recall", control="none", arms="sms"
    ... )
    >>> curve.rates[["score", "measure"]].values.tolist()
    [['pre_idle_days', 'autoc'], ['pre_idle_days', 'qini_area'], ['tenure', 'autoc'], ['tenure', 'qini_area']]
    """
    level, at = check_level(level), _shares(shares)
    given = _named(scores)
    found = targets(
        assignments, log, control=control, campaign=campaign, outcome=outcome, horizon=horizon, covariates=covariates,
        given={"scores": given.values()}, rewards=rewards, margin=margin, strata=strata, cluster=cluster,
        columns=columns, exclude_conflicts=exclude_conflicts,
    )  # fmt: skip
    chosen = found.arms if arms is None else found.some((arms,) if isinstance(arms, str) else arms, "arms")
    rows = _rows(found, given)
    return _result(found, chosen, rows, _ranked(found, chosen, rows, given), at, level)


def _shares(shares: ArrayLike | None) -> Floats:
    if shares is None:
        return np.arange(5, 101) / 100
    at = np.atleast_1d(np.asarray(shares, dtype=np.float64))
    if at.ndim != 1 or at.size == 0 or not ((at > 0) & (at <= 1)).all() or (np.diff(at) <= 0).any():
        raise InputError(f"shares must lie in (0, 1], ascending and none twice; got {shares!r}.")
    return at


def _named(scores: Any) -> dict[str, Any]:
    if isinstance(scores, UpliftScores):
        scores = {"uplift": scores}
    if isinstance(scores, str):
        scores = [scores]
    named = {str(name): values for name, values in scores.items()} if isinstance(scores, Mapping) else None
    if named is None:
        if not all(isinstance(name, str) for name in scores):
            raise InputError("scores must be names of columns, or a mapping of a name to each array.")
        named = {name: name for name in scores}
    if not named:
        raise InputError("scores is empty: name one or more.")
    return named


def _rows(found: Targets, scores: Mapping[str, Any]) -> _Rows:
    """All rows, or those that learnt scores have not seen before they scored them."""
    unseen = np.ones(found.n, dtype=np.bool_)
    for each in scores.values():
        if isinstance(each, UpliftScores):
            each.check_rows(found)
            unseen &= each.fold > 0
    place = np.flatnonzero(unseen)
    terms, part = found.terms()[place], place.size / found.n
    if found.cluster is None:
        return _Rows(place, None, 0, terms, part)
    codes, cluster = np.unique(found.cluster[place], return_inverse=True)
    return _Rows(place, cluster.astype(np.int64), int(codes.size), terms, part)


def _ranked(found: Targets, arms: Sequence[str], rows: _Rows, scores: Mapping[str, Any]) -> list[_Ranked]:
    effects = found.effects()[rows.place]
    column = {arm: np.ascontiguousarray(effects[:, found.arms.index(arm)]) for arm in arms}
    ranked = []
    for name, values in scores.items():
        if isinstance(values, UpliftScores):
            places = {arm: ranking(values.ranks(arm)[rows.place]) for arm in arms}
        else:
            alike = ranking(found.column(values, f"score {name!r}")[rows.place])
            places = dict.fromkeys(arms, alike)
        ranked += [_Ranked(name, arm, column[arm], places[arm]) for arm in arms]
    return ranked


def _result(
    found: Targets, arms: tuple[str, ...], rows: _Rows, ranked: Sequence[_Ranked], at: Floats, level: float
) -> TargetingCurve:
    import pandas as pd

    unit, notes = units(found.outcome), list(found.notes)
    curves, areas = [], []
    for each in ranked:
        table, first = _curve(rows, each, at, level, unit)
        curves.append(table)
        areas.append(area_effects(each.effects, each.ranked))
        if first is None or first > max(at[0], _LEAST_BAND):
            where = "at no share" if first is None else f"from a share of {first:g} on"
            notes.append(f"{each.score} ({each.arm}): limits {where}; below, too few users of an arm are targeted.")
    tables = {
        "targeting_curve": pd.concat(curves, ignore_index=True),
        "targeting_rates": _rates(rows, ranked, areas, level, unit),
        "targeting_compared": _compared(rows, ranked, areas, level, unit),
    }
    return TargetingCurve(
        campaign=found.campaign, control=found.control, outcome=found.outcome, arms=arms,
        scores=tuple(dict.fromkeys(each.score for each in ranked)), horizon=found.rows.horizon,
        covariates=found.covariates, level=level, n_users=rows.place.size, notes=tuple(notes),
        _tables=MappingProxyType(tables),
    )  # fmt: skip


def _curve(rows: _Rows, each: _Ranked, at: Floats, level: float, unit: str) -> tuple[pd.DataFrame, float | None]:
    """The table of one score and arm, and the first share with limits."""
    import pandas as pd

    curve = curve_effects(
        each.effects, each.ranked, at, cluster=rows.cluster, n_clusters=rows.n_clusters, terms=rows.terms,
        part=rows.part,
    )  # fmt: skip
    places = each.ranked.places[1:] * (1 + _ZERO)
    limit = each.ranked.value[np.minimum(np.searchsorted(places, at), each.ranked.value.size - 1)]
    enough = (curve.effect_df >= _FEWEST_DF) & (np.diag(curve.effect_covariance) > 0)
    known = np.minimum.accumulate(enough[::-1])[::-1]
    parts = []
    for of_targeted, of_all, estimate, covariance, df in (
        ("effect", "gain", curve.effect, curve.effect_covariance, curve.effect_df),
        ("toc", "qini", curve.toc, curve.toc_covariance, curve.toc_df),
    ):
        error = np.sqrt(np.maximum(np.diag(covariance), 0.0))
        error[error <= _ZERO * error.max(initial=0.0)] = 0.0
        # nothing is left to estimate of toc where everybody is targeted
        error[at == 1] = error[at == 1] if of_targeted == "effect" else 0.0
        half = np.where(known, t_quantile(df, level) * error, np.nan)
        band = np.where(known & (at >= _LEAST_BAND), half, np.nan)
        band *= band_critical(covariance, error, ~np.isnan(band), level) / t_quantile(np.inf, level)
        numbers = {"estimate": estimate, "std_error": error}
        numbers |= {"lower": estimate - half, "upper": estimate + half}
        numbers |= {"band_lower": estimate - band, "band_upper": estimate + band}
        for measure, scale, per in ((of_targeted, _PER, "targeted"), (of_all, _PER * at, "of the population")):
            head = {"score": each.score, "arm": each.arm, "measure": measure, "unit": f"{unit} per 1,000 {per}"}
            columns = {name: values * scale for name, values in numbers.items()}
            parts.append(pd.DataFrame(head | {"share": at, "threshold": limit} | columns))
    return pd.concat(parts, ignore_index=True), float(at[known][0]) if known.any() else None


def _by_cluster(rows: _Rows, values: Floats) -> Floats:
    return np.bincount(rows.cluster, values, minlength=rows.n_clusters).astype(np.float64)  # type: ignore[arg-type]


def _explained_areas(rows: _Rows, influence: Sequence[Floats]) -> Floats:
    """What follow-up explains of each variance."""
    if not rows.terms.any():
        return np.zeros(len(influence))
    psi, terms = np.array(influence), rows.terms
    P, Q = psi @ terms, terms.T @ terms
    if rows.cluster is None:
        return np.asarray(rows.part * np.diag(explained(P, Q, P, Q)))
    psi, terms = (np.array([_by_cluster(rows, each) for each in columns]) for columns in (psi, terms.T))
    return np.asarray(rows.part * np.diag(explained(P, Q, psi @ terms.T, terms @ terms.T)))


def _of_areas(rows: _Rows, estimate: Sequence[float], influence: Sequence[Floats], level: float) -> dict[str, Floats]:
    """Estimates, errors, limits and p-values, by influences of rows."""
    taken = _explained_areas(rows, influence)
    if rows.cluster is not None:
        influence = [_by_cluster(rows, each) for each in influence]
    n = influence[0].shape[0]
    squares = np.array([each @ each for each in influence])
    df = satterthwaite(squares, np.array([np.square(each) @ np.square(each) for each in influence]), n)
    squares = squares - taken
    at, error = np.array(estimate), np.sqrt(np.maximum(squares, 0.0))
    known = (df >= _FEWEST_DF) & (squares > 0)
    half = np.where(known, t_quantile(df, level) * error, np.nan)
    return {
        "estimate": _PER * at,
        "std_error": _PER * error,
        "lower": _PER * (at - half),
        "upper": _PER * (at + half),
        "p_value": np.where(known, two_sided(at, error, df), np.nan),
    }


def _measures(unit: str) -> tuple[tuple[str, str, str], ...]:
    return (
        ("autoc", "autoc_influence", f"{unit} per 1,000 targeted"),
        ("qini_area", "qini_influence", f"{unit} per 1,000 of the population"),
    )


def _rates(
    rows: _Rows, ranked: Sequence[_Ranked], areas: Sequence[AreaEffects], level: float, unit: str
) -> pd.DataFrame:
    import pandas as pd

    found = [
        (each.score, each.arm, measure, per, getattr(area, measure), getattr(area, influence))
        for each, area in zip(ranked, areas, strict=True)
        for measure, influence, per in _measures(unit)
    ]
    names = ("score", "arm", "measure", "unit")
    head = pd.DataFrame([row[:4] for row in found], columns=names)
    return head.assign(**_of_areas(rows, [row[4] for row in found], [row[5] for row in found], level))


def _compared(
    rows: _Rows, ranked: Sequence[_Ranked], areas: Sequence[AreaEffects], level: float, unit: str
) -> pd.DataFrame:
    """Each pair of scores on the same arm: the difference of influences has the ranking of both in it."""
    import pandas as pd

    from churnsurv.tables import schema

    found = [
        (
            a.arm,
            measure,
            a.score,
            b.score,
            per,
            getattr(x, measure) - getattr(y, measure),
            getattr(x, of) - getattr(y, of),
        )
        for (a, x), (b, y) in combinations(zip(ranked, areas, strict=True), 2)
        if a.arm == b.arm
        for measure, of, per in _measures(unit)
    ]
    names = ("arm", "measure", "score", "compared_with", "unit")
    if not found:
        kinds = {
            each.name: "float64" if each.kind == "number" else "object" for each in schema("targeting_compared").columns
        }
        return pd.DataFrame(columns=list(kinds)).astype(kinds)
    table = pd.DataFrame([row[:5] for row in found], columns=names)
    table = table.assign(**_of_areas(rows, [row[5] for row in found], [row[6] for row in found], level))
    table["adjusted_p_value"] = np.nan
    for places in table.groupby(["arm", "measure"], sort=False).indices.values():
        table.loc[places, "adjusted_p_value"] = adjusted(table["p_value"].to_numpy()[places], "holm")
    return table
