"""From spells or any table to the arrays that every estimator takes, checked once and named when wrong.

The arrays of the table are used as they are: integer days stay integers, the codes of a categorical column
become the group codes, and nothing is copied that need not be.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.arrow import to_pandas
from churnsurv.data.relation import Relation, relation_of
from churnsurv.errors import ChurnsurvWarning, InputError, SchemaError, did_you_mean, require_columns
from churnsurv.notes import note
from churnsurv.survival.factors import joined, not_simple
from churnsurv.survival.frames import as_frame, counted, first_of, numeric_column
from churnsurv.survival.own_tables import OutcomeColumns, outcome_columns, said_by
from churnsurv.survival.patterns import Patterns, fetch_patterns, refuse_types

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    *("SurvivalData", "as_frame", "check_level", "column_list"),
    *("counted", "first_of", "numeric_column", "survival_data"),
]

Codes: TypeAlias = NDArray[np.integer[Any]]
Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

_WEIGHTS_KINDS = ("frequency", "sampling")
# Whole numbers beyond this are not exact in floating point; nobody was followed for so many days.
_MOST_DAYS = _MOST_USERS = 2**53
# Squares of weights, and sums of them, must stay within floating point.
_LARGEST_WEIGHT = 1e100
# An offset is added to a logarithm: beyond this it has lost the digits that covariates speak in.
_LARGEST_OFFSET = 1e4


@dataclass(frozen=True, slots=True, eq=False)
class SurvivalData:
    """Checked arrays of n rows; the rows stand in the order of the table.

    Attributes
    ----------
    duration : (n,) integer or float64
        Days, finite and >= 0.
    churned : (n,) bool
    entry : (n,) integer or float64, or None
        At risk in (entry, duration]. None: from before day 0, so that events on day 0 count.
    group_codes : (n,) integer, or None
        Position of each row's group in `group_labels`; None where there is one group.
    group_labels : tuple of str
        The `by` values joined by " | ", in categorical order, else sorted; only groups that have rows. ("all",)
        without `by`.
    by : DataFrame
        One row per group, one column per `by` column.
    strata_codes, strata_labels
        The same for `strata`.
    cluster_codes : (n,) integer, or None
        0 ... n_clusters - 1 where variances are clustered.
    n_clusters : int
    cluster_name : str or None
    n_no_risk : int
        Rows with duration equal to entry: kept, but never at risk.
    frame : DataFrame
        The table itself, for the columns that a model needs.
    known_at : mapping
        When the value of a column is known ("origin", "day 30"), where the table says so.
    source : mapping
        ``{"data": facts}`` (rule, counts) where the data is our own table; goes into the facts of a result.
    weights : (n,) float64, or None
        > 0, a copy; whole numbers where their kind is "frequency".
    weights_kind : {"frequency", "sampling"}, or None
        A row stands for so many users, or was drawn with a probability that its weight is the inverse of.
    offset : (n,) float64, or None
        Finite, a copy.
    names : OutcomeColumns
        The columns that were read.
    rows : (n,) int64, or None
        How many rows of an engine's table each row stands for; such rows have no position. None: one each, in the order
        of the table. Where no weights are named, these are the weights.
    weights_named : bool
        Whether the weights are a column of the user's.
    """

    duration: NDArray[Any]
    churned: NDArray[np.bool_]
    entry: NDArray[Any] | None
    group_codes: Codes | None
    group_labels: tuple[str, ...]
    by: pd.DataFrame
    strata_codes: Codes | None
    strata_labels: tuple[str, ...]
    cluster_codes: Codes | None
    n_clusters: int
    cluster_name: str | None
    n_no_risk: int
    frame: pd.DataFrame
    known_at: Mapping[str, str] = field(default_factory=dict)
    source: Mapping[str, Any] = field(default_factory=dict)
    weights: Floats | None = None
    weights_kind: str | None = None
    offset: Floats | None = None
    names: OutcomeColumns = field(default_factory=OutcomeColumns)
    rows: Ints | None = None
    weights_named: bool = True

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.duration.shape[0])

    @property
    def n_rows(self) -> int:
        """Number of rows of the table, which an engine may have counted."""
        return self.n if self.rows is None else int(self.rows.sum())

    @property
    def n_users(self) -> int:
        """Number of rows, each as often as its frequency says."""
        return self.n if self.frequency is None else round(float(self.frequency.sum()))

    @property
    def named_weights_kind(self) -> str | None:
        """The kind of the weights, where they are a column of the user's."""
        return self.weights_kind if self.weights_named else None

    @property
    def frequency(self) -> Floats | None:
        """The weights, where they are frequencies."""
        return self.weights if self.weights_kind == "frequency" else None

    @property
    def sampling(self) -> Floats | None:
        """The weights, where they are sampling weights."""
        return self.weights if self.weights_kind == "sampling" else None


