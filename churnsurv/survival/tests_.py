"""The log-rank test, and the result that every test of the package returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from churnsurv.errors import InputError
from churnsurv.numerics import logrank as numerics
from churnsurv.survival.factors import group_columns
from churnsurv.survival.inputs import SurvivalData, check_level, column_list, survival_data
from churnsurv.tables import Result, schema

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TestResult", "logrank"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TestResult(Result):
    """A test: its statistic, degrees of freedom and p-value.

    Attributes
    ----------
    statistic : float
        Chi-square distributed with `df` degrees of freedom if there is no difference.
    df : int
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

    @property
    def table(self) -> pd.DataFrame:
        """Rows, observed and expected events by group."""
        import pandas as pd

        if self.groups is None:
            return pd.DataFrame({name: [] for name in schema(self._schema).names})
        return self.groups.copy()

    def _headline(self) -> str:
        return f"{self.method}: chi-square {self.statistic:.2f} on {self.df} df, {_p_text(self.p_value)}"

    def _facts(self) -> dict[str, Any]:
        test = {"statistic": self.statistic, "df": self.df, "p_value": self.p_value, "method": self.method}
        return {**test, **self.facts}


def logrank(
    data: Any,
    *,
    by: str | Sequence[str],
    strata: str | Sequence[str] | None = None,
    cluster: str | None = "auto",
    duration: str = "duration",
    event: str = "churned",
    entry: str | None = None,
    level: float = 0.95,
) -> TestResult:
    """Test whether the groups churn alike.

    Parameters
    ----------
    data : Spells, or any table
    by : str or sequence of str
        Columns whose values make the groups; missing values form the category "(missing)".
    strata : str or sequence of str, optional
        Groups are compared within each stratum, and the differences are added up.
    cluster : str or None
        Rows of one cluster may depend on each other: the test is then the robust score test. "auto": `user_id` for
        spells built with ``spells="all"``, else none.
    duration, event, entry : str
        Columns. `entry` is used where it is named, and from `Spells` always; at risk in (entry, duration].
    level : float
        Recorded with the result; the test itself has no level.

    Returns
    -------
    TestResult
        ``.statistic .df .p_value .method``; ``.table`` has `n`, `observed` and `expected` by group. The p-value
        belongs to a chi-square distribution with `df` degrees of freedom; `df` is the number of groups with events
        expected, less one. Source: Mantel (1966); Lin and Wei (1989) for the robust form.

    Raises
    ------
    InputError
        If there is one group only, no churn, no two groups at risk together, or too few clusters.

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
    """
    level = check_level(level)
    names = column_list("by", by)
    if not names:
        raise InputError("logrank needs `by`: the column whose groups are compared.")
    checked = survival_data(data, by=names, strata=strata, cluster=cluster, duration=duration, event=event, entry=entry)
    beside = group_columns(checked.by, "test")
    if checked.group_codes is None:
        raise InputError(
            f"all rows have the same value of {', '.join(map(repr, names))} ({checked.group_labels[0]!r}): a test "
            "needs two groups or more. Check the filters that made the table."
        )
    test = numerics.logrank(
        checked.duration,
        checked.churned,
        checked.group_codes,
        n_groups=len(checked.group_labels),
        entry=checked.entry,
        stratum=checked.strata_codes,
        n_strata=len(checked.strata_labels),
        cluster=checked.cluster_codes,
        n_clusters=checked.n_clusters,
    )
    facts = {
        "by": names,
        "strata": column_list("strata", strata),
        "n_strata": len(checked.strata_labels),
        "cluster": checked.cluster_name,
        "n_clusters": checked.n_clusters,
        "n": checked.n,
        "n_no_risk": checked.n_no_risk,
        "level": level,
        **checked.source,
    }
    return TestResult(
        statistic=test.statistic,
        df=test.df,
        p_value=test.p_value,
        method=_method(facts),
        groups=_groups(checked, test, beside),
        facts=facts,
    )


def _method(facts: Mapping[str, Any]) -> str:
    stratified = "stratified " if facts["strata"] else ""
    robust = f", robust score by {facts['cluster']}" if facts["cluster"] else ""
    return f"{stratified}log-rank test{robust}"


def _groups(checked: SurvivalData, test: numerics.LogRank, beside: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    columns = {
        "group": list(checked.group_labels),
        "n": test.n,
        "observed": test.observed,
        "expected": test.expected,
    }
    return pd.DataFrame(columns).join(beside)


def _p_text(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
