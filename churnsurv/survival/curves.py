"""Kaplan and Meier's curves by group: how long users stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from churnsurv.errors import InputError
from churnsurv.numerics import kaplan_meier as numerics
from churnsurv.survival.curve_data import GroupData, at_times, days_asked, group_data, refuse_beyond, row_times
from churnsurv.survival.factors import group_columns
from churnsurv.survival.inputs import check_level, survival_data
from churnsurv.tables import Result

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["SurvivalCurves", "kaplan_meier"]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SurvivalCurves(Result):
    """Survival by group; made by `kaplan_meier`.

    Attributes
    ----------
    groups : tuple of str
        Labels, in the order of the table.
    level : float
        Confidence level of all intervals.
    ci : {"log-log", "log", "plain", "arcsine"}
        The scale on which the intervals are symmetric.
    cluster : str or None
        The column by which standard errors are clustered.
    weights : str or None
        The column of weights.
    weights_kind : {"frequency", "sampling"}, or None
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
    ci: numerics.CurveCiType
    cluster: str | None
    last_day: Mapping[str, int | float]
    _curves: tuple[numerics.KaplanMeier, ...]
    _data: tuple[GroupData, ...]
    _by: pd.DataFrame
    weights: str | None = None
    weights_kind: str | None = None
    _said: Mapping[str, Any] = field(default_factory=dict)

    @property
    def table(self) -> pd.DataFrame:
        """One row for each time at which somebody of the group churns, is censored or enters, and one at time 0."""
        pairs = [(curve, group.counts) for curve, group in zip(self._curves, self._data, strict=True)]
        return self._joined([at_times(*pair, row_times(pair[1]), self.ci) for pair in pairs])

    def at(self, times: ArrayLike) -> pd.DataFrame:
        """Return the curves on given days; columns as in `table`, events and censorings of that very day.

        A curve that has reached 0 stays there, whatever the day: nobody can be left.

        Parameters
        ----------
        times : number or (n,)
            Days >= 0.

        Raises
        ------
        FollowUpError
            If a day lies beyond the last day of a group of whom some may be left: nobody was followed to it.

        Examples
        --------
        >>> import pandas as pd
        >>> curves = kaplan_meier(pd.DataFrame({"duration": [30, 45, 45, 60], "churned": [True, True, False, False]}))
        >>> curves.at([29, 50])["survival"].tolist()
        [1.0, 0.5]
        """
        days = days_asked(times)
        if days.size:
            refuse_beyond(self._data, days.max())
        pairs = [(curve, group.counts) for curve, group in zip(self._curves, self._data, strict=True)]
        return self._joined([at_times(*pair, days, self.ci) for pair in pairs])

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

        On day 0 those who enter on it count as at risk. With frequencies these are users; sampling weights are not
        in them.

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

        days, every = days_asked(times), [group.counts for group in self._data]
        past = [np.searchsorted(counts.time, days, side="right") for counts in every]
        columns = {
            "group": np.repeat(np.array(self.groups, dtype=object), days.size),
            "time": np.tile(days, len(self.groups)),
            "n_at_risk": np.concatenate([counts.at_risk(days)[0] for counts in every]),
        }
        for name in ("n_events", "n_censored"):
            sums = [np.append(0, np.cumsum(getattr(counts, name)[0])) for counts in every]
            columns[name] = np.concatenate([total[at] for total, at in zip(sums, past, strict=True)])
        return pd.DataFrame(columns)

    def bands(
        self,
        kind: str = "equal-precision",
        *,
        between: tuple[float, float] | None = None,
        scale: str = "log-log",
        level: float | None = None,
    ) -> pd.DataFrame:
        """Return bands that hold the whole curve with probability `level`, not only each day; schema "bands".

        Parameters
        ----------
        kind : {"equal-precision", "hall-wellner"}
            Equal precision: the limits of each day, widened by one factor (Nair 1984). Hall and Wellner (1980):
            narrower late, wider early; it is made for groups that are at risk from the first day.
        between : (number, number), optional
            First and last day of the statement; the default is from the first churn of each group to the last one that
            leaves somebody. The later the first day and the earlier the last, the narrower the bands.
        scale : {"log-log", "plain", "arcsine"}
            On which the bands are made (Borgan and Liestoel 1990); log-log and arcsine stay within 0 and 1.
        level : float, optional
            At least 0.5; the default is that of the curves.

        Returns
        -------
        DataFrame
            For each group a row for every time of `table` between the two days, and one for the first. A curve that
            reaches 0 has no band from there on. Groups without churn between have no rows, with a warning. Each group's
            band holds alone.

        Raises
        ------
        InputError
            If rows are clustered or have sampling weights, or Hall and Wellner's band is asked for with late entry.
        FollowUpError
            If `between` goes beyond the last day of a group.

        Examples
        --------
        >>> import pandas as pd
        >>> data = pd.DataFrame({"duration": range(31, 61), "churned": [True, False, True] * 10})
        >>> kaplan_meier(data).bands(between=(35, 50)).iloc[[0, -1]].round(3)
           group  time  survival  lower  upper
        0    all  35.0     0.898  0.570  0.979
        15   all  50.0     0.497  0.202  0.737
        """
        from churnsurv.survival.curve_questions import bands

        return bands(self, kind, between=between, scale=scale, level=level)

    @property
    def cumulative_hazard(self) -> pd.DataFrame:
        """Nelson and Aalen's cumulative hazard with its limits, symmetric on the log scale; schema "cumulative_hazard".

        Rows as in `table`. Limits are null where nobody has churned yet, but for the row at time 0.

        Examples
        --------
        >>> import pandas as pd
        >>> curves = kaplan_meier(pd.DataFrame({"duration": [30, 45, 45, 60], "churned": [True, True, False, False]}))
        >>> curves.cumulative_hazard[["time", "cumulative_hazard", "std_error"]].round(3)
           time  cumulative_hazard  std_error
        0     0              0.000      0.000
        1    30              0.250      0.250
        2    45              0.583      0.417
        3    60              0.583      0.417
        """
        from churnsurv.survival.curve_questions import cumulative_hazard

        return cumulative_hazard(self)

    def smoothed_hazard(
        self, *, bandwidth: float | None = None, times: ArrayLike | None = None, level: float | None = None
    ) -> pd.DataFrame:
        """Return churns a day among those at risk as a smooth function of the day; schema "smoothed_hazard".

        Epanechnikov's kernel, with boundary kernels at both ends of follow-up. The limits are symmetric on the log
        scale, at each day alone, and are those of the smoothed hazard: what the kernel levels out, they do not cover.
        So the hazard rises a bandwidth before the first day on which the churn rule lets anybody churn.

        Parameters
        ----------
        bandwidth : number, optional
            Days on either side that are averaged. The default is an eighth of follow-up over the fifth root of the
            number of churns of the group: the more churns, the finer, but at least a week. The table says which it was.
        times : number or (n,), optional
            Days; the default is every day of follow-up, at most 366 evenly spaced.
        level : float, optional
            The default is that of the curves.

        Raises
        ------
        FollowUpError
            If a day lies where nobody was followed.
        InputError
            If the bandwidth is more than half of the follow-up of a group.

        Examples
        --------
        >>> import pandas as pd
        >>> data = pd.DataFrame({"duration": [30, 33, 36, 45, 45, 60], "churned": [True] * 4 + [False] * 2})
        >>> found = kaplan_meier(data).smoothed_hazard(bandwidth=10, times=[20, 35, 50])
        >>> found[["time", "hazard", "bandwidth"]].round(4)
           time  hazard  bandwidth
        0    20  0.0000       10.0
        1    35  0.0423       10.0
        2    50  0.0188       10.0
        """
        from churnsurv.survival.curve_questions import smoothed_hazard

        return smoothed_hazard(self, bandwidth=bandwidth, times=times, level=level)

    def conditional(self, alive_at: ArrayLike, times: ArrayLike, *, level: float | None = None) -> pd.DataFrame:
        """Return what becomes of those who are still there: schema "conditional_survival".

        Survival is P(T > alive_at + time | T > alive_at).

        Parameters
        ----------
        alive_at : number or (n,)
            Days to which users have stayed.
        times : number or (n,)
            Days from then on.
        level : float, optional
            The default is that of the curves; the scale of the limits is theirs.

        Returns
        -------
        DataFrame
            One row for each group, alive_at and time. Greenwood's variance of the days between, or with clusters and
            sampling weights the infinitesimal jackknife's.

        Raises
        ------
        FollowUpError
            If ``alive_at + time`` lies beyond the last day of a group of whom some may be left.

        Examples
        --------
        >>> import pandas as pd
        >>> curves = kaplan_meier(pd.DataFrame({"duration": [30, 45, 45, 60], "churned": [True, True, False, False]}))
        >>> curves.conditional(30, [0, 20])[["alive_at", "time", "survival"]].round(3)
           alive_at  time  survival
        0        30     0     1.000
        1        30    20     0.667
        """
        from churnsurv.survival.curve_questions import conditional

        return conditional(self, alive_at, times, level=level)

    def plot(self, ax: Axes | None = None, *, bands: pd.DataFrame | None = None) -> Axes:
        """Draw the curves with their intervals and the numbers at risk; `bands` are what `bands` returns."""
        from churnsurv.plots import survival_curves

        axes: Axes = survival_curves(self.table, ax, level=self.level, bands=bands)
        return axes

    def _joined(self, parts: Sequence[Mapping[str, NDArray[Any]]]) -> pd.DataFrame:
        import pandas as pd

        lengths = [part["time"].size for part in parts]
        columns = {"group": np.repeat(np.array(self.groups, dtype=object), lengths)}
        columns |= {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        beside = self._by.take(np.repeat(np.arange(len(parts)), lengths)).reset_index(drop=True)
        return pd.DataFrame(columns).join(beside)

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
                "group": group.label,
                "n": group.n,
                "n_events": group.n_events,
                "n_no_risk": int(group.counts.n_no_risk[0]),
                "last_day": group.last_day,
                "median": median["time"],
                "median_lower": median["lower"],
                "median_upper": median["upper"],
            }
            for group, median in zip(self._data, medians, strict=True)
        ]

    def _facts(self) -> dict[str, Any]:
        mine = {"level": self.level, "ci": self.ci, "cluster": self.cluster, "weights": self.weights}
        return {**mine, "weights_kind": self.weights_kind, "groups": self._by_group(), **self._said}


