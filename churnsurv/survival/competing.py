"""Cumulative incidence: who churns for which reason by when, and what is known of it where reasons are not."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from churnsurv.errors import ChurnsurvWarning, FollowUpError, InputError, did_you_mean
from churnsurv.notes import note
from churnsurv.numerics import competing as numerics
from churnsurv.numerics.day_counts import read_only
from churnsurv.numerics.incidence_variance import delta_variance, jackknife_variance
from churnsurv.survival.cause_codes import UNKNOWN, Causes, causes_of
from churnsurv.survival.curve_data import named_groups
from churnsurv.survival.factors import group_columns
from churnsurv.survival.inputs import SurvivalData, check_level, survival_data
from churnsurv.tables import Result

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["CumulativeIncidence", "cumulative_incidence"]

Floats: TypeAlias = NDArray[np.float64]
Variance: TypeAlias = Literal["jackknife", "delta"]

_VARIANCES = ("jackknife", "delta")
_NAMED = 12  # groups or causes that a message names before it says "and n more"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CumulativeIncidence(Result):
    """Incidence of each cause by group; made by `cumulative_incidence`.

    Attributes
    ----------
    groups, causes : tuple of str
        In the order of the table; the cause "unknown" is last.
    level : float
        Confidence level of all intervals.
    ci : {"log-log", "plain"}
        The scale on which the intervals are symmetric.
    variance : {"jackknife", "delta"}
    cluster, weights, weights_kind : str or None
    last_day : mapping of str to int or float
        The last day to which anybody of the group was followed.
    notes : tuple of str
        What a reader must know.
    """

    _schema: ClassVar[str] = "cumulative_incidence"

    groups: tuple[str, ...]
    causes: tuple[str, ...]
    level: float
    ci: numerics.IncidenceCi
    variance: Variance
    cluster: str | None
    weights: str | None
    weights_kind: str | None
    last_day: Mapping[str, int | float]
    notes: tuple[str, ...]
    _curves: tuple[numerics.AalenJohansen, ...]
    _errors: tuple[Floats, ...]
    _counts: tuple[numerics.CauseCounts, ...]
    _numbers: tuple[numerics.CauseCounts, ...]
    _rows: tuple[numerics.CauseRows, ...]
    _by: pd.DataFrame
    _said: Mapping[str, Any] = field(default_factory=dict)

    @property
    def table(self) -> pd.DataFrame:
        """One row for each cause and each time at which somebody of the group churns or is censored, and time 0."""
        return self._joined([np.union1d(np.zeros(1, one.time.dtype), one.time) for one in self._counts])

    def at(self, times: ArrayLike) -> pd.DataFrame:
        """Return the curves on given days; columns as in `table`, churns of that very day.

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
        >>> data = pd.DataFrame({"duration": [30, 45, 45, 60], "churned": [1, 1, 0, 1], "why": ["a", "b", None, "a"]})
        >>> cumulative_incidence(data, cause="why").at(50)[["cause", "incidence"]]
          cause  incidence
        0     a       0.25
        1     b       0.25
        """
        days = _days(times)
        self._refuse_beyond(days)
        return self._joined([days] * len(self.groups))

    def bounds(self, cause: object, times: ArrayLike | None = None) -> pd.DataFrame:
        """Say what is known of one cause where the causes of some churns are unknown; schema "incidence_bounds".

        Parameters
        ----------
        cause : object
            One of `causes`, but "unknown".
        times : number or (n,), optional
            Days >= 0; else those of the table.

        Returns
        -------
        DataFrame
            `lowest` counts none of the unknown churns as of this cause, `highest` all of them: the truth lies between
            them, whatever the reason why causes are missing. `lower` and `upper` hold their error too: the lower
            limit of `lowest`, the upper limit of `highest`. `missing_at_random` shares the unknown churns out like
            the known ones of the same group and day (of the nearest days, where no cause of the day is known), with
            `std_error`, `mar_lower` and `mar_upper`. Standard errors are jackknife ones.

        Raises
        ------
        InputError
            If no churn has this cause.
        FollowUpError
            If a day lies beyond the last day of a group.

        Examples
        --------
        >>> import pandas as pd
        >>> data = pd.DataFrame({"duration": [1, 1, 1, 2], "churned": [1, 1, 1, 0], "why": ["a", "b", None, None]})
        >>> found = cumulative_incidence(data, cause="why").bounds("a", 2)
        >>> found[["lowest", "missing_at_random", "highest"]].to_numpy().tolist()
        [[0.25, 0.375, 0.5]]
        """
        from churnsurv.survival.incidence_bounds import bounds

        days = None if times is None else _days(times)
        if days is not None:
            self._refuse_beyond(days)
        return bounds(self, cause, days)

    def _refuse_beyond(self, days: NDArray[Any]) -> None:
        beyond = {group: last for group, last in self.last_day.items() if days.size and days.max() > last}
        if not beyond:
            return
        named = ", ".join(f"{group!r} {last:g}" for group, last in list(beyond.items())[:_NAMED])
        more = f" and {len(beyond) - _NAMED} more" if len(beyond) > _NAMED else ""
        raise FollowUpError(
            f"nobody was followed to day {days.max():g} in these groups, whose last days are: {named}{more}. Ask for "
            f"days up to {min(beyond.values()):g}."
        )

    def _joined(self, days: Sequence[NDArray[Any]]) -> pd.DataFrame:
        import pandas as pd

        parts = []
        for g, group in enumerate(self.groups):
            columns = self._at_times(g, days[g])
            size, width = days[g].size, len(self.causes)
            part = pd.DataFrame(
                {
                    "group": np.full(size * width, group, dtype=object),
                    "cause": np.repeat(np.array(self.causes, dtype=object), size),
                    "time": np.tile(days[g], width),
                    **columns,
                }
            )
            for name in self._by.columns:
                part[name] = [self._by[name].iloc[g]] * (size * width)
            parts.append(part)
        return pd.concat(parts, ignore_index=True)

    def _at_times(self, g: int, days: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """The columns of one group, cause by cause."""
        curves, numbers = self._curves[g], self._numbers[g]
        incidence, error = (_steps(curves.time, x, days) for x in (curves.incidence, self._errors[g]))
        lower, upper = numerics.incidence_limits(incidence, error, level=self.level, ci=self.ci)
        # nobody has churned before day 0: that is certain, and only there
        lower, upper = (np.where((days == 0) & (incidence == 0), 0.0, limits) for limits in (lower, upper))
        at = np.minimum(np.searchsorted(numbers.time, days), numbers.time.size - 1)
        events = np.where(numbers.time[at] == days, numbers.n_events[:, at], 0)
        at_risk = np.rint(numbers.risk_at(_from_the_start(days, numbers))).astype(np.int64)
        return {
            "incidence": incidence.ravel(),
            "std_error": error.ravel(),
            "lower": lower.ravel(),
            "upper": upper.ravel(),
            "n_at_risk": np.tile(at_risk, len(self.causes)),
            "n_events": events.ravel(),
        }

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the causes of one group stacked, or of several groups the first cause by group with bands."""
        from churnsurv.plots.incidence import incidence_curves, stacked_incidence

        if len(self.groups) == 1:
            stacked: Axes = stacked_incidence(self.table, ax)
            return stacked
        axes: Axes = incidence_curves(self.table, ax, cause=self.causes[0], level=self.level)
        return axes

    def _headline(self) -> str:
        n = sum(one.n_rows + one.n_no_risk for one in self._counts)
        events = sum(int(one.n_events.sum()) for one in self._numbers)
        who = f"{len(self.groups)} groups, " if len(self.groups) > 1 else ""
        final = [
            f"{cause} {curve.incidence[k, -1]:.1%}"
            for curve in self._curves[:1]
            for k, cause in enumerate(self.causes[:4])
        ]
        where = f" in {self.groups[0]}" if len(self.groups) > 1 else ""
        more = ", ..." if len(self.causes) > 4 else ""
        last = self.last_day[self.groups[0]]
        return f"{who}{n:,} rows, {events:,} churned; incidence by day {last:g}{where}: {', '.join(final)}{more}"

    def _facts(self) -> dict[str, Any]:
        mine = {
            "causes": list(self.causes),
            "level": self.level,
            "ci": self.ci,
            "variance": self.variance,
            "cluster": self.cluster,
            **({"weights": self.weights, "weights_kind": self.weights_kind} if self.weights else {}),
            "last_day": dict(self.last_day),
            "n": {group: one.n_rows + one.n_no_risk for group, one in zip(self.groups, self._counts, strict=True)},
            "n_no_risk": {group: one.n_no_risk for group, one in zip(self.groups, self._counts, strict=True)},
            "notes": list(self.notes),
        }
        return {**mine, **self._said}


