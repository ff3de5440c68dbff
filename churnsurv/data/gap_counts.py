"""How many gaps of which length, counted inside the engine: what idle risk and warning rules are made of."""

from __future__ import annotations

import datetime
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.arrow import tidy, to_pandas
from churnsurv.data.build import category_orders, refuse_collisions
from churnsurv.data.feature import BUILT_IN, SPECIAL, Feature, resolve
from churnsurv.data.gap_counts_sql import (
    DAYS,
    STATE,
    Asked,
    balance_moves_sql,
    blocks_sql,
    counts_sql,
    day_gaps_sql,
    user_column,
)
from churnsurv.data.gap_paths import cells_by_day, moving_of, steps_of
from churnsurv.data.gaps_sql import active_gaps_sql
from churnsurv.data.rule import calendar_day
from churnsurv.data.sql import name
from churnsurv.errors import InputError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from churnsurv.data.log import ActivityLog
    from churnsurv.data.reading import Kinds, Reading
    from churnsurv.data.rule import ChurnRule

__all__ = ["GapCounts", "gap_counts"]

Ints = NDArray[np.int64]
_MONTHS: Mapping[str | None, int] = {None: 0, "month": 1, "quarter": 3, "day": DAYS}
_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")


@dataclass(frozen=True, slots=True, eq=False)
class GapCounts:
    """Gaps, equal ones counted together; made by `gap_counts`. Arrays have the shape (n_rows,) and are read-only.

    Attributes
    ----------
    block : int64
        0 ... n_blocks - 1: a random group of users, so that blocks are independent.
    registration_gap : bool
        Whether the gap began at registration.
    cells : Mapping of str to int64
        How many cuts of its grid a variable has reached at the end of the gap's first day; one more than there are
        cuts where it is missing.
    period : datetime64[D], or None
        First day of the month or quarter in which the gap began, or the day itself.
    duration : int64
        1 ... idle_days: days to the return, or, where nothing has returned, days seen. idle_days + 1: no return within
        idle_days.
    returned : bool
        Whether the user came back within idle_days. False for a gap that the log ends early (`starts` "all" alone).
    n : int64
        Gaps in all.
    by : tuple of str
        The variables whose values are told apart; see `groups`.
    grids : Mapping of str to tuple of float
    starts : {"mature", "all"}
    idle_days : int
        Of the churn rule.
    n_users : int
        Users of the log.
    n_blocks : int
    first_start, last_start : date
        Days on which a gap could begin, from and to.
    n_days : int
        How many these are.
    balance_moves : int
        Gaps in whose idle days a table of balances changes the balance; 0 where there is no such table, or the balance
        was not asked for.
    path : int64
        Row of `paths`, or -1 where the cells of `cells` hold on all idle days (everywhere, if no paths were asked for).
    paths : Mapping of str to (n_paths, idle_days) int64
        The cell at the end of idle day 0, 1, ... idle_days - 1, day 0 being the first day of the gap. It is known while
        the gap lasts; what stands on the days after means nothing.
    """

    block: Ints
    registration_gap: NDArray[np.bool_]
    cells: Mapping[str, Ints]
    period: NDArray[np.datetime64] | None
    duration: Ints
    returned: NDArray[np.bool_]
    n: Ints
    by: tuple[str, ...]
    grids: Mapping[str, tuple[float, ...]]
    starts: str
    idle_days: int
    n_users: int
    n_blocks: int
    first_start: datetime.date
    last_start: datetime.date
    n_days: int
    balance_moves: int
    _by: pa.Table
    path: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    paths: Mapping[str, Ints] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.path.size:
            object.__setattr__(self, "path", np.full(self.n.size, -1, dtype=np.int64))
            none = np.zeros((0, self.idle_days), dtype=np.int64)
            object.__setattr__(self, "paths", dict.fromkeys(self.cells, none))
        arrays = [self.block, self.registration_gap, self.duration, self.returned, self.n, *self.cells.values()]
        for array in (*arrays, self.path, *self.paths.values(), *(() if self.period is None else (self.period,))):
            array.setflags(write=False)
        object.__setattr__(self, "cells", MappingProxyType(dict(self.cells)))
        object.__setattr__(self, "paths", MappingProxyType(dict(self.paths)))
        object.__setattr__(self, "grids", MappingProxyType(dict(self.grids)))

    @property
    def groups(self) -> pd.DataFrame:
        """The values of the `by` variables, one row for each count; text of few values is categorical."""
        import pandas as pd

        return to_pandas(self._by) if self.by else pd.DataFrame(index=range(self.n.size))

    def tensor(self, names: Sequence[str] | None = None, *, registration_gap: bool | None = None) -> Ints:
        """Return how many gaps of each length there are in each cell.

        Parameters
        ----------
        names : sequence of str, optional
            Variables with a grid, one axis each; by default all of them, in their order.
        registration_gap : bool, optional
            Only gaps that began at registration, or only the others.

        Returns
        -------
        (n_blocks, m_1 + 2, ..., idle_days + 1) int64
            With m cuts there are m + 1 cells and one of missing values. Along the last axis position d is a gap of
            d + 1 days, the last position one of more than idle_days.

        Raises
        ------
        InputError
            If a variable has no grid, or the length of some gaps is not known because the log ended first.
        """
        names = tuple(self.grids) if names is None else tuple(names)
        for each in names:
            if each not in self.grids:
                raise InputError(f"there is no grid for {each!r}.{did_you_mean(each, self.grids)}")
        if self.starts != "mature":
            raise InputError('The log ends before some gaps do: count starts="mature" for their lengths.')
        shape = (self.n_blocks, *(len(self.grids[each]) + 2 for each in names), self.idle_days + 1)
        place = np.ravel_multi_index((self.block, *(self.cells[each] for each in names), self.duration - 1), shape)
        n = self.n if registration_gap is None else np.where(self.registration_gap == registration_gap, self.n, 0)
        # Counts stay far below 2^53, so that sums in floating point are exact.
        return np.bincount(place, weights=n, minlength=math.prod(shape)).astype(np.int64).reshape(shape)


