"""On which days the hazard changes: segments of constant hazard over tenure, or over idle days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError
from churnsurv.numerics.change_days import DayRows, DayTable, day_rows, dispersions, resampled_tables
from churnsurv.numerics.segmentation import Segmentation, change_quantile, segmentations
from churnsurv.numerics.two_groups import share_limits
from churnsurv.survival.factors import group_columns
from churnsurv.survival.frames import counted
from churnsurv.survival.inputs import SurvivalData, check_level, column_list, survival_data
from churnsurv.survival.own_tables import said_by
from churnsurv.tables import Result, schema

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["ChangePoints", "change_points"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

_SCALES = ("tenure", "idle")
_MOST_SEGMENTS = 20
_MOST_DAYS = 3_000
_SAID_GROUPS = 3
_PLACES, _OF_SET = 200, 40  # days at which segments of resamples may begin, over all and in each confidence set


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ChangePoints(Result):
    """Segments of constant hazard by group; made by `change_points`.

    Attributes
    ----------
    scale : {"tenure", "idle"}
    groups : tuple of str
    max_segments, bootstrap, seed : int
    criterion : str
    level : float
    cluster : str or None
    first_day, last_day : int
        Days that were looked at.
    dispersion : Mapping of str to float
        By group: variance between clusters over the binomial one; 1 without clusters.
    notes : tuple of str
    """

    _schema: ClassVar[str] = "change_points"

    scale: str
    groups: tuple[str, ...]
    max_segments: int
    criterion: str
    bootstrap: int
    seed: int
    level: float
    cluster: str | None
    first_day: int
    last_day: int
    dispersion: Mapping[str, float]
    notes: tuple[str, ...]
    _table: pd.DataFrame
    _days: pd.DataFrame
    _criterion: pd.DataFrame
    _said: Mapping[str, Any] = field(default_factory=dict)

    @property
    def table(self) -> pd.DataFrame:
        """One row a group and segment; schema "change_points", and the columns of `by`."""
        return self._table.copy()

    @property
    def days(self) -> pd.DataFrame:
        """Counts and hazards by day; schema "change_points_days"."""
        return self._days.copy()

    @property
    def criteria(self) -> pd.DataFrame:
        """Likelihood and criterion of each number of segments; schema "change_points_criterion"."""
        return self._criterion.copy()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the hazards of the segments over those of the days; see `churnsurv.plots.change_points`."""
        from churnsurv.plots import change_points as draw

        axes: Axes = draw(self.table, ax, days=self.days, scale=self.scale, level=self.level)
        return axes

    def _headline(self) -> str:
        said = [self._group_line(group) for group in self.groups[:_SAID_GROUPS]]
        more = f"; and {len(self.groups) - _SAID_GROUPS} more groups" if len(self.groups) > _SAID_GROUPS else ""
        return "; ".join(said) + more

    def _group_line(self, group: str) -> str:
        rows = self._table[self._table["group"] == group]
        name = f"{group}: " if len(self.groups) > 1 else ""
        what = "idle day" if self.scale == "idle" else "day"
        hazards = " -> ".join(f"{hazard:.3g}" for hazard in rows["hazard"])
        if len(rows) == 1:
            return f"{name}no change; hazard {hazards} a day on {what}s {self.first_day} to {self.last_day}"
        changes = ", ".join(
            f"{row.first_day} ({row.change_lower} to {row.change_upper})" for row in rows.iloc[1:].itertuples()
        )
        return f"{name}hazard {hazards} a day, changing on {what} {changes}"

    def _facts(self) -> dict[str, Any]:
        names = (
            "scale", "groups", "max_segments", "criterion", "bootstrap", "seed", "level", "cluster", "first_day",
            "last_day", "notes",
        )  # fmt: skip
        return {**{name: getattr(self, name) for name in names}, "dispersion": dict(self.dispersion), **self._said}


