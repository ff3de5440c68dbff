"""The log-rank family of tests, and the result that every test of the package returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError, did_you_mean
from churnsurv.notes import Note, note
from churnsurv.numerics import group_effects
from churnsurv.numerics.logrank import LogRank, logrank_of_sets
from churnsurv.numerics.logrank_counts import GroupCounts, GroupRows, count_groups
from churnsurv.numerics.logrank_weights import COMBINED, Weighting, weighting_of
from churnsurv.survival.factors import group_columns
from churnsurv.survival.inputs import SurvivalData, check_level, column_list, survival_data
from churnsurv.tables import Result, schema

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["TestResult", "WeightingName", "groups_compared", "limits", "logrank", "method_name", "rows_of"]

Floats: TypeAlias = NDArray[np.float64]
WeightingName: TypeAlias = str | tuple[str, float, float]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TestResult(Result):
    """A test: its statistic, degrees of freedom and p-value.

    Attributes
    ----------
    statistic : float
        Chi-square distributed with `df` degrees of freedom if there is no difference; of the max-combo test, the
        largest absolute normal deviate.
    df : int
        Of the max-combo test, the number of deviates.
    p_value : float
    method : str
        Which test, in words.
    groups : DataFrame or None
        What `table` shows, laid out as schema "test": rows, observed and expected events by group. A test without
        groups has none, and an empty table.
    facts : mapping
        What else stands in the JSON.

    Examples
    --------
    >>> TestResult(statistic=4.2, df=1, p_value=0.0404, method="log-rank test")
    <TestResult: log-rank test: chi-square 4.20 on 1 df, p = 0.040>
    """

    _schema: ClassVar[str] = "test"
    __test__: ClassVar[bool] = False  # the name is no test case

    statistic: float
    df: int
    p_value: float
    method: str
    groups: pd.DataFrame | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    _effects: pd.DataFrame | None = None

    @property
    def table(self) -> pd.DataFrame:
        """Rows, observed and expected events by group."""
        return _copy_or_empty(self.groups, self._schema)

    @property
    def effects(self) -> pd.DataFrame:
        """How far each group lies from the first one: hazard ratio and difference of mean days; schema "effects"."""
        return _copy_or_empty(self._effects, "effects")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the hazard ratios of the groups with their intervals."""
        table = self.effects
        table = table[table["hazard_ratio"].notna()]
        if table.empty:
            raise InputError(f"{self.method}: there is no hazard ratio to draw; use .table.")
        from churnsurv.plots import forest

        variable = " | ".join(self.facts.get("by", ())) or "group"
        drawn = table.assign(variable=variable, category=table["group"], term=variable + ": " + table["group"])
        axes: Axes = forest(drawn, ax, level=self.facts.get("level", 0.95))
        return axes

    def _headline(self) -> str:
        said = _p_text(self.p_value)
        if "z" in self.facts and len(self.facts["z"]) > 1:
            largest = max(self.facts["z"], key=lambda name: abs(self.facts["z"][name]))
            return f"{self.method}: largest deviate {self.statistic:.2f}, {largest}, of {self.df}; {said}"
        return f"{self.method}: chi-square {self.statistic:.2f} on {self.df} df, {said}"

    def _facts(self) -> dict[str, Any]:
        test = {"statistic": self.statistic, "df": self.df, "p_value": self.p_value, "method": self.method}
        effects = {}
        if self._effects is not None:
            effects = {"effects": {name: self._effects[name].tolist() for name in self._effects.columns}}
        return {**test, **self.facts, **effects}


def _copy_or_empty(table: pd.DataFrame | None, name: str) -> pd.DataFrame:
    import pandas as pd

    if table is None:
        return pd.DataFrame({column: [] for column in schema(name).names})
    return table.copy()