def gap_counts(
    log: ActivityLog,
    *,
    grids: Mapping[str, Sequence[float]] = MappingProxyType({}),
    by: Sequence[str] = (),
    features: Sequence[str | Feature] = (),
    blocks: int = 1000,
    starts: Literal["mature", "all"] = "mature",
    until: datetime.date | str | None = None,
    first_start: datetime.date | str | None = None,
    last_start: datetime.date | str | None = None,
    period: Literal["quarter", "month", "day"] | None = None,
    paths: bool = False,
) -> GapCounts:
    """Count the gaps between active days by length, without fetching them.

    Parameters
    ----------
    log : ActivityLog
    grids : Mapping of str to sequence of float
        Rising cuts of numbers: features such as "balance" and "n_investments", attributes of the users, and `tenure`,
        `active_days`, `mean_interval`, `last_interval`. All are as of the end of the gap's first day.
    by : sequence of str
        Variables of the same kind, and "stage" and "cohort", whose values are told apart.
    features : sequence of Feature
        Features of your own that `grids` and `by` name.
    blocks : int
        Random groups of users; with fewer users each is a group of its own.
    starts : {"mature", "all"}
        Gaps that began at least idle_days before the end of the log, so that all is known of them through day
        idle_days; or all gaps with a day in the log.
    until : date or ISO text, optional
        Count as if the log ended on this day.
    first_start, last_start : date or ISO text, optional
        Only gaps that began on these days, from and to.
    period : {"quarter", "month", "day"}, optional
        Tell gaps apart by when they began.
    paths : bool
        Tell apart, too, in which cells gaps are on each of their idle days: variables may move while a user is silent
        (balances that earn interest, the tenure, features of the last days, events that are no activity).

    Returns
    -------
    GapCounts

    Raises
    ------
    InputError
        If a variable is unknown, a grid does not rise, the log is too short for a mature gap, or an argument is not
        understood.

    Examples
    --------
    >>> import pandas as pd
    >>> from churnsurv.data import ActivityLog
    >>> users = pd.DataFrame({"user_id": ["a"], "registered_at": ["2024-01-01"]})
    >>> events = pd.DataFrame({"user_id": "a", "event_at": ["2024-01-05", "2024-03-20"], "kind": "login"})
    >>> counts = gap_counts(ActivityLog(events, users, observed_until="2024-05-01"))
    >>> counts.duration.tolist(), counts.registration_gap.tolist(), counts.n.tolist()
    ([31, 4], [False, True], [2, 1])
    """
    log = log if until is None else log.as_of(until)
    reading, rule = log._reading, log.rule
    n_blocks = min(_checked(starts, period, blocks), reading.n_users)
    wide = {str(each): _rising(str(each), cuts) for each, cuts in grids.items()}
    first, last = _starts(reading, rule, starts, first_start, last_start)
    told = {f"by_{place}": each for place, each in enumerate(dict.fromkeys(by))}
    variables = _variables(reading, features, [*wide, *told.values()])
    asked = Asked(
        first,
        last,
        tuple((variables.number(each), cuts) for each, cuts in wide.items()),
        tuple(variables.value(each) for each in told.values()),
        _MONTHS[period],
    )
    found, moves, moving, codes = _found(log, variables, asked, n_blocks, wide=wide, paths=paths)
    orders = category_orders(reading, variables.features, log.stages)
    cells = {each: _whole(found[f"cell_{place}"]) for place, each in enumerate(wide)}
    way = _whole(found["path"]) if moving else np.full(found.num_rows, -1, dtype=np.int64)
    path, along = cells_by_day(way, codes, cells, wide, moving)
    return GapCounts(
        block=_whole(found["block"]),
        registration_gap=_truth(found["registration_gap"]),
        cells=cells,
        period=_first_days(found["month"], by_day=period == "day") if period else None,
        duration=_whole(found["duration"]),
        returned=_truth(found["returned"]),
        n=_whole(found["n"]),
        by=tuple(told.values()),
        grids=wide,
        starts=starts,
        idle_days=rule.idle_days,
        n_users=reading.n_users,
        n_blocks=n_blocks,
        first_start=first,
        last_start=last,
        n_days=(last - first).days + 1,
        balance_moves=moves,
        _by=tidy(found.select(list(told)).rename_columns(list(told.values())), orders),
        path=path,
        paths=along,
    )