def survival_data(
    data: Any,
    *,
    by: str | Sequence[str] | None = None,
    strata: str | Sequence[str] | None = None,
    cluster: str | None = "auto",
    duration: str = "duration",
    event: str = "churned",
    entry: str | None = None,
    columns: Sequence[str] | None = (),
    weights: str | None = None,
    weights_kind: str | None = None,
    offset: str | None = None,
    optional: Sequence[str] = (),
    each: bool = False,
) -> SurvivalData:
    """Check a table and return its arrays.

    Parameters
    ----------
    data : Spells, History, Gaps, or any table
        pandas, polars, pyarrow, an engine relation, or the path of a Parquet or CSV file. Of a relation only counts of
        equal rows are fetched.
    by, strata : str or sequence of str, optional
        Columns; missing values in them form the category "(missing)".
    cluster : str or None
        A column without missing values. "auto": `user_id` for history, gaps, and spells built with ``spells="all"``;
        else none.
    duration, event, entry : str
        Columns. `entry` is used where it is named, and from our own tables always. The default names stand for
        `stop, churned, start` of a history and `duration, returned, entry` of gaps.
    columns : sequence of str or None
        Further columns that must be in `frame`; None: all columns.
    weights : str, optional
        A column of numbers > 0.
    weights_kind : {"frequency", "sampling"}
        Required with weights. "frequency": whole numbers, a row stands for so many users.
    offset : str, optional
        A column of finite numbers.
    optional : sequence of str
        Columns that are taken into `frame` where the data has them; not from a relation.
    each : bool
        Every row of a relation is a row here.

    Raises
    ------
    SchemaError
        If a column is missing or of the wrong type.
    InputError
        If the table is empty or holds values that cannot be used: how many, and the first row (counted from 0), or of
        a relation an example; if it is a panel or a snapshot.

    Examples
    --------
    >>> import pandas as pd
    >>> d = survival_data(pd.DataFrame({"duration": [30, 45], "churned": [True, False], "plan": ["b", "a"]}), by="plan")
    >>> d.n, d.group_labels, d.group_codes.tolist()
    (2, ('a', 'b'), [1, 0])
    """
    _check_names(duration=duration, event=event, entry=entry, cluster=cluster, weights=weights, offset=offset)
    names = outcome_columns(data, duration=duration, event=event, entry=entry)
    said = said_by(data)
    cluster_name = said.cluster if cluster == "auto" else cluster
    by_names, strata_names = column_list("by", by), column_list("strata", strata)
    _check_weights_kind(weights, weights_kind)
    single = (names.entry, cluster_name, weights, offset)
    needed = [names.duration, names.event, *by_names, *strata_names, *(x for x in single if x is not None)]
    needed += columns or ()
    relation = relation_of(data)
    if relation is None:
        frame = as_frame(data, columns=None if columns is None else needed, needed=needed, optional=optional)
        read = Patterns(frame)
    else:
        roles = _Roles(names, offset, weights, weights_kind)
        read = _counted(relation, list(relation.columns) if columns is None else needed, roles, each=each)
    frame, rows = read.frame, read.rows
    if len(frame) == 0:
        raise InputError("data has no rows: there is nothing to estimate. Check the filters that made the table.")
    days = _days(frame, names.duration, rows)
    churned = _events(frame, names.event, rows)
    entered = None if names.entry is None else _days(frame, names.entry, rows)
    groups, strata_factor = joined(frame, by_names), joined(frame, strata_names)
    cluster_codes, n_clusters = (None, 0) if cluster_name is None else _clusters(frame, cluster_name, rows)
    facts = {**said.facts, **read.facts}
    return SurvivalData(
        duration=days,
        churned=churned,
        entry=entered,
        group_codes=groups.codes,
        group_labels=groups.labels,
        by=groups.values,
        strata_codes=strata_factor.codes,
        strata_labels=strata_factor.labels,
        cluster_codes=cluster_codes,
        n_clusters=n_clusters,
        cluster_name=cluster_name,
        n_no_risk=_n_no_risk(days, entered, churned, names, rows, own=said.schema is not None),
        frame=frame,
        known_at=said.known_at,
        source={"data": facts} if facts else {},
        weights=_users(read, weights, weights_kind, each=each),
        weights_kind=weights_kind if rows is None or each or weights is not None else "frequency",
        offset=None if offset is None else _offset(frame, offset, rows),
        names=names,
        rows=rows,
        weights_named=weights is not None,
    )