def change_points(
    data: Any,
    *,
    scale: Literal["tenure", "idle"] | None = None,
    max_segments: int = 6,
    criterion: Literal["bic"] = "bic",
    by: str | Sequence[str] | None = None,
    bootstrap: int = 200,
    from_day: int | None = None,
    until_day: int | None = None,
    cluster: str | None = "auto",
    weights: str | None = None,
    weights_kind: str | None = None,
    duration: str = "duration",
    event: str = "churned",
    entry: str | None = None,
    seed: int = 0,
    level: float = 0.95,
) -> ChangePoints:
    """Cut days into segments of constant hazard, and say how sure each change is.

    Parameters
    ----------
    data : Spells, History, Gaps, or any table
        Durations are whole days.
    scale : {"tenure", "idle"}, optional
        "tenure": hazard of churn by day since origin. "idle": hazard of return by idle day, of gaps. By default what
        the table holds.
    max_segments : int
        At most 20.
    criterion : {"bic"}
        -2 log L / dispersion + (2 k - 1) log(events / dispersion) for k segments.
    by : str or sequence of str, optional
        Columns; each group has its own segments.
    bootstrap : int
        Resamples of users for `frequency`; 0 for none.
    from_day, until_day : int, optional
        First and last day. By default, over tenure, from the rule's `idle_days` (nobody can churn before) or the first
        day with an event where no rule is known, to the last day with anybody at risk; over idle days from 1 to
        `idle_days`. Later ends are censored there.
    cluster : str or None
        Rows of one cluster may depend on each other. "auto": `user_id` for history, gaps, and spells built with
        ``spells="all"``.
    weights : str, optional
        A column of whole numbers.
    weights_kind : {"frequency"}
        Required with weights: a row stands for so many users.
    duration, event, entry : str
        Columns. `entry` is used where it is named, and from our own tables always; at risk in (entry, duration].
    seed : int
    level : float
        Of limits and confidence sets.

    Returns
    -------
    ChangePoints
        ``.table`` has one row a segment. `change_lower` to `change_upper` are the days on which it may begin: those
        whose profile likelihood is within the quantile of Yao's (1987) limit, 7.35 at 95 %, of the best one.
        `frequency` is the share of resamples, with their own number of segments, in which a segment begins within them.

    Raises
    ------
    InputError
        If durations are no whole days, a group has no event on these days, or the scale is not that of the table.

    Notes
    -----
    All segmentations are compared, by dynamic programming on counts by day (Fisher 1958): the time that takes does not
    depend on the number of users. A hazard that changes smoothly is cut into steps too; their days say where it changes
    fast, and no more.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> early, late = 29 + rng.geometric(0.03, 4000), 89 + rng.geometric(0.01, 4000)
    >>> life = np.where(early < 90, early, late)
    >>> data = pd.DataFrame({"duration": np.minimum(life, 150), "churned": life <= 150})
    >>> found = change_points(data, from_day=30, bootstrap=0)
    >>> found
    <ChangePoints: hazard 0.0296 -> 0.0105 a day, changing on day 90 (90 to 90)>
    >>> found.table[["segment", "first_day", "last_day", "change_lower", "change_upper"]]
       segment  first_day  last_day  change_lower  change_upper
    0        1         30        89          <NA>          <NA>
    1        2         90       150            90            90
    """
    checked_level = _checked(scale, max_segments, criterion, bootstrap, seed, level)
    said = said_by(data)
    scale_found = _scale(scale, said.schema)
    found = survival_data(
        data, by=by, cluster=cluster, duration=duration, event=event, entry=entry, columns=(), weights=weights,
        weights_kind=weights_kind,
    )  # fmt: skip
    _check_days(found)
    first, last = _span(found, scale_found, _idle_days(said.facts), from_day, until_day)
    columns = group_columns(found.by, "change_points")
    how = _How(max_segments, bootstrap, seed, checked_level)
    parts = [
        _of_group(_rows(found, code, first, last), label, first, how) for code, label in enumerate(found.group_labels)
    ]
    return ChangePoints(
        scale=scale_found,
        groups=found.group_labels,
        max_segments=max_segments,
        criterion=criterion,
        bootstrap=bootstrap,
        seed=seed,
        level=checked_level,
        cluster=found.cluster_name,
        first_day=first,
        last_day=last,
        dispersion={part.group: part.dispersion for part in parts},
        notes=_notes(found, parts, scale_found, first, from_day, max_segments),
        _table=_segments_table(parts, columns),
        _days=_joined([part.days for part in parts], "change_points_days"),
        _criterion=_joined([part.criterion for part in parts], "change_points_criterion"),
        _said={**({"by": column_list("by", by)} if by else {}), **found.source},
    )