def _found(
    log: ActivityLog,
    variables: _Variables,
    asked: Asked,
    n_blocks: int,
    *,
    wide: Mapping[str, tuple[float, ...]],
    paths: bool,
) -> tuple[pa.Table, int, tuple[str, ...], Ints]:
    """The counts, the number of gaps with a moving balance, and what moves along which paths (`Steps.codes`)."""
    reading, rule, stages = log._reading, log.rule, log.stages
    engine, blocks = reading.engine, blocks_sql(reading.users, blocks=n_blocks, n_users=reading.n_users)
    settings: dict[str, Any] = {"asked": asked, "users": f"({blocks})", "features": variables.features}
    every = _gaps_sql(reading, rule, asked.first, active=variables.active)
    names, moving = tuple[str, ...](), None
    if paths:
        cells = {each: asked.columns[f"cell_{place}"] for place, each in enumerate(wide)}
        names, moving = moving_of(tuple(wide), wide, cells, variables.by_name, rule, reading.sources)
    nothing = np.zeros((0, rule.idle_days - 1), dtype=np.int64)
    if not variables.features and moving is None:
        return engine.arrow(counts_sql(reading, rule, stages, gaps=f"({every})", **settings)), 0, (), nothing
    gaps, moves = engine.table("day_gaps", every), 0
    try:
        within: dict[str, Any] = {"gaps": gaps, "first": asked.first, "limit": asked.limit}
        if "balance" in variables.features and "balances" in reading.sources:
            moves = int(engine.rows(balance_moves_sql(reading, rule, stages, **within))[0][0])
        if moving is None:
            return engine.arrow(counts_sql(reading, rule, stages, gaps=gaps, **settings)), moves, (), nothing
        with steps_of(reading, rule, stages, moving, users=reading.users, **within) as steps:
            found = engine.arrow(counts_sql(reading, rule, stages, gaps=gaps, paths=steps.numbered, **settings))
            return found, moves, names, steps.codes
    finally:
        engine.drop(gaps)


def _gaps_sql(reading: Reading, rule: ChurnRule, first: datetime.date, *, active: bool) -> str:
    kinds: Kinds = None if rule.activity is None else tuple(rule.activity)
    reading.require_activity(kinds)
    judged, users, window = reading.judged("events"), reading.users, reading.window
    if active:
        return active_gaps_sql(judged, users, kinds, window, rule.idle_days)
    return day_gaps_sql(judged, users, kinds, window, since=first)


# ------------------------------------------------------------------------------------------------------- variables


@dataclass(frozen=True, slots=True)
class _Variables:
    """What was named, as SQL.

    `features`: those that are named, `active`: whether the state of activity is, `kinds`: types of the users' columns.
    """

    features: tuple[str | Feature, ...]
    active: bool
    kinds: Mapping[str, str]

    @property
    def by_name(self) -> Mapping[str, str | Feature]:
        """The features, by name."""
        return {each if isinstance(each, str) else each.name: each for each in self.features}

    def value(self, variable: str) -> str:
        """SQL of a variable."""
        if variable in self.kinds:
            return user_column(variable)
        return STATE[variable] if variable in STATE else f"a.{name(variable)}"

    def number(self, variable: str) -> str:
        """SQL of a variable that has an order to be cut in."""
        kind = self.kinds.get(variable, "VARCHAR" if variable == "stage" else "DOUBLE")
        value = self.value(variable)
        if kind in {"DOUBLE", "FLOAT"} and variable in self.kinds:
            return f"(CASE WHEN NOT isnan({value}) THEN {value} END)"
        if kind in _NUMBERS or kind in {"DOUBLE", "FLOAT"} or kind.startswith("DECIMAL"):
            return value
        raise InputError(f"{variable!r} is no number ({kind}), so that it cannot be cut. Name it in by= instead.")