@dataclass(frozen=True, slots=True)
class _Roles:
    """Columns of which each holds numbers of one kind."""

    names: OutcomeColumns
    offset: str | None
    weights: str | None
    weights_kind: str | None

    def named(self) -> dict[str, str]:
        """What each column must hold."""
        said = {self.names.duration: "numbers of days", self.names.event: "true/false or 0/1"}
        optional = {
            self.names.entry: "numbers of days",
            self.weights: "numbers to serve as weights",
            self.offset: "numbers to serve as an offset",
        }
        return said | {name: what for name, what in optional.items() if name is not None}


def _counted(relation: Relation, needed: Sequence[str], roles: _Roles, *, each: bool) -> Patterns:
    """Fetch what an estimator needs of a relation. Frequencies are added up; a sampling weight belongs to its row."""
    require_columns("data", needed, relation.columns)
    refuse_types(relation, roles.named())
    if roles.weights is None:
        return fetch_patterns(relation, needed, each=each)
    if roles.weights_kind == "sampling" or each:
        return fetch_patterns(relation, needed, each=True)
    # Those that cannot be added up are found inside the engine, and named as in memory.
    allowed = f"{{0}} > 0 AND {{0}} <= {_MOST_USERS} AND {{0}} = round({{0}})"
    wrong = to_pandas(relation.refused(roles.weights, allowed)).rename(columns={"value": roles.weights})
    if len(wrong):
        _weights(wrong, roles.weights, wrong["n"].to_numpy(), frequency=True)
    once = needed.count(roles.weights) == 1  # it has no other part than that of weights
    others = [name for name in needed if not (once and name == roles.weights)]
    return fetch_patterns(relation, others, total=roles.weights)


def _users(read: Patterns, name: str | None, kind: str | None, *, each: bool) -> Floats | None:
    """The weights: a column of the user's, or how many rows of a relation are equal."""
    if read.total is not None:
        _check_frequencies(str(name), read.total, read.rows)
        return read.total
    if name is not None:
        return _weights(read.frame, name, read.rows, frequency=kind == "frequency")
    return None if read.rows is None or each else read.rows.astype(np.float64)


def column_list(what: str, names: str | Sequence[str] | None) -> list[str]:
    """Return column names as a list; `what` names the argument in the error.

    Examples
    --------
    >>> column_list("by", "channel"), column_list("by", None)
    (['channel'], [])
    """
    listed = [names] if isinstance(names, str) else list(names or ())
    if any(not isinstance(name, str) for name in listed):
        raise InputError(f"{what} takes the name of a column or a list of names, not {names!r}.")
    if len(set(listed)) < len(listed):
        raise InputError(f"{what} names a column twice: {', '.join(listed)}.")
    return listed