@dataclass(frozen=True, slots=True)
class _How:
    max_segments: int
    bootstrap: int
    seed: int
    level: float


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """What is found in one group."""

    group: str
    segments: list[tuple[Any, ...]]
    days: list[tuple[Any, ...]]
    criterion: list[tuple[Any, ...]]
    dispersion: float


def _checked(scale: str | None, max_segments: int, criterion: str, bootstrap: int, seed: int, level: float) -> float:
    if scale not in (*_SCALES, None):
        raise InputError(f"scale must be 'tenure' or 'idle', not {scale!r}.")
    if criterion != "bic":
        raise InputError(f"criterion must be 'bic', not {criterion!r}.")
    limits = (("max_segments", max_segments, 1, _MOST_SEGMENTS), ("bootstrap", bootstrap, 0, 10**6))
    for what, n, least, most in (*limits, ("seed", seed, 0, 2**63)):
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or not least <= n <= most:
            raise InputError(f"{what} must be a whole number from {least} to {most:,}, not {n!r}.")
    return check_level(level)


def _scale(asked: str | None, table: str | None) -> str:
    own = {"gaps": "idle", "spells": "tenure", "history": "tenure"}.get(table or "")
    if asked is not None and own is not None and asked != own:
        way = "log.gaps()" if asked == "idle" else "log.churn_spells()"
        raise InputError(f"{table} have the scale {own!r}, not {asked!r}. Take {way}.")
    return asked or own or "tenure"


def _idle_days(facts: Mapping[str, Any]) -> int | None:
    rule = facts.get("rule")
    days = rule.get("idle_days") if isinstance(rule, Mapping) else None
    return None if days is None else int(days)


def _check_days(found: SurvivalData) -> None:
    for name, days in ((found.names.duration, found.duration), (found.names.entry, found.entry)):
        if days is not None and days.dtype.kind == "f" and not np.array_equal(days, np.rint(days)):
            row = int(np.argmax(days != np.rint(days)))
            raise InputError(
                f"{name} must be whole days; row {row} has {days[row]:g}. Round up: an event between two days is one "
                "of the later day."
            )


def _span(
    found: SurvivalData, scale: str, idle_days: int | None, from_day: int | None, until_day: int | None
) -> tuple[int, int]:
    """First and last day that are looked at."""
    at_risk = np.ones(found.n, dtype=np.bool_) if found.entry is None else found.entry < found.duration
    ends = found.duration[at_risk & found.churned]
    if ends.size == 0:
        raise InputError("nobody had the event while at risk: there is no hazard. Check the event column.")
    if from_day is not None:
        first = int(from_day)
    elif scale == "idle":
        first = 1
    else:
        first = int(ends.min()) if idle_days is None else idle_days
    last = int(found.duration[at_risk].max())
    if until_day is not None:
        last = min(last, int(until_day))
    elif scale == "idle" and idle_days is not None:
        last = min(last, idle_days)
    if first < 0 or last <= first:
        raise InputError(f"days {first} to {last} leave nothing to cut: two days or more are needed.")
    if last - first >= _MOST_DAYS:
        raise InputError(
            f"{last - first + 1:,} days are more than {_MOST_DAYS:,}. Pass until_day, or durations in weeks."
        )
    return first, last