def cumulative_incidence(
    data: Any,
    *,
    cause: str,
    by: str | Sequence[str] | None = None,
    ci: numerics.IncidenceCi = "log-log",
    variance: Variance = "jackknife",
    weights: str | None = None,
    weights_kind: Literal["frequency", "sampling"] | None = None,
    cluster: str | None = "auto",
    duration: str = "duration",
    event: str = "churned",
    entry: str | None = None,
    level: float = 0.95,
) -> CumulativeIncidence:
    """Estimate who churns for which reason by when, by group (Aalen and Johansen 1978).

    The incidence of a cause is P(churned by day t, for that cause), other causes at work; over all
    causes, "unknown" included, incidences and survival sum to one.

    Parameters
    ----------
    data : Spells, or any table
    cause : str
        A column with the reason of churn, read where a row churned. Null there is a cause of its own, "unknown".
    by : str or sequence of str, optional
        Columns that split the curves; missing values form the category "(missing)".
    ci : {"log-log", "plain"}
        The scale on which the intervals are symmetric: log(-log(1 - F)), or F itself.
    variance : {"jackknife", "delta"}
        "jackknife": the infinitesimal jackknife, as ``survfit`` of R's survival package; by cluster where there is one,
        and with sampling weights. "delta": Gray's (1988), as ``cuminc`` of R's cmprsk; rows independent.
    weights : str, optional
        A column of numbers > 0.
    weights_kind : {"frequency", "sampling"}
        Required with weights. "frequency": a row stands for so many users. "sampling": it was drawn with a probability
        that its weight is the inverse of; `n_at_risk` and `n_events` count rows then.
    cluster : str or None
        Rows of one cluster may depend on each other. "auto": `user_id` for history, and spells built with
        ``spells="all"``; else none.
    duration, event, entry : str
        Columns. `entry` is used where it is named, and from `Spells` always: at risk in (entry, duration].
    level : float
        Confidence level.

    Returns
    -------
    CumulativeIncidence
        Limits are null where the log-log scale does not exist: at incidence 0 and 1. A group with nobody at risk has no
        curve, with a warning.

    Raises
    ------
    InputError
        If nobody churned or is at risk, or ``variance="delta"`` meets clusters or sampling weights.

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({
    ...     "duration": [30, 45, 45, 60], "churned": [True, True, False, True],
    ...     "why": ["price", "moved", None, "price"],
    ... })
    >>> found = cumulative_incidence(data, cause="why")
    >>> found
    <CumulativeIncidence: 4 rows, 3 churned; incidence by day 60: moved 25.0%, price 75.0%>
    >>> found.table.query("cause == 'price'")[["time", "incidence", "n_at_risk", "n_events"]]
       time  incidence  n_at_risk  n_events
    4     0       0.00          4         0
    5    30       0.25          4         1
    6    45       0.25          3         0
    7    60       0.75          1         1
    """
    level = check_level(level)
    _check_options(ci, variance)
    checked = survival_data(
        data, by=by, cluster=cluster, duration=duration, event=event, entry=entry, weights=weights,
        weights_kind=weights_kind, columns=(cause,),
    )  # fmt: skip
    _check_variance(variance, checked)
    beside = group_columns(checked.by, "cumulative_incidence")
    causes = causes_of(checked, cause)
    rows = numerics.CauseRows(
        checked.duration, causes.outcome, checked.entry, checked.weights, checked.frequency is not None,
        checked.cluster_codes,
    )  # fmt: skip
    n_groups, n_causes = len(checked.group_labels), len(causes.labels)
    counts = numerics.cause_counts(rows, n_causes=n_causes, group=checked.group_codes, n_groups=n_groups)
    numbers = counts
    if checked.sampling is not None:
        unweighted = numerics.CauseRows(checked.duration, causes.outcome, checked.entry)
        numbers = numerics.cause_counts(unweighted, n_causes=n_causes, group=checked.group_codes, n_groups=n_groups)
    kept = _kept(checked, counts)
    parts = _rows_by_group(rows, checked, n_groups)
    curves = [numerics.aalen_johansen(counts[g]) for g in kept]
    errors = [_std_error(counts[g], curve, parts[g], variance) for g, curve in zip(kept, curves, strict=True)]
    labels = tuple(checked.group_labels[g] for g in kept)
    holds_rows = UNKNOWN in causes.labels  # only then has `bounds` a question to them
    return CumulativeIncidence(
        groups=labels,
        causes=causes.labels,
        level=level,
        ci=ci,
        variance=variance,
        cluster=checked.cluster_name,
        weights=weights,
        weights_kind=weights_kind,
        last_day=MappingProxyType({label: counts[g].time[-1].item() for g, label in zip(kept, labels, strict=True)}),
        notes=_notes(causes, [numbers[g] for g in kept], cause),
        _curves=tuple(curves),
        _errors=tuple(errors),
        _counts=tuple(counts[g] for g in kept),
        _numbers=tuple(numbers[g] for g in kept),
        _rows=tuple(parts[g] for g in kept) if holds_rows else (),
        _by=beside.take(kept).reset_index(drop=True),
        _said={
            "cause": cause,
            "by": list(checked.by.columns),
            "n_clusters": checked.n_clusters,
            **checked.source,
        },
    )


