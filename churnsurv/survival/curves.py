"""Kaplan and Meier's curves by group: how long users stay."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from churnsurv.errors import ChurnsurvWarning, FollowUpError, InputError
from churnsurv.numerics import kaplan_meier as numerics
from churnsurv.numerics.cluster import clustered_std_error
from churnsurv.numerics.day_counts import DayCounts, counts_by_group
from churnsurv.survival.factors import group_columns
from churnsurv.survival.inputs import SurvivalData, check_level, survival_data
from churnsurv.tables import Result

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["SurvivalCurves", "kaplan_meier"]

Floats: TypeAlias = NDArray[np.float64]

_NAMED = 12  # groups that an error names before it says "and n more"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SurvivalCurves(Result):
    """Survival by group; made by `kaplan_meier`.

    Attributes
    ----------
    groups : tuple of str
        Labels, in the order of the table.
    level : float
        Confidence level of all intervals.
    ci : {"log-log", "log", "plain"}
        The scale on which the intervals are symmetric.
    cluster : str or None
        The column by which standard errors are clustered.
    last_day : mapping of str to int or float
        The last day to which anybody of the group was followed.

    Examples
    --------
    >>> import pandas as pd
    >>> curves = kaplan_meier(pd.DataFrame({"duration": [30, 45, 45, 60], "churned": [True, True, False, False]}))
    >>> curves.groups, dict(curves.last_day)
    (('all',), {'all': 60})
    """

    _schema: ClassVar[str] = "curves"

    groups: tuple[str, ...]
    level: float
    ci: numerics.CiType
    cluster: str | None
    last_day: Mapping[str, int | float]
    _curves: tuple[numerics.KaplanMeier, ...]
    _counts: tuple[DayCounts, ...]
    _by: pd.DataFrame
    _said: Mapping[str, Any] = field(default_factory=dict)

    @property
    def table(self) -> pd.DataFrame:
        """One row for each time at which somebody of the group churns, is censored or enters, and one at time 0."""
        pairs = zip(self._curves, self._counts, strict=True)
        return self._joined([_at_times(*pair, _row_times(pair[1]), self.ci) for pair in pairs])

    def at(self, times: ArrayLike) -> pd.DataFrame:
        """Return the curves on given days; columns as in `table`, events and censorings of that very day.

        Parameters
        ----------
        times : number or (n,)
            Days >= 0.

        Raises
        ------
        FollowUpError
            If a day lies beyond the last day of a group: nobody was followed to it.

        Examples
        --------
        >>> import pandas as pd
        >>> curves = kaplan_meier(pd.DataFrame({"duration": [30, 45, 45, 60], "churned": [True, True, False, False]}))
        >>> curves.at([29, 50])["survival"].tolist()
        [1.0, 0.5]
        """
        days = _days(times)
        self._refuse_beyond(days)
        return self._joined([_at_times(*pair, days, self.ci) for pair in zip(self._curves, self._counts, strict=True)])

    def quantiles(self, probabilities: ArrayLike = (0.5,)) -> pd.DataFrame:
        """Return the days by which given shares of each group have churned, with limits; schema "quantiles".

        The first day with survival at or below ``1 - probability``; where survival equals it the curve is flat, and
        the day is midway to the next drop, as in R. Null where it is never reached.

        Parameters
        ----------
        probabilities : number or (n,)
            In (0, 1].

        Examples
        --------
        >>> import pandas as pd
        >>> curves = kaplan_meier(pd.DataFrame({"duration": [30, 45, 45, 60], "churned": [True, True, False, True]}))
        >>> curves.quantiles([0.2, 0.5, 0.75])["time"].tolist()
        [30.0, 52.5, 60.0]
        """
        import pandas as pd

        p = np.atleast_1d(np.asarray(probabilities, dtype=np.float64))
        if p.ndim != 1 or not ((p > 0) & (p <= 1)).all():
            raise InputError(f"probabilities must lie in (0, 1], such as 0.5; got {probabilities!r}.")
        found = [numerics.quantiles(curve, p) for curve in self._curves]
        columns: dict[str, Any] = {"group": np.repeat(np.array(self.groups, dtype=object), p.size)}
        for name in ("probability", "time", "lower", "upper"):
            columns[name] = np.concatenate([getattr(quantile, name) for quantile in found])
        return pd.DataFrame(columns)

    @property
    def median(self) -> pd.DataFrame:
        """Days by which half of each group have churned; see `quantiles`."""
        return self.quantiles((0.5,))

    def number_at_risk(self, times: ArrayLike) -> pd.DataFrame:
        """Return the rows at risk on given days, and the churns and censorings up to and including them.

        On day 0 those who enter on it count as at risk.

        Parameters
        ----------
        times : number or (n,)
            Days >= 0; beyond the last day nobody is at risk.

        Examples
        --------
        >>> import pandas as pd
        >>> curves = kaplan_meier(pd.DataFrame({"duration": [30, 45, 45, 60], "churned": [True, True, False, True]}))
        >>> curves.number_at_risk([0, 45])
          group  time  n_at_risk  n_events  n_censored
        0   all     0          4         0           0
        1   all    45          3         2           1
        """
        import pandas as pd

        days = _days(times)
        past = [np.searchsorted(counts.time, days, side="right") for counts in self._counts]
        columns = {
            "group": np.repeat(np.array(self.groups, dtype=object), days.size),
            "time": np.tile(days, len(self.groups)),
            "n_at_risk": np.concatenate([counts.at_risk(days)[0] for counts in self._counts]),
        }
        for name in ("n_events", "n_censored"):
            sums = [np.append(0, np.cumsum(getattr(counts, name)[0])) for counts in self._counts]
            columns[name] = np.concatenate([total[at] for total, at in zip(sums, past, strict=True)])
        return pd.DataFrame(columns)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the curves with their bands and the numbers at risk."""
        from churnsurv.plots import survival_curves

        axes: Axes = survival_curves(self.table, ax, level=self.level)
        return axes

    def _joined(self, parts: Sequence[Mapping[str, NDArray[Any]]]) -> pd.DataFrame:
        import pandas as pd

        lengths = [part["time"].size for part in parts]
        columns = {"group": np.repeat(np.array(self.groups, dtype=object), lengths)}
        columns |= {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        beside = self._by.take(np.repeat(np.arange(len(parts)), lengths)).reset_index(drop=True)
        return pd.DataFrame(columns).join(beside)

    def _refuse_beyond(self, days: Floats | NDArray[np.int64]) -> None:
        beyond = [group for group in self.groups if days.size and days.max() > self.last_day[group]]
        if not beyond:
            return
        named = ", ".join(f"{group!r} day {self.last_day[group]}" for group in beyond[:_NAMED])
        more = f" and {len(beyond) - _NAMED} more" if len(beyond) > _NAMED else ""
        raise FollowUpError(
            f"nobody was followed to day {days.max()}; last days: {named}{more}. Ask for days up to "
            f"{min(self.last_day[group] for group in beyond)}, or leave these groups out."
        )

    def _headline(self) -> str:
        n, events = (sum(row[name] for row in self._by_group()) for name in ("n", "n_events"))
        who = f"{len(self.groups)} groups, " if len(self.groups) > 1 else ""
        medians = ", ".join(
            f"{row['group']} {row['median']:g}" if row["median"] == row["median"] else f"{row['group']} not reached"
            for row in self._by_group()[:3]
        )
        more = ", ..." if len(self.groups) > 3 else ""
        return f"{who}{n:,} rows, {events:,} churned; median day: {medians}{more}"

    def _by_group(self) -> list[dict[str, Any]]:
        medians = self.median.to_dict("records")
        return [
            {
                "group": group,
                "n": int(counts.n_rows[0] + counts.n_no_risk[0]),
                "n_events": int(counts.n_events.sum()),
                "n_no_risk": int(counts.n_no_risk[0]),
                "last_day": self.last_day[group],
                "median": median["time"],
                "median_lower": median["lower"],
                "median_upper": median["upper"],
            }
            for group, counts, median in zip(self.groups, self._counts, medians, strict=True)
        ]

    def _facts(self) -> dict[str, Any]:
        mine = {"level": self.level, "ci": self.ci, "cluster": self.cluster, "groups": self._by_group()}
        return {**mine, **self._said}


def kaplan_meier(
    data: Any,
    *,
    by: str | Sequence[str] | None = None,
    ci: numerics.CiType = "log-log",
    cluster: str | None = "auto",
    duration: str = "duration",
    event: str = "churned",
    entry: str | None = None,
    level: float = 0.95,
) -> SurvivalCurves:
    """Estimate how long users stay, by group.

    Parameters
    ----------
    data : Spells, or any table
        pandas, polars, pyarrow, an engine relation, or the path of a Parquet or CSV file.
    by : str or sequence of str, optional
        Columns that split the curves; missing values form the category "(missing)".
    ci : {"log-log", "log", "plain"}
        The scale on which the confidence intervals are symmetric.
    cluster : str or None
        Rows of one cluster may depend on each other: standard errors are the infinitesimal jackknife's by cluster
        instead of Greenwood's. "auto": `user_id` for spells built with ``spells="all"``, else none.
    duration, event, entry : str
        Columns. `entry` is used where it is named, and from `Spells` always: at risk in (entry, duration]. Without it
        everybody is at risk from before day 0.
    level : float
        Confidence level.

    Returns
    -------
    SurvivalCurves
        ``.table`` starts each group at time 0 with survival 1. Limits are null where their scale does not exist: at
        survival 0, and with log-log at survival 1, as in R; the row that is added at time 0 has 1 and 1. A group
        with nobody at risk has no curve, with a warning. Source: Kaplan and Meier (1958), Greenwood (1926).

    Raises
    ------
    InputError
        If nobody is at risk, or a column holds what it must not.

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"duration": [30, 45, 45, 60], "churned": [True, True, False, True]})
    >>> curves = kaplan_meier(data)
    >>> curves
    <SurvivalCurves: 4 rows, 3 churned; median day: all 52.5>
    >>> curves.table[["time", "survival", "n_at_risk", "n_events"]]
       time  survival  n_at_risk  n_events
    0     0      1.00          4         0
    1    30      0.75          4         1
    2    45      0.50          3         1
    3    60      0.00          1         1
    """
    level = check_level(level)
    checked = survival_data(data, by=by, cluster=cluster, duration=duration, event=event, entry=entry)
    beside = group_columns(checked.by, "curves")
    counts = counts_by_group(
        checked.duration,
        checked.churned,
        entry=checked.entry,
        group=checked.group_codes,
        n_groups=len(checked.group_labels),
    )
    kept = _at_risk(checked, counts, (duration, entry))
    errors = _clustered(checked, counts) if checked.cluster_codes is not None else [None] * len(counts)
    labels = tuple(checked.group_labels[g] for g in kept)
    return SurvivalCurves(
        groups=labels,
        level=level,
        ci=ci,
        cluster=checked.cluster_name,
        last_day=MappingProxyType({checked.group_labels[g]: counts[g].time[-1].item() for g in kept}),
        _curves=tuple(numerics.kaplan_meier(counts[g], level=level, ci=ci, std_error=errors[g]) for g in kept),
        _counts=tuple(counts[g] for g in kept),
        _by=beside.take(kept).reset_index(drop=True),
        _said={"by": list(checked.by.columns), "n_clusters": checked.n_clusters, **checked.source},
    )


def _at_risk(checked: SurvivalData, counts: Sequence[DayCounts], names: tuple[str, str | None]) -> list[int]:
    """Groups with a curve; the others are named in a warning."""
    kept = [g for g, one in enumerate(counts) if one.n_rows[0] > 0]
    without = [checked.group_labels[g] for g in range(len(counts)) if g not in set(kept)]
    if not kept:
        raise InputError(
            f"nobody is at risk: in all {checked.n} rows {names[0]} equals {names[1] or 'entry'}. There is no time to "
            "estimate anything from; take a longer log."
        )
    if without:
        more = f" and {len(without) - _NAMED} more" if len(without) > _NAMED else ""
        warnings.warn(
            f"no curve for {', '.join(map(repr, without[:_NAMED]))}{more}: nobody of the group is ever at risk "
            f"({names[0]} equals {names[1] or 'entry'}).",
            ChurnsurvWarning,
            stacklevel=3,
        )
    return kept


def _clustered(checked: SurvivalData, counts: Sequence[DayCounts]) -> list[Floats | None]:
    """Standard errors of survival by group, from the rows of each."""
    codes = checked.group_codes
    if codes is None:
        parts: list[Any] = [slice(None)]
    else:
        ends = np.cumsum(np.bincount(codes, minlength=len(counts)))
        parts = np.split(np.argsort(codes, kind="stable"), ends[:-1])
    cluster, entry = checked.cluster_codes, checked.entry
    return [
        clustered_std_error(
            one,
            checked.duration[rows],
            checked.churned[rows],
            np.zeros(0, dtype=np.int64) if cluster is None else cluster[rows],
            entry=None if entry is None else entry[rows],
        )
        for one, rows in zip(counts, parts, strict=True)
    ]


def _at_own_times(curve: numerics.KaplanMeier, counts: DayCounts) -> dict[str, NDArray[Any]]:
    """The steps of one group at its own times, with one at time 0 in front where there is none."""
    columns: dict[str, NDArray[Any]] = {
        "time": curve.time,
        "survival": curve.survival,
        "std_error": curve.std_error,
        "lower": curve.lower,
        "upper": curve.upper,
        "n_events": counts.n_events[0],
        "n_censored": counts.n_censored[0],
    }
    if curve.time[0] == 0:
        return columns
    start = {"survival": 1.0, "lower": 1.0, "upper": 1.0}
    return {name: np.insert(values, 0, start.get(name, 0)) for name, values in columns.items()}


def _row_times(counts: DayCounts) -> NDArray[Any]:
    """The times of a group's rows; with the entries among them the next row tells who is at risk on any day."""
    return np.union1d(np.append(counts.time, np.zeros(1, counts.time.dtype)), counts.entry_time)


def _at_times(
    curve: numerics.KaplanMeier, counts: DayCounts, days: NDArray[Any], ci: numerics.CiType
) -> dict[str, NDArray[Any]]:
    own = _at_own_times(curve, counts)
    at = np.searchsorted(own["time"], days, side="right") - 1
    exact = own["time"][at] == days
    columns = {name: own[name][at] for name in ("survival", "std_error", "lower", "upper")}
    if ci == "log-log":
        # the limits of the row at time 0 are certain there, and only there
        without = (days > 0) & (columns["survival"] == 1)
        columns |= {name: np.where(without, np.nan, columns[name]) for name in ("lower", "upper")}
    return {
        "time": days,
        **columns,
        "n_at_risk": counts.at_risk(days)[0],
        "n_events": np.where(exact, own["n_events"][at], 0),
        "n_censored": np.where(exact, own["n_censored"][at], 0),
    }


def _days(times: ArrayLike) -> NDArray[Any]:
    days = np.atleast_1d(np.asarray(times))
    if days.ndim != 1 or days.dtype.kind not in "iuf" or not (np.isfinite(days) & (days >= 0)).all():
        raise InputError(f"times must be finite numbers of days >= 0; got {times!r}.")
    return days