def _rows(found: SurvivalData, code: int, first: int, last: int) -> DayRows:
    mine = np.ones(found.n, dtype=np.bool_) if found.group_codes is None else found.group_codes == code
    entry, frequency, cluster = (
        None if part is None else part[mine] for part in (found.entry, found.frequency, found.cluster_codes)
    )
    n_clusters = found.n_clusters
    if cluster is not None:
        there, cluster = np.unique(cluster, return_inverse=True)
        n_clusters = there.size
    return day_rows(
        found.duration[mine], found.churned[mine], entry, first=first, last=last, frequency=frequency, cluster=cluster,
        n_clusters=n_clusters,
    )  # fmt: skip


def _of_group(rows: DayRows, group: str, first: int, how: _How) -> _Part:
    table = rows.table()
    held = np.flatnonzero(table.at_risk > 0)
    n_events = float(table.events.sum())
    if n_events == 0:
        raise InputError(
            f"group {group!r} has no event on these days: there is no hazard to cut. Leave it out, or join groups."
        )
    most = min(how.max_segments, held.size)
    found = segmentations(table.events[held], table.at_risk[held], most=most)
    dispersion = _dispersion(rows, table, found, held, most)
    k = found.chosen(n_events, dispersion)
    sets = _change_sets(found, k, how.level, dispersion)
    frequencies = _frequencies(rows, held, sets, how, dispersion)
    starts = found.starts[k - 1]
    segments = _segments(rows, table, held, starts, how.level)
    changes = [
        (None, None, None),
        *((*map(int, held[list(pair)] + first), f) for pair, f in zip(sets, frequencies, strict=True)),
    ]
    fitted = np.repeat([each[4] for each in segments], np.diff([*starts.tolist(), held.size]))
    criteria = found.criterion(n_events, dispersion)
    return _Part(
        group,
        [
            (group, i + 1, first + a, first + b, *numbers, *change)
            for i, ((a, b, *numbers), change) in enumerate(zip(segments, changes, strict=True))
        ],
        [
            (group, first + int(day), table.at_risk[day], table.events[day], table.events[day] / table.at_risk[day], p)
            for day, p in zip(held, fitted, strict=True)
        ],
        [(group, i + 1, found.log_likelihood[i], criteria[i], i + 1 == k) for i in range(most)],
        dispersion,
    )


def _hazards(table: DayTable, held: Ints, starts: Ints) -> tuple[Floats, Floats]:
    """Events and person-days of segments."""
    events, at_risk = (np.add.reduceat(each[held], starts) for each in (table.events, table.at_risk))
    return events, at_risk


def _dispersion(rows: DayRows, table: DayTable, found: Segmentation, held: Ints, most: int) -> float:
    """How much more users vary than the binomial law says, in the finest segmentation; 1 at least."""
    starts = found.starts[most - 1]
    events, at_risk = _hazards(table, held, starts)
    p = events / at_risk
    binomial = at_risk * p * (1 - p)
    if rows.cluster is None or binomial.sum() == 0:
        return 1.0
    return max(1.0, float(np.average(dispersions(rows, held[starts], p), weights=binomial)))


def _change_sets(found: Segmentation, k: int, level: float, dispersion: float) -> list[tuple[int, int]]:
    """First and last position at which each segment but the first may begin."""
    sets = []
    for change in range(k - 1):
        profile = found.profile(k, change)
        near = np.flatnonzero(2 * (profile.max() - profile) / dispersion <= change_quantile(level))
        sets.append((int(near[0]), int(near[-1])))
    return sets