def _check_options(ci: str, variance: str) -> None:
    if ci not in numerics.INCIDENCE_CI:
        # the numerics say what is wrong with it; asked before any work is done
        numerics.incidence_limits(np.ones(1), np.ones(1), level=0.95, ci=ci)  # type: ignore[arg-type]
    if variance not in _VARIANCES:
        raise InputError(
            f"variance must be 'jackknife' or 'delta', not {variance!r}.{did_you_mean(str(variance), _VARIANCES)}"
        )


def _check_variance(variance: Variance, checked: SurvivalData) -> None:
    if variance == "delta" and (checked.cluster_codes is not None or checked.sampling is not None):
        what = "sampling weights" if checked.cluster_codes is None else f"clusters ({checked.cluster_name!r})"
        raise InputError(f"variance='delta' takes no {what}: take variance='jackknife', which does.")


def _std_error(
    counts: numerics.CauseCounts, curves: numerics.AalenJohansen, rows: numerics.CauseRows, variance: Variance
) -> Floats:
    """Standard error of each cause of one group, read-only."""
    if variance == "delta":
        error = np.sqrt(delta_variance(counts, curves))
    else:
        error = np.sqrt(jackknife_variance(counts, curves, rows, np.eye(len(counts.events))[:, :, None]))
    read_only(error)
    return error