def check_level(level: float) -> float:
    """Return the confidence level, or say why it is none.

    Examples
    --------
    >>> check_level(0.9)
    0.9
    """
    if not isinstance(level, (int, float)) or not 0 < level < 1:
        raise InputError(f"level must lie between 0 and 1, such as 0.95; got {level!r}.")
    return float(level)


def _check_names(**named: Any) -> None:
    """Columns are named by text; a list of values is not a column."""
    for what, name in named.items():
        optional = what not in ("duration", "event")
        if not isinstance(name, str) and not (optional and name is None):
            raise InputError(
                f"{what} takes the name of a column, not {type(name).__name__}. Add it to the table first."
            )


def _days(frame: pd.DataFrame, name: str, rows: Ints | None = None) -> NDArray[Any]:
    days = numeric_column(frame, name, "numbers of days")
    if days.dtype.kind == "b":
        raise SchemaError(f"{name!r} must hold numbers of days; it holds true and false. Is it the event column?")
    if days.dtype.kind == "f":
        # the extremes show a NaN and an infinity, so that fine data costs two passes and no copy
        if not (np.isfinite(days.min()) and np.isfinite(days.max())):
            bad = ~np.isfinite(days)
            raise InputError(
                f"{name} must be a finite number of days; {first_of(bad, days, rows)}. Leave out rows whose time is "
                "not known, and count them."
            )
        days = days.astype(np.float64, copy=False)
    if days.max() > _MOST_DAYS:
        raise InputError(
            f"{name} must be a number of days; {first_of(days > _MOST_DAYS, days, rows)}. Are these timestamps? Take "
            "the difference from the origin, in days."
        )
    if days.min() < 0:
        raise InputError(
            f"{name} must be >= 0; {first_of(days < 0, days, rows)}. Check that no end date lies before its origin."
        )
    return days


def _events(frame: pd.DataFrame, name: str, rows: Ints | None = None) -> NDArray[np.bool_]:
    events = numeric_column(frame, name, "true/false or 0/1")
    if events.dtype.kind == "b":
        return events
    bad = ~((events == 0) | (events == 1))
    if bad.any():
        raise InputError(
            f"{name} must hold true/false or 0/1; {first_of(bad, events, rows)}. Code churn as 1 and censoring as "
            "0, and leave out rows where it is not known."
        )
    return events.astype(np.bool_)


def _clusters(frame: pd.DataFrame, name: str, rows: Ints | None = None) -> tuple[Codes, int]:
    import pandas as pd

    try:
        codes, uniques = pd.factorize(frame[name])
    except TypeError as error:
        raise not_simple(name, frame[name]) from error
    if codes.min() < 0:
        raise InputError(
            f"cluster column {name!r} must not have missing values; {first_of(codes < 0, None, rows)}. Give each of "
            "these rows an id of its own or leave them out."
        )
    return codes, len(uniques)


def _check_weights_kind(weights: str | None, kind: str | None) -> None:
    if weights is None:
        if kind is not None:
            raise InputError(f"weights_kind={kind!r} says what weights mean, but there are none. Name their column.")
        return
    if kind not in _WEIGHTS_KINDS:
        raise InputError(
            f"weights need weights_kind='frequency' (a row stands for so many users) or 'sampling' (a row was drawn "
            f"with a probability that its weight is the inverse of), not {kind!r}."
            f"{did_you_mean(str(kind), _WEIGHTS_KINDS)} The two give different standard errors."
        )