def kaplan_meier(
    data: Any,
    *,
    by: str | Sequence[str] | None = None,
    ci: numerics.CurveCiType = "log-log",
    duration: str = "duration",
    event: str = "churned",
    entry: str | None = None,
    weights: str | None = None,
    weights_kind: str | None = None,
    cluster: str | None = "auto",
    level: float = 0.95,
) -> SurvivalCurves:
    """Estimate how long users stay, by group.

    Parameters
    ----------
    data : Spells, Gaps, or any table
        pandas, polars, pyarrow, an engine relation, or the path of a Parquet or CSV file. Of a relation only counts by
        group, day and event are fetched; a cluster or sampling weights need its rows.
    by : str or sequence of str, optional
        Columns that split the curves; missing values form the category "(missing)".
    ci : {"log-log", "log", "plain", "arcsine"}
        The scale on which the confidence intervals are symmetric.
    duration, event, entry : str
        Columns. `entry` is used where it is named, and from `Spells` always: at risk in (entry, duration]. Without it
        everybody is at risk from before day 0.
    weights : str, optional
        A column of numbers > 0.
    weights_kind : {"frequency", "sampling"}
        Required with weights. "frequency": a row stands for so many users, and everything is as if it were so often
        repeated. "sampling": a row was drawn with a probability that its weight is the inverse of; the weights enter
        the curve, standard errors are the infinitesimal jackknife's by cluster or else by row, and the table counts
        rows.
    cluster : str or None
        Rows of one cluster may depend on each other: standard errors are the infinitesimal jackknife's by cluster
        instead of Greenwood's. "auto": `user_id` for history, gaps, and spells built with ``spells="all"``; else none.
    level : float
        Confidence level.

    Returns
    -------
    SurvivalCurves
        ``.table`` starts each group at time 0 with survival 1. Limits are null where their scale does not exist: at
        survival 0, and with log-log and arcsine at survival 1, as in R; the row that is added at time 0 has 1 and 1. A
        group with nobody at risk has no curve, with a warning. Source: Kaplan and Meier (1958), Greenwood (1926).

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
    numerics.check_ci(ci)
    checked = survival_data(
        data, by=by, cluster=cluster, duration=duration, event=event, entry=entry, weights=weights,
        weights_kind=weights_kind,
    )  # fmt: skip
    beside = group_columns(checked.by, "curves")
    groups = group_data(checked)
    return SurvivalCurves(
        groups=tuple(group.label for group in groups),
        level=level,
        ci=ci,
        cluster=checked.cluster_name,
        last_day=MappingProxyType({group.label: group.last_day for group in groups}),
        _curves=tuple(
            numerics.kaplan_meier(group.steps, level=level, ci=ci, std_error=group.std_error()) for group in groups
        ),
        _data=tuple(groups),
        _by=beside.take([group.position for group in groups]).reset_index(drop=True),
        weights=weights,
        weights_kind=weights_kind,
        _said={"by": list(checked.by.columns), "n_clusters": checked.n_clusters, **checked.source},
    )