def logrank(
    data: Any,
    *,
    by: str | Sequence[str],
    strata: str | Sequence[str] | None = None,
    weighting: WeightingName = "log-rank",
    trend: bool | Mapping[Any, float] = False,
    cluster: str | None = "auto",
    weights: str | None = None,
    weights_kind: str | None = None,
    duration: str = "duration",
    event: str = "churned",
    entry: str | None = None,
    level: float = 0.95,
) -> TestResult:
    """Test whether the groups churn alike, and say how far they differ.

    Parameters
    ----------
    data : Spells, or any table
    by : str or sequence of str
        Columns whose values make the groups; missing values form the category "(missing)".
    strata : str or sequence of str, optional
        Groups are compared within each stratum, and the differences are added up.
    weighting : str or tuple
        How much each day counts. "log-rank": all alike, the most powerful where hazards are proportional.
        "gehan-wilcoxon", "tarone-ware": by the number at risk, by its root. "peto-peto": by Peto and Peto's estimate of
        survival. ("fleming-harrington", p, q): by ``S^p (1 - S)^q``, S the pooled Kaplan-Meier survival of the stratum
        just before the day; (1, 0) is R's ``survdiff(rho=1)``. "max-combo": the largest of Fleming-Harrington
        (0, 0), (1, 0), (0, 1) and (1, 1) with a p-value for all four, where it is not known when groups differ; for two
        groups, or trend.
    trend : bool or mapping of group to score
        Test whether hazards rise or fall along the groups, on one degree of freedom. True: scores 0, 1, 2 ... in the
        order of the groups (categorical order, else sorted).
    cluster : str or None
        Rows of one cluster may depend on each other: the test is then the robust score test. "auto": `user_id` for
        history, gaps, and spells built with ``spells="all"``; else none.
    weights : str, optional
        A column of numbers > 0.
    weights_kind : {"frequency", "sampling"}
        Required with weights. "frequency": a row stands for so many users. "sampling": a row was drawn with a
        probability that its weight is the inverse of; the test is robust, by cluster or else by row.
    duration, event, entry : str
        Columns. `entry` is used where it is named, and from `Spells` always; at risk in (entry, duration].
    level : float
        Of the intervals in `effects`.

    Returns
    -------
    TestResult
        ``.statistic .df .p_value .method``; ``.table`` has `n`, `observed` and `expected` by group, days not weighted.
        The p-value belongs to a chi-square distribution with `df` degrees of freedom; `df` is the number of groups with
        events expected, less one. ``.effects`` has the hazard ratio of each group against the first (Cox, Efron's ties,
        within the strata, robust where the test is) and the difference of mean days until churn up to the last day
        that all groups were followed to (over all strata). Sources: Mantel (1966); Klein and Moeschberger (2003,
        section 7.3) for weights; Tarone (1975) for trend; Lin and Wei (1989) for the robust form; Lee (2007) for
        max-combo.

    Raises
    ------
    InputError
        If there is one group only, no churn, no two groups at risk together, or too few clusters; if a weighting is not
        known, a group has no score, or max-combo has more than two groups without order.

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({
    ...     "duration": [30, 35, 60, 70, 33, 90, 95, 120],
    ...     "churned": [True, True, True, False, True, True, True, False],
    ...     "channel": ["search"] * 4 + ["friend"] * 4,
    ... })
    >>> test = logrank(data, by="channel")
    >>> test
    <TestResult: log-rank test: chi-square 1.39 on 1 df, p = 0.238>
    >>> test.table.round(3)
        group  n  observed  expected channel
    0  friend  4       3.0     4.171  friend
    1  search  4       3.0     1.829  search
    >>> test.effects[["group", "reference", "hazard_ratio", "rmst_difference", "horizon"]].round(2)
        group reference  hazard_ratio  rmst_difference  horizon
    0  search    friend           3.6            -12.0     70.0
    >>> logrank(data, by="channel", weighting=("fleming-harrington", 0, 1))
    <TestResult: Fleming-Harrington(0, 1) test: chi-square 1.65 on 1 df, p = 0.199>
    """
    level = check_level(level)
    chosen = weighting_of(weighting)
    checked = groups_compared(
        "logrank", data, by=by, strata=strata, cluster=cluster, weights=weights, weights_kind=weights_kind,
        duration=duration, event=event, entry=entry,
    )  # fmt: skip
    beside = group_columns(checked.by, "test")
    scores = _scores(trend, checked.group_labels)
    rows = rows_of(checked)
    counts = count_groups(rows)
    test = logrank_of_sets(counts.sets, rows, weighting=chosen, scores=scores)
    facts = {
        **said_of(checked, by, strata, chosen, level),
        **({"trend": dict(zip(checked.group_labels, scores.tolist(), strict=True))} if scores is not None else {}),
        **({"z": _named(test, chosen)} if test.z is not None else {}),
        **checked.source,
    }
    return TestResult(
        statistic=test.statistic,
        df=test.df,
        p_value=test.p_value,
        method=method_name(chosen, checked, trend=scores is not None),
        groups=_groups(checked, counts, test, beside),
        facts=facts,
        _effects=_effects(checked.group_labels, counts, rows, level),
    )


