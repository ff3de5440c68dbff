"""Gray's test of incidence between groups, with how large the differences are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from churnsurv.errors import ConvergenceError, InputError
from churnsurv.numerics import competing as incidence
from churnsurv.numerics import gray as numerics
from churnsurv.numerics.cox import CoxData
from churnsurv.numerics.design import Indicators, design
from churnsurv.numerics.fine_gray import FineGrayData, fit_fine_gray, robust_covariance
from churnsurv.numerics.incidence_variance import jackknife_variance
from churnsurv.numerics.risk_sets import risk_sets
from churnsurv.numerics.staying import staying
from churnsurv.survival.cause_codes import UNKNOWN, cause_named, causes_of
from churnsurv.survival.inputs import SurvivalData, check_level, column_list, survival_data
from churnsurv.survival.multiplicity import adjusted
from churnsurv.survival.tests_ import TestResult
from churnsurv.tables import Result

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["GrayTests", "gray_test"]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class GrayTests(Result):
    """One test a cause; made by `gray_test`.

    Attributes
    ----------
    groups, causes : tuple of str
    rho, level : float
    strata : tuple of str
    n, n_no_risk : int
        Rows at risk, and rows that never are.
    effects : DataFrame
        Schema "gray_effects": how far each group lies from the first one.
    """

    _schema: ClassVar[str] = "gray_test"

    groups: tuple[str, ...]
    causes: tuple[str, ...]
    rho: float
    strata: tuple[str, ...]
    level: float
    n: int
    n_no_risk: int
    _tests: pd.DataFrame
    _effects: pd.DataFrame
    _said: Mapping[str, Any] = field(default_factory=dict)

    @property
    def table(self) -> pd.DataFrame:
        """One row per cause; the p-values belong to as many questions, and `p_adjusted` heeds that (Holm)."""
        return self._tests.copy()

    @property
    def effects(self) -> pd.DataFrame:
        """Subdistribution hazard ratios and differences of incidence of each group against the first one."""
        return self._effects.copy()

    def of(self, cause: object) -> TestResult:
        """Return the test of one cause alone.

        Examples
        --------
        >>> import pandas as pd
        >>> data = pd.DataFrame({"duration": [1, 2, 3, 4] * 2, "churned": [1, 1, 1, 0, 1, 0, 1, 1],
        ...     "plan": list("aaaabbbb"), "why": ["x", "x", "y", None, "y", None, "x", "y"]})
        >>> gray_test(data, cause="why", by="plan").of("x").df
        1
        """
        row = self._tests.iloc[cause_named(cause, self.causes)]
        return TestResult(
            float(row["statistic"]), int(row["df"]), float(row["p_value"]), f"Gray's test, {row['cause']}"
        )

    def _headline(self) -> str:
        first = self._tests.sort_values("p_value", kind="stable").iloc[0]
        p, adjusted = ("p < 0.001" if first[x] < 0.001 else f"p = {first[x]:.3f}" for x in ("p_value", "p_adjusted"))
        adjusted = f", adjusted {adjusted}" if len(self._tests) > 1 else ""
        return (
            f"Gray's test of {len(self.groups)} groups, {len(self.causes)} cause{'s' if len(self.causes) > 1 else ''}; "
            f"clearest: {first['cause']}, chi-square {first['statistic']:.2f} on {first['df']} df, {p}{adjusted}"
        )

    def _facts(self) -> dict[str, Any]:
        return {
            "groups": list(self.groups),
            "rho": self.rho,
            "strata": list(self.strata),
            "level": self.level,
            "n": self.n,
            "n_no_risk": self.n_no_risk,
            "adjust": "holm",
            "effects": {name: self._effects[name].tolist() for name in self._effects.columns},
            **self._said,
        }


def gray_test(
    data: Any,
    *,
    cause: str,
    by: str | Sequence[str],
    cause_of_interest: object = None,
    rho: float = 0.0,
    strata: str | Sequence[str] | None = None,
    cluster: str | None = "auto",
    duration: str = "duration",
    event: str = "churned",
    entry: str | None = None,
    level: float = 0.95,
) -> GrayTests:
    """Test for each cause whether groups have the same incidence of it (Gray 1988).

    Parameters
    ----------
    data : Spells, or any table
    cause : str
        A column with the reason of churn, read where a row churned. Null there is a cause of its own, "unknown".
    by : str or sequence of str
        Columns whose values make the groups; missing values form the category "(missing)".
    cause_of_interest : object, optional
        Test this cause alone.
    rho : float
        Weight (1 - F)^rho of a day: more than 0 gives the first days more weight.
    strata : str or sequence of str, optional
        Groups are compared within each stratum, and the differences are added up.
    cluster : str or None
        The test takes rows as independent: "auto" refuses spells built with ``spells="all"``, None takes them all the
        same.
    duration, event, entry : str
        Columns. `entry` is used where it is named, and from `Spells` always; at risk in (entry, duration].
    level : float
        Of the intervals of the effects.

    Returns
    -------
    GrayTests
        ``.table`` has a row for each cause, the same as ``$Tests`` of ``cuminc`` in R's cmprsk; ``.effects`` the
        subdistribution hazard ratio of each group (Fine and Gray, within strata, robust errors) and the difference of
        incidence on the last day to which all were followed. With late entry the risk sets are those under
        observation; cmprsk has no late entry.

    Raises
    ------
    InputError
        If there is one group only, nobody churned, no churn has the cause of interest, or rows are clustered.

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"duration": [1, 2, 3, 4] * 2, "churned": [1, 1, 1, 0, 1, 0, 1, 1],
    ...     "plan": list("aaaabbbb"), "why": ["x", "x", "y", None, "y", None, "x", "y"]})
    >>> gray_test(data, cause="why", by="plan").table[["cause", "statistic", "df", "p_value", "p_adjusted"]].round(3)
      cause  statistic  df  p_value  p_adjusted
    0     x      0.568   1    0.451       0.754
    1     y      0.780   1    0.377       0.754
    """
    level = check_level(level)
    names = column_list("by", by)
    if not names:
        raise InputError("gray_test needs `by`: the column whose groups are compared.")
    checked = survival_data(
        data, by=names, strata=strata, cluster=cluster, duration=duration, event=event, entry=entry, columns=(cause,)
    )
    if checked.cluster_codes is not None:
        raise InputError(
            f"Gray's test takes rows as independent, and those of one {checked.cluster_name!r} are not. Take first "
            "spells, or compare the groups with fine_gray, which has robust errors; cluster=None tests all the same."
        )
    if checked.group_codes is None:
        raise InputError(
            f"all rows have the same value of {', '.join(map(repr, names))} ({checked.group_labels[0]!r}): a test "
            "needs two groups or more. Check the filters that made the table."
        )
    causes = causes_of(checked, cause)
    outcome, labels = causes.outcome, causes.labels
    wanted = range(len(labels)) if cause_of_interest is None else [cause_named(cause_of_interest, labels)]
    counts = _counted(checked, outcome, len(labels))
    tests = [numerics.gray_test(counts, cause=k, rho=rho) for k in wanted]
    if all(test.df == 0 for test in tests):
        raise InputError("no two groups are at risk together (within a stratum): there is nothing to compare.")
    chosen = tuple(labels[k] for k in wanted)
    n_events = [sum(int(one.n_events[k].sum()) for groups in counts for one in groups) for k in wanted]
    unknown = f"churns of unknown {cause!r} are a cause of their own." if UNKNOWN in labels else None
    return GrayTests(
        groups=checked.group_labels,
        causes=chosen,
        rho=float(rho),
        strata=tuple(column_list("strata", strata)),
        level=level,
        n=checked.n_rows - checked.n_no_risk,
        n_no_risk=checked.n_no_risk,
        _tests=_table(chosen, tests, n_events),
        _effects=_effects(checked, outcome, len(labels), list(wanted), chosen, counts, level),
        _said={
            "by": names,
            "cause": cause,
            "n_strata": len(checked.strata_labels),
            **({"note": unknown} if unknown else {}),
            **checked.source,
        },
    )


def _counted(checked: SurvivalData, outcome: NDArray[Any], n_causes: int) -> list[list[incidence.CauseCounts]]:
    """Counts by stratum and group."""
    n_groups, n_strata = len(checked.group_labels), len(checked.strata_labels)
    cell: NDArray[Any] | None = checked.group_codes
    if checked.strata_codes is not None and cell is not None:
        cell = checked.strata_codes.astype(np.int64) * n_groups + cell
    rows = _rows(checked, outcome)
    counts = incidence.cause_counts(rows, n_causes=n_causes, group=cell, n_groups=n_groups * n_strata)
    return [counts[s * n_groups : (s + 1) * n_groups] for s in range(n_strata)]


def _rows(checked: SurvivalData, outcome: NDArray[Any]) -> incidence.CauseRows:
    """The rows with their outcomes; those of an engine as often as they are there."""
    frequency = checked.frequency
    return incidence.CauseRows(checked.duration, outcome, checked.entry, frequency, frequency is not None)


def _table(causes: tuple[str, ...], tests: Sequence[numerics.GrayTest], n_events: list[int]) -> pd.DataFrame:
    import pandas as pd

    p_value = np.array([test.p_value for test in tests])
    return pd.DataFrame(
        {
            "cause": list(causes),
            "n_events": n_events,
            "statistic": [test.statistic for test in tests],
            "df": [test.df for test in tests],
            "p_value": p_value,
            "p_adjusted": adjusted(p_value, "holm"),
        }
    )


def _effects(
    checked: SurvivalData,
    outcome: NDArray[Any],
    n_causes: int,
    wanted: Sequence[int],
    causes: tuple[str, ...],
    counts: list[list[incidence.CauseCounts]],
    level: float,
) -> pd.DataFrame:
    import pandas as pd

    z = float(ndtri(0.5 + level / 2))
    day, values, errors = _on_the_last_day(checked, outcome, n_causes)
    patterns = _patterns(checked, outcome, counts)
    parts = []
    for k, name in zip(wanted, causes, strict=True):
        logs, log_errors, note = _ratios(patterns, checked.group_labels, cause=k)
        difference = values[1:, k] - values[0, k]
        reach = z * np.hypot(errors[1:, k], errors[0, k])
        with np.errstate(over="ignore"):
            ratio = {
                "hazard_ratio": np.exp(logs),
                "hr_lower": np.exp(logs - z * log_errors),
                "hr_upper": np.exp(logs + z * log_errors),
            }
        parts.append(
            pd.DataFrame(
                {
                    "cause": name,
                    "group": list(checked.group_labels[1:]),
                    "reference": checked.group_labels[0],
                    **ratio,
                    "time": day,
                    "difference": difference,
                    "lower": np.maximum(difference - reach, -1.0),
                    "upper": np.minimum(difference + reach, 1.0),
                    "note": pd.Series(note, dtype=object),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _on_the_last_day(checked: SurvivalData, outcome: NDArray[Any], n_causes: int) -> tuple[float, Floats, Floats]:
    """The last day to which all groups were followed, and incidences and standard errors on it, by group and cause."""
    n_groups = len(checked.group_labels)
    rows = _rows(checked, outcome)
    counts = incidence.cause_counts(rows, n_causes=n_causes, group=checked.group_codes, n_groups=n_groups)
    followed = [one for one in counts if one.time.size]
    day = min(float(one.time[-1]) for one in followed)
    values, errors = np.full((2, n_groups, n_causes), np.nan)
    for g, one in enumerate(counts):
        if one.time.size == 0:
            continue
        curves = incidence.aalen_johansen(one)
        of_group = rows
        if checked.entry is not None and checked.group_codes is not None:
            of_group = rows.take(np.flatnonzero(checked.group_codes == g))
        variance = jackknife_variance(one, curves, of_group, np.eye(n_causes)[:, :, None])
        at = int(np.searchsorted(one.time, day, side="right"))
        values[g] = np.append(np.zeros((n_causes, 1)), curves.incidence, axis=1)[:, at]
        errors[g] = np.sqrt(np.append(np.zeros((n_causes, 1)), variance, axis=1)[:, at])
    return day, values, errors


@dataclass(frozen=True, slots=True, eq=False)
class _Patterns:
    """Rows, equal ones counted: group, stratum, end, outcome, entry and how many."""

    group: NDArray[np.int32]
    stratum: NDArray[np.int64]
    duration: NDArray[Any]
    outcome: NDArray[Any]
    entry: NDArray[Any] | None
    frequency: Floats
    n_strata: int

    def take(self, kept: NDArray[np.bool_]) -> _Patterns:
        entry = None if self.entry is None else self.entry[kept]
        return _Patterns(
            self.group[kept], self.stratum[kept], self.duration[kept], self.outcome[kept], entry, self.frequency[kept],
            self.n_strata,
        )  # fmt: skip


def _patterns(checked: SurvivalData, outcome: NDArray[Any], counts: list[list[incidence.CauseCounts]]) -> _Patterns:
    """Rows of the counts where nobody enters late: with whole days they are few, however many users there are."""
    n_strata = len(checked.strata_labels)
    if checked.entry is not None and bool((checked.entry > 0).any()):
        stratum = np.zeros(checked.n, dtype=np.int64)
        if checked.strata_codes is not None:
            stratum = checked.strata_codes.astype(np.int64)
        codes = np.zeros(checked.n) if checked.group_codes is None else checked.group_codes
        times = np.ones(checked.n) if checked.frequency is None else checked.frequency
        return _Patterns(codes.astype(np.int32), stratum, checked.duration, outcome, checked.entry, times, n_strata)
    parts: list[tuple[NDArray[Any], ...]] = []
    for s, groups in enumerate(counts):
        for g, one in enumerate(groups):
            which, at = np.nonzero(one.mass)
            parts.append(
                (np.full(at.size, g, dtype=np.int32), np.full(at.size, s), one.time[at], which, one.mass[which, at])
            )
    group, stratum, duration, outcomes, frequency = map(np.concatenate, zip(*parts, strict=True))
    return _Patterns(group, stratum.astype(np.int64), duration, outcomes, None, frequency, n_strata)


def _ratios(patterns: _Patterns, labels: tuple[str, ...], *, cause: int) -> tuple[Floats, Floats, list[str | None]]:
    """Log subdistribution hazard ratios of each group against the first, their errors, and why there are none."""
    logs, errors = np.full((2, len(labels) - 1), np.nan)
    notes: list[str | None] = [None] * (len(labels) - 1)
    event = patterns.outcome == cause + 1
    events = np.bincount(patterns.group[event], patterns.frequency[event], len(labels))
    kept = np.flatnonzero(events > 0)
    for g in np.flatnonzero(events == 0):
        if g > 0:
            notes[g - 1] = "no churn of this cause in the group"
    if events[0] == 0:
        return logs, errors, ["no churn of this cause in the reference group"] * len(notes)
    if kept.size < 2:
        return logs, errors, notes
    rows = patterns.take(events[patterns.group] > 0)
    position = np.zeros(len(labels), dtype=np.int32)
    position[kept] = np.arange(kept.size)
    try:
        coefficients, covariance = _fitted(rows, position[rows.group], [labels[g] for g in kept], cause)
    except ConvergenceError as error:
        return logs, errors, [note or str(error) for note in notes]
    logs[kept[1:] - 1], errors[kept[1:] - 1] = coefficients, np.sqrt(np.diagonal(covariance))
    return logs, errors, notes


def _fitted(rows: _Patterns, codes: NDArray[np.int32], names: list[str], cause: int) -> tuple[Floats, Floats]:
    event = rows.outcome == cause + 1
    whole = np.rint(rows.frequency).astype(np.int64)
    sets = risk_sets(
        rows.duration, event, entry=rows.entry, stratum=rows.stratum, n_strata=rows.n_strata, frequency=whole
    )
    made = design([], [], [Indicators(codes, tuple(names[1:]), names[0])], n_rows=codes.size)
    kinds = np.where(event, 1, np.where(rows.outcome > 0, 2, 0))
    stays = staying(sets, rows.duration, kinds, entry=rows.entry, stratum=rows.stratum, weights=rows.frequency)
    data = FineGrayData.of(CoxData(made, sets, frequency=rows.frequency), stays)
    found = fit_fine_gray(data)
    return found.coefficients, robust_covariance(data, found.state, found.inverse_information, None)