def _frequencies(
    rows: DayRows, held: Ints, sets: Sequence[tuple[int, int]], how: _How, dispersion: float
) -> list[float]:
    """Share of resamples in which a segment begins within each set."""
    if not sets or how.bootstrap == 0:
        return [np.nan] * len(sets)
    hits = np.zeros(len(sets))
    places = _places(rows.table().events[held], sets)
    days = held[places]
    for table in resampled_tables(rows, how.bootstrap, np.random.default_rng([how.seed, 4])):
        # days before the next place count to the one before it; runs of days with nobody at risk are left out
        events, at_risk = (np.add.reduceat(each[days[0] :], days - days[0]) for each in (table.events, table.at_risk))
        there = np.flatnonzero(at_risk > 0)
        mine = segmentations(events[there], at_risk[there], most=min(how.max_segments, there.size))
        begins = places[there[mine.starts[mine.chosen(max(float(events.sum()), 1.0), dispersion) - 1][1:]]]
        hits += [bool(np.any((begins >= low) & (begins <= high))) for low, high in sets]
    return [float(share) for share in hits / how.bootstrap]


def _places(events: Floats, sets: Sequence[tuple[int, int]]) -> Ints:
    """Positions at which segments of resamples may begin: evenly spaced in events, and those of the sets."""
    if events.size <= _PLACES:
        return np.arange(events.size)
    running = np.cumsum(events)
    even = np.searchsorted(running, np.linspace(0, running[-1], _PLACES))
    ends = [np.linspace(low, high + 1, min(high - low + 2, _OF_SET)) for low, high in sets]
    inside = np.rint(np.concatenate([[0.0], *ends])).astype(np.int64)
    return np.unique(np.append(even, inside).clip(0, events.size - 1))


def _segments(rows: DayRows, table: DayTable, held: Ints, starts: Ints, level: float) -> list[tuple[Any, ...]]:
    """First and last day, events, person-days, hazard and its limits."""
    events, at_risk = _hazards(table, held, starts)
    p = events / at_risk
    effective = at_risk / dispersions(rows, held[starts], p)
    limits = share_limits(p * effective, effective, level)
    lasts = [int(held[b - 1]) for _, b in pairwise((*starts.tolist(), held.size))]
    columns = (held[starts].tolist(), lasts, events, at_risk, p, limits.lower, limits.upper)
    return list(zip(*columns, strict=True))


def _segments_table(parts: Sequence[_Part], by: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    table = _joined([part.segments for part in parts], "change_points")
    for name in ("change_lower", "change_upper"):
        table[name] = table[name].astype("Int64")
    table["frequency"] = table["frequency"].astype(np.float64)
    repeated = by.iloc[np.repeat(np.arange(len(parts)), [len(part.segments) for part in parts])]
    return pd.concat([table, repeated.reset_index(drop=True)], axis=1)


def _joined(rows: Sequence[Sequence[tuple[Any, ...]]], name: str) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame([row for part in rows for row in part], columns=list(schema(name).names))


def _notes(
    found: SurvivalData, parts: Sequence[_Part], scale: str, first: int, from_day: int | None, max_segments: int
) -> tuple[str, ...]:
    what = "Idle days" if scale == "idle" else "Days"
    notes = [
        "The number of segments has the lowest BIC, counted in events; limits of hazards take the days of change as "
        "known, and sets of change days take the number of segments as known."
    ]
    if from_day is None and scale == "tenure" and first > 1:
        notes.append(f"{what} before {first} are left out: nobody can churn there, or nobody did.")
    if found.cluster_name is not None:
        largest = max(part.dispersion for part in parts)
        notes.append(
            f"Likelihoods are divided by how much more {found.cluster_name} vary than a binomial law says, up to "
            f"{largest:.2f} times."
        )
    full = [part.group for part in parts if len(part.segments) == max_segments > 1]
    if full:
        notes.append(
            f"{counted(len(full), 'group')} with as many segments as max_segments allows: there may be more changes."
        )
    return tuple(notes)