def _rows_by_group(rows: numerics.CauseRows, checked: SurvivalData, n_groups: int) -> list[numerics.CauseRows]:
    """The rows of each group as own arrays; without entries and clusters nobody looks at them."""
    if rows.entry is None and rows.cluster is None:
        return [numerics.CauseRows(rows.duration[:0], rows.outcome[:0], frequency=rows.frequency)] * n_groups
    codes = checked.group_codes
    if codes is None:
        return [rows.take(np.arange(checked.n))]
    order = np.argsort(codes, kind="stable")
    return [rows.take(part) for part in np.split(order, np.cumsum(np.bincount(codes, minlength=n_groups))[:-1])]


def _kept(checked: SurvivalData, counts: Sequence[numerics.CauseCounts]) -> list[int]:
    """Groups with a curve; the others are named in a warning."""
    duration, entry = checked.names.duration, checked.names.entry or "entry"
    kept = [g for g, one in enumerate(counts) if one.time.size > 0]
    if not kept:
        raise InputError(
            f"nobody is at risk: in all {checked.n_rows} rows {duration} equals {entry}. There is no time to "
            "estimate anything from; take a longer log."
        )
    without = [checked.group_labels[g] for g, one in enumerate(counts) if one.time.size == 0]
    if without:
        warnings.warn(
            note(
                "no curve for {groups}: nobody of the group is ever at risk ({duration} equals {entry}).",
                groups=named_groups(list(map(repr, without))),
                duration=duration,
                entry=entry,
            ),
            ChurnsurvWarning,
            stacklevel=3,
        )
    return kept


def _notes(causes: Causes, numbers: Sequence[numerics.CauseCounts], cause: str) -> tuple[str, ...]:
    said = []
    if UNKNOWN in causes.labels:
        unknown = sum(int(one.n_events[causes.labels.index(UNKNOWN)].sum()) for one in numbers)
        churns = sum(int(one.n_events.sum()) for one in numbers)
        held = {"n": f"{unknown:,}", "churns": f"{churns:,}", "cause": repr(cause), "unknown": repr(UNKNOWN)}
        said.append(
            note(
                "{n} of {churns} churns has no known {cause}: they are the cause {unknown}, and the incidences of the "
                "others are lower limits. See bounds().",
                **held,
            )
            if unknown == 1
            else note(
                "{n} of {churns} churns have no known {cause}: they are the cause {unknown}, and the incidences of the "
                "others are lower limits. See bounds().",
                **held,
            )
        )
    if causes.never:
        never = named_groups(list(map(repr, causes.never)))
        said.append(note("no churn has the {cause} {never}: no curve for it.", cause=repr(cause), never=never))
    return tuple(said)


def _steps(time: NDArray[Any], values: Floats, days: NDArray[Any]) -> Floats:
    """Step functions that are 0 before their first time, at any days; shape (n, n_days)."""
    at = np.searchsorted(time, days, side="right")
    return np.concatenate([np.zeros((values.shape[0], 1)), values], axis=1)[:, at]


def _from_the_start(days: NDArray[Any], numbers: numerics.CauseCounts) -> NDArray[Any]:
    """Days, with day 0 moved a little where rows have entries: those who enter on it are at risk just after it."""
    if numbers.entry_time.size == 0:
        return days
    return np.where(days == 0, np.nextafter(0.0, 1.0), days)


def _days(times: ArrayLike) -> NDArray[Any]:
    days = np.atleast_1d(np.asarray(times))
    if days.ndim != 1 or days.dtype.kind not in "iuf" or not (np.isfinite(days) & (days >= 0)).all():
        raise InputError(f"times must be finite numbers of days >= 0; got {times!r}.")
    return days