def _variables(reading: Reading, features: Sequence[str | Feature], named: Sequence[str]) -> _Variables:
    """Find what each name stands for: an attribute of the users, their activity, or a feature."""
    own = {each.name: each for each in resolve(features) if isinstance(each, Feature)}
    columns = reading.sources["users"].columns
    kinds = {each: columns[each] for each in reading.users_read.attributes} | {"cohort": "VARCHAR"}
    chosen: dict[str, str | Feature] = {}
    for each in named:
        if each not in own and (each in kinds or each in STATE):
            continue
        if each not in own and each not in BUILT_IN and each not in SPECIAL:
            options = [*kinds, *own, *BUILT_IN, *SPECIAL, *STATE]
            raise InputError(
                f"there is no variable {each!r}.{did_you_mean(str(each), options)} Gaps are split by attributes of the "
                f"users, features and activity: {', '.join(options)}."
            )
        chosen[each] = own.get(each) or BUILT_IN.get(each) or each
    refuse_collisions(reading, "gaps", list(chosen))
    return _Variables(tuple(chosen.values()), any(each in STATE and each != "tenure" for each in named), kinds)


# ------------------------------------------------------------------------------------------------------- arguments


def _checked(starts: str, period: str | None, blocks: int) -> int:
    """The number of blocks; raises what is wrong with the plain arguments."""
    if starts not in ("mature", "all"):
        raise InputError(f"starts is 'mature' or 'all'; it is {starts!r}.")
    if period not in _MONTHS:
        raise InputError(f"period is 'quarter', 'month', 'day' or None; it is {period!r}.")
    if isinstance(blocks, bool) or not isinstance(blocks, (int, np.integer)) or not 2 <= blocks <= 1_000_000:
        raise InputError(f"blocks is a whole number from 2 to 1,000,000; it is {blocks!r}.")
    return int(blocks)


def _rising(variable: str, cuts: Sequence[float]) -> tuple[float, ...]:
    try:
        numbers = () if hasattr(cuts, "strip") else tuple(float(cut) for cut in cuts)
    except (TypeError, ValueError):
        numbers = ()
    if not numbers:
        raise InputError(f"the grid of {variable!r} is a list of numbers, such as (1, 100, 1000); it is {cuts!r}.")
    if not all(map(math.isfinite, numbers)) or any(left >= right for left, right in itertools.pairwise(numbers)):
        raise InputError(f"the grid of {variable!r} must be finite numbers, each larger than the last; got {cuts!r}.")
    return numbers


def _last_start(reading: Reading, rule: ChurnRule, starts: str) -> datetime.date:
    """The last day on which a gap may begin that is to be counted."""
    first, last = reading.window.first, reading.window.last
    limit = last - datetime.timedelta(days=rule.idle_days if starts == "mature" else 1)
    if limit < first:
        raise InputError(
            f"The log covers {first} to {last}: no gap that begins in it can be followed for "
            f"{(last - limit).days} days. Take a longer log."
        )
    return limit


def _starts(
    reading: Reading,
    rule: ChurnRule,
    starts: str,
    first: datetime.date | str | None,
    last: datetime.date | str | None,
) -> tuple[datetime.date, datetime.date]:
    """The first and last day on which a gap may begin that is to be counted."""
    earliest, latest = reading.window.first, _last_start(reading, rule, starts)
    since = earliest if first is None else calendar_day(first, "first_start")
    to = latest if last is None else calendar_day(last, "last_start")
    if not earliest <= since <= to <= latest:
        raise InputError(
            f"first_start and last_start must lie between {earliest} and {latest}, in this order; they are {since} and "
            f"{to}. Gaps that began after {latest} are not followed for long enough."
        )
    return since, to


# ---------------------------------------------------------------------------------------------------------- arrays


def _whole(column: pa.ChunkedArray) -> Ints:
    whole: Ints = column.to_numpy().astype(np.int64)
    return whole


def _truth(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    truth: NDArray[np.bool_] = column.to_numpy().astype(np.bool_)
    return truth


def _first_days(numbers: pa.ChunkedArray, *, by_day: bool) -> NDArray[np.datetime64]:
    """The first day of months that are counted from the year 0, or days that are counted from 1970."""
    if by_day:
        return _whole(numbers).astype("datetime64[D]")
    return (_whole(numbers) - 12 * 1970).astype("datetime64[M]").astype("datetime64[D]")