def groups_compared(what: str, data: Any, *, by: str | Sequence[str], **named: Any) -> SurvivalData:
    """Check a table whose groups are compared: there must be two of them.

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"duration": [1, 2], "churned": [True, True], "plan": ["a", "b"]})
    >>> groups_compared("logrank", data, by="plan").group_labels
    ('a', 'b')
    """
    names = column_list("by", by)
    if not names:
        raise InputError(f"{what} needs `by`: the column whose groups are compared.")
    checked = survival_data(data, by=names, **named)
    if checked.group_codes is None:
        raise InputError(
            f"all rows have the same value of {', '.join(map(repr, names))} ({checked.group_labels[0]!r}): a test "
            "needs two groups or more. Check the filters that made the table."
        )
    return checked


def rows_of(checked: SurvivalData) -> GroupRows:
    """Return the arrays of checked rows that a test of groups takes.

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"duration": [1, 2], "churned": [True, True], "plan": ["a", "b"]})
    >>> rows_of(groups_compared("logrank", data, by="plan")).n_groups
    2
    """
    codes = np.zeros(checked.n, dtype=np.int64) if checked.group_codes is None else checked.group_codes
    return GroupRows(
        checked.duration, checked.churned, codes, len(checked.group_labels), checked.entry, checked.strata_codes,
        len(checked.strata_labels), checked.weights, checked.sampling is not None, checked.cluster_codes,
        checked.n_clusters,
    )  # fmt: skip


def said_of(
    checked: SurvivalData,
    by: str | Sequence[str],
    strata: str | Sequence[str] | None,
    weighting: Weighting,
    level: float,
) -> dict[str, Any]:
    """Return what stands in the JSON of a test beside its numbers."""
    powers = {"p": weighting.p, "q": weighting.q} if weighting.name == "fleming-harrington" else {}
    return {
        "by": column_list("by", by),
        "strata": column_list("strata", strata),
        "n_strata": len(checked.strata_labels),
        "weighting": weighting.name,
        **powers,
        "cluster": checked.cluster_name,
        "n_clusters": checked.n_clusters,
        **({"weights_kind": checked.weights_kind} if checked.weights_named and checked.weights_kind else {}),
        "n": checked.n_users,
        "n_no_risk": checked.n_no_risk,
        "level": level,
    }


def method_name(weighting: Weighting, checked: SurvivalData, *, trend: bool = False) -> Note:
    """Return which test it is, in words."""
    if trend:
        said = note("{weighting} test for trend", weighting=weighting.title)
    else:
        said = note("{weighting} test", weighting=weighting.title)
    if checked.strata_codes is not None:
        said = note("stratified {test}", test=said)
    if checked.cluster_name is not None:
        return note("{test}, robust score by {cluster}", test=said, cluster=checked.cluster_name)
    return said if checked.sampling is None else note("{test}, robust score by row", test=said)


def limits(estimate: Floats, std_error: Floats, reach: float) -> tuple[Floats, Floats]:
    """Return estimates less and plus so many standard errors.

    Examples
    --------
    >>> [limit.tolist() for limit in limits(np.array([1.0]), np.array([0.5]), 2.0)]
    [[0.0], [2.0]]
    """
    return estimate - reach * std_error, estimate + reach * std_error