def _weights(frame: pd.DataFrame, name: str, rows: Ints | None = None, *, frequency: bool) -> Floats:
    weights = _real_numbers(frame, name, "weights")
    bad = ~(np.isfinite(weights) & (weights > 0))
    if bad.any():
        raise InputError(
            f"weights {name!r} must be finite and > 0; {first_of(bad, weights, rows)}. Leave out rows that stand for "
            "nobody, and say so."
        )
    if frequency:
        _check_frequencies(name, weights, rows)
        return weights
    bad = (weights > _LARGEST_WEIGHT) | (weights < 1 / _LARGEST_WEIGHT)
    if bad.any():
        raise InputError(
            f"weights {name!r} must lie between {1 / _LARGEST_WEIGHT:g} and {_LARGEST_WEIGHT:g}; "
            f"{first_of(bad, weights, rows)}. Divide all of them by their mean: their unit does not matter."
        )
    return weights


def _check_frequencies(name: str, weights: Floats, rows: Ints | None) -> None:
    bad = weights != np.rint(weights)
    if bad.any():
        raise InputError(
            f"weights {name!r} must be whole numbers where a row stands for so many users; "
            f"{first_of(bad, weights, rows)}. "
            "If they say how rows were drawn, write weights_kind='sampling'."
        )
    if weights.sum() > _MOST_USERS:
        raise InputError(
            f"weights {name!r} stand for {weights.sum():.3g} users, more than can be counted. Check their unit."
        )


def _offset(frame: pd.DataFrame, name: str, rows: Ints | None = None) -> Floats:
    offset = _real_numbers(frame, name, "an offset")
    bad = ~np.isfinite(offset)
    if bad.any():
        raise InputError(
            f"offset {name!r} must be finite; {first_of(bad, offset, rows)}. It is added to the linear predictor: fill "
            "it in, or leave these rows out and say so."
        )
    bad = np.abs(offset) > _LARGEST_OFFSET
    if bad.any():
        raise InputError(
            f"offset {name!r} must lie between -{_LARGEST_OFFSET:,.0f} and {_LARGEST_OFFSET:,.0f}; "
            f"{first_of(bad, offset, rows)}. It is added to the logarithm of the hazard: take the logarithm of an "
            "exposure."
        )
    return offset


def _real_numbers(frame: pd.DataFrame, name: str, what: str) -> Floats:
    """A column of numbers as a copy: a fit keeps it, and the table may change afterwards."""
    numbers = numeric_column(frame, name, f"numbers to serve as {what}")
    if numbers.dtype.kind not in "iuf":
        raise SchemaError(f"{name!r} must hold numbers to serve as {what}; it holds {numbers.dtype}. Convert it first.")
    return np.array(numbers, dtype=np.float64)


def _n_no_risk(
    duration: NDArray[Any],
    entry: NDArray[Any] | None,
    churned: NDArray[np.bool_],
    names: OutcomeColumns,
    rows: Ints | None,
    *,
    own: bool,
) -> int:
    """Count rows with duration == entry; a duration before the entry is an error. Our own tables count them already."""
    if entry is None:
        return 0
    name = names.duration
    late = duration < entry
    if late.any():
        row = int(np.argmax(late))
        values = f"{duration[row]} < {entry[row]}"
        where = f", first at row {row} ({values})" if rows is None else f", such as {values}"
        raise InputError(
            f"{name} must not be less than {names.entry}; {counted(_number(late, rows), 'such row')}{where}. Both "
            f"count days from the origin: check that {name} is not counted from {names.entry}."
        )
    none = duration == entry
    n_none = _number(none, rows)
    n_lost = _number(none & churned, rows) if n_none and not own else 0
    if n_lost:
        warnings.warn(
            note(
                "{rows} churned on the day of entry ({duration} equals {entry}): nobody is at risk on that day, so "
                "that such a row carries no risk and no event.",
                rows=counted(n_lost, "row"),
                duration=name,
                entry=names.entry,
            ),
            ChurnsurvWarning,
            stacklevel=4,
        )
    return n_none


def _number(chosen: NDArray[np.bool_], rows: Ints | None) -> int:
    return int(np.count_nonzero(chosen) if rows is None else rows[chosen].sum())