_NOTES = {
    "no churn": "nobody of {group!r} churned: a hazard ratio would be 0",
    "no churn in the reference": "nobody of {reference!r} churned: no hazard can be compared with none",
    "never at risk with the reference": "{group!r} and {reference!r} are never at risk together on a day of churn",
    "separation": "the hazard ratio has no finite estimate: who of those at risk churns is told by the group",
    "too few clusters": "too few clusters for an interval of the hazard ratio",
}


def note_text(note: str | None, group: str, reference: str) -> str | None:
    """Return a reason of `LogRatios` in words."""
    return None if note is None else _NOTES[note].format(group=group, reference=reference)


def _scores(trend: bool | Mapping[Any, float], labels: tuple[str, ...]) -> Floats | None:
    if trend is False:
        return None
    if trend is True:
        return np.arange(len(labels), dtype=np.float64)
    if not isinstance(trend, Mapping):
        raise InputError(f"trend takes True or a mapping of each group to its score, not {trend!r}.")
    given = {str(group): score for group, score in trend.items()}
    missing = [label for label in labels if label not in given]
    if missing:
        unknown = [name for name in given if name not in labels]
        hint = did_you_mean(unknown[0], missing) if unknown else ""
        raise InputError(
            f"trend has no score for {', '.join(map(repr, missing[:12]))}{' ...' if len(missing) > 12 else ''}.{hint} "
            f"Each group needs one: {', '.join(map(repr, labels[:12]))}."
        )
    unknown = [name for name in given if name not in labels]
    if unknown:
        raise InputError(f"trend: there is no group {unknown[0]!r}. Groups: {', '.join(map(repr, labels[:12]))}.")
    values = [given[label] for label in labels]
    if not all(isinstance(value, (int, float, np.integer, np.floating)) and np.isfinite(value) for value in values):
        raise InputError(f"trend: scores must be finite numbers, not {values!r}.")
    scores = np.array(values, dtype=np.float64)
    if np.ptp(scores) == 0:
        raise InputError("trend: all groups have the same score: there is no trend to test. Give them different ones.")
    return scores


def _named(test: LogRank, weighting: Weighting) -> dict[str, float]:
    """Normal deviates by weighting; of max-combo's those that have one."""
    z = [] if test.z is None else test.z.tolist()
    titles = [one.title for one in COMBINED] if weighting.name == "max-combo" else [weighting.title]
    return dict(zip(titles, z, strict=False))


def _groups(checked: SurvivalData, counts: GroupCounts, test: LogRank, beside: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    columns = {
        "group": list(checked.group_labels),
        "n": counts.n,
        "observed": test.observed,
        "expected": test.expected,
    }
    return pd.DataFrame(columns).join(beside)


def _effects(labels: tuple[str, ...], counts: GroupCounts, rows: GroupRows, level: float) -> pd.DataFrame:
    import pandas as pd
    from scipy.special import ndtri

    reach = float(ndtri(0.5 + level / 2))
    others = range(1, len(labels))
    ratios = group_effects.log_ratios(counts.sets, rows)
    low, high = limits(ratios.estimate, ratios.std_error, reach)
    with np.errstate(over="ignore", under="ignore"):
        hazard_ratio, hr_lower, hr_upper = (np.exp(values[1:]) for values in (ratios.estimate, low, high))
    horizon = group_effects.common_day(counts)
    difference = np.full((2, len(others)), np.nan)
    if horizon > 0:
        found = group_effects.areas(counts, horizon, rows)
        difference = np.array([found.difference(g, 0) for g in others]).T
    lower, upper = limits(difference[0], difference[1], reach)
    notes = [note_text(ratios.note[g], labels[g], labels[0]) for g in others]
    return pd.DataFrame(
        {
            "group": list(labels[1:]),
            "reference": labels[0],
            "hazard_ratio": hazard_ratio,
            "hr_lower": hr_lower,
            "hr_upper": hr_upper,
            "rmst_difference": difference[0],
            "rmst_lower": lower,
            "rmst_upper": upper,
            "horizon": horizon,
            "note": pd.Series(notes, dtype=object),
        }
    )


def _p_text(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
