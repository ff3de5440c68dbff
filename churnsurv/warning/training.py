"""What warning rules are learnt from: gaps by length and by what was known of their user when they began."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.feature import BUILT_IN, SPECIAL, Feature, resolve
from churnsurv.data.gap_counts import GapCounts, gap_counts
from churnsurv.errors import InputError, did_you_mean
from churnsurv.numerics.first_hits import movers_of
from churnsurv.numerics.moving_rules import MovingCounts
from churnsurv.numerics.rule_search import AlertCounts, RuleFamily, alert_counts, first_days
from churnsurv.warning.rules import IDLE_DAYS, Condition, Rule

if TYPE_CHECKING:
    from datetime import date

    from churnsurv.data import ActivityLog

__all__ = ["GRIDS", "Training", "train_on"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Variable: TypeAlias = "str | Feature"

#: Thresholds that are tried where nothing else is said.
GRIDS: Mapping[str, tuple[float, ...]] = {
    "balance": (1, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000),
    "n_investments": (1, 2, 3, 5, 8),
}
_ORDERS = ("decreasing", "increasing")
#: The value cut to two significant digits, which has few values whatever the variable.
_TWO_DIGITS = (
    "CASE WHEN {v} = 0 THEN 0.0 ELSE round({v} / power(10.0, floor(log10(abs({v}))) - 1))"
    " * power(10.0, floor(log10(abs({v}))) - 1) END"
)


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """Mature gaps of a log, and the families of rules over them.

    Attributes
    ----------
    counts : GapCounts
    cells : Mapping of str to (n_rows,) int64
        How many thresholds of its grid a variable has reached; one more than there are where it is missing.
    missing : Mapping of str to float
        What stands in where a variable is missing.
    variables : tuple of str or Feature
    pairs : tuple of (int or None, int or None)
        Ordered pairs of variables: the first is split, the second may add a condition.
    families : tuple of RuleFamily
        Of each pair.
    gaps, churned : (n_blocks,) float64
        Gaps, and gaps that ended in churn, by block of users.
    path : (n_rows,) int64
        Row of `paths`, or -1 where no variable changes its cell while the user is silent. Empty: nowhere.
    paths : Mapping of str to (n_paths, idle_days) int64
        The cell at the end of each idle day, as in `GapCounts`, missing values in that of what stands in for them.
    """

    counts: GapCounts
    cells: Mapping[str, Ints]
    missing: Mapping[str, float]
    variables: tuple[Variable, ...]
    pairs: tuple[tuple[int | None, int | None], ...]
    families: tuple[RuleFamily, ...]
    gaps: Floats
    churned: Floats
    path: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    paths: Mapping[str, Ints] = field(default_factory=dict)

    @property
    def moves(self) -> bool:
        """Whether a variable changes its cell in some gap while the user is silent."""
        return bool((self.path >= 0).any())

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the variables."""
        return tuple(self.counts.grids)

    @property
    def idle_days(self) -> int:
        """Idle days that make a churn."""
        return self.counts.idle_days

    @property
    def days(self) -> Ints:
        """The idle days on which an alert may come."""
        return np.arange(1, self.idle_days)

    @property
    def data_hash(self) -> str:
        """SHA-256 of the counts, whatever the order of their rows."""
        counts = self.counts
        columns = [counts.block, *self.cells.values(), counts.duration]
        order = np.lexsort(columns)
        digest = hashlib.sha256(repr((counts.idle_days, list(counts.grids.items()))).encode())
        if self.moves:
            columns = [*columns, self.path]
            order = np.lexsort(columns)
            for along in self.paths.values():
                digest.update(np.ascontiguousarray(along, dtype="<i8").tobytes())
        for column in (*columns, counts.n):
            digest.update(np.ascontiguousarray(column[order], dtype="<i8").tobytes())
        return digest.hexdigest()

    def alert_counts(self, until: Ints) -> list[AlertCounts]:
        """What could be alerted over each ordered pair of variables, before higher tiers take gaps over."""
        made: dict[tuple[int | None, int | None], AlertCounts] = {}
        for first, second in self.pairs:
            if (second, first) in made and first is not None:
                made[first, second] = made[second, first].transposed()
            else:
                made[first, second] = self._counted(first, second, until)
        return [made[pair] for pair in self.pairs]

    def moving_counts(self, until: Ints) -> list[MovingCounts]:
        """The same where variables move: gaps that stay in their cell, and those that do not."""
        counts, moves = self.counts, self.path >= 0
        path, along = np.unique(self.path[moves], return_inverse=True)
        found = []
        for (first, second), family in zip(self.pairs, self.families, strict=True):
            movers = movers_of(
                counts.block[moves],
                along.reshape(-1),
                counts.duration[moves],
                counts.n[moves],
                first=self._along(first)[path, 1:],
                second=self._along(second)[path, 1:],
                idle_days=self.idle_days,
                until=until[moves],
            )
            found.append(MovingCounts(self._counted(first, second, until, ~moves), movers, family))
        return found

    def _counted(
        self, first: int | None, second: int | None, until: Ints, rows: NDArray[np.bool_] | None = None
    ) -> AlertCounts:
        counts, mine = self.counts, slice(None) if rows is None else rows
        sizes = [2 if each is None else len(counts.grids[self.names[each]]) + 2 for each in (first, second)]
        return alert_counts(
            counts.block[mine],
            self._cell(first)[mine],
            self._cell(second)[mine],
            counts.duration[mine],
            counts.n[mine],
            shape=(counts.n_blocks, sizes[0], sizes[1]),
            idle_days=self.idle_days,
            until=until[mine],
        )

    def _cell(self, variable: int | None) -> Ints:
        if variable is None:
            return np.zeros(self.counts.n.size, dtype=np.int64)
        return self.cells[self.names[variable]]

    def _along(self, variable: int | None) -> Ints:
        if variable is None:
            return np.zeros((max(self.path.max(initial=-1) + 1, 0), self.idle_days), dtype=np.int64)
        return self.paths[self.names[variable]]

    def first_day(self, pair: int, five: Ints) -> Ints:
        """First day on which a rule alerts the gaps of each row, idle_days for never; shape (n_rows,)."""
        first, second = self.pairs[pair]
        since = first_days(five, self.families[pair])
        found: Ints = since[self._cell(first), self._cell(second)]
        if self.moves:
            holds = since[self._along(first)[:, 1:], self._along(second)[:, 1:]] <= self.days
            by_path = np.where(holds.any(axis=1), holds.argmax(axis=1) + 1, self.idle_days)
            found = np.where(self.path >= 0, by_path[self.path], found)
        return found

    def rule(self, pair: int, five: Sequence[int] | Ints) -> Rule:
        """The rule behind five numbers, see `numerics.rule_search.NOBODY`, in words."""
        split, *sides = (int(each) for each in five)
        first, second = (None if each is None else self.names[each] for each in self.pairs[pair])
        found = []
        for sign, (condition, day) in (("<", sides[:2]), (">=", sides[2:])):
            if day == 0:
                continue
            conditions = [Condition(IDLE_DAYS, ">", day - 1)]
            if split and first is not None:
                conditions.append(Condition(first, sign, self.counts.grids[first][split - 1]))
            if condition and second is not None:
                cuts = self.counts.grids[second]
                below = condition <= len(cuts)
                place = condition - 1 if below else condition - len(cuts) - 1
                conditions.append(Condition(second, "<" if below else ">=", cuts[place]))
            found.append(tuple(conditions))
        return Rule(tuple(found))


def train_on(
    log: ActivityLog,
    variables: Sequence[Variable],
    *,
    grids: Mapping[str, Sequence[float]] | None,
    monotone: Mapping[str, str] | None,
    missing: Mapping[str, float] | None,
    until: date | str | None,
    blocks: int,
) -> Training:
    """Count the gaps of a log and set up the families of rules.

    Raises
    ------
    InputError
        If nobody churned, a variable has no variation, or an argument is not understood.
    """
    log = log if until is None else log.as_of(until)
    if log.rule.idle_days < 3:
        raise InputError(f"A warning needs days between activity and churn; the rule has {log.rule.idle_days}.")
    chosen = _chosen(log, variables)
    own = [each for each in chosen if isinstance(each, Feature)]
    names = [each if isinstance(each, str) else each.name for each in chosen]
    given = _for_variables(grids, names, "grids")
    cuts = {
        name: given.get(name) or GRIDS.get(name) or _deciles(log, each)
        for name, each in zip(names, chosen, strict=True)
    }
    filled = _filled(missing, names)
    counts = gap_counts(log, grids=cuts, features=own, blocks=blocks, paths=True)
    cells = {name: _cells(counts.cells[name], cuts[name], filled.get(name)) for name in names}
    along = {name: _cells(counts.paths[name], cuts[name], filled.get(name)) for name in names}
    path = _still_moving(counts.path, along)
    _check(counts, cells, along if (path >= 0).any() else {})
    orders = _orders(monotone, names)
    pairs = _pairs(len(names))
    n = np.asarray(counts.n, dtype=np.float64)
    churned = counts.duration > counts.idle_days
    return Training(
        counts=counts,
        cells=cells,
        missing=filled,
        variables=chosen,
        pairs=pairs,
        families=tuple(_family(counts, names, pair, orders) for pair in pairs),
        gaps=np.bincount(counts.block, n, counts.n_blocks).astype(np.float64),
        churned=np.bincount(counts.block, n * churned, counts.n_blocks).astype(np.float64),
        path=path,
        paths=along,
    )


def _still_moving(path: Ints, along: Mapping[str, Ints]) -> Ints:
    """The paths, -1 where what stands in for missing values leaves nothing that moves."""
    if not (path >= 0).any():
        return path
    moves = np.any([(cells != cells[:, :1]).any(axis=1) for cells in along.values()], axis=0)
    return np.where((path >= 0) & moves[path], path, -1)


def _pairs(n: int) -> tuple[tuple[int | None, int | None], ...]:
    if n < 2:
        return ((0 if n else None, None),)
    return tuple(itertools.permutations(range(n), 2))


def _family(
    counts: GapCounts, names: Sequence[str], pair: tuple[int | None, int | None], orders: Mapping[str, str]
) -> RuleFamily:
    used = [None if each is None else names[each] for each in pair]
    sizes = [0 if name is None else len(counts.grids[name]) for name in used]
    wanted = [None if name is None else orders.get(name) for name in used]
    return RuleFamily(sizes[0], sizes[1], counts.idle_days - 1, wanted[0], wanted[1])


# ------------------------------------------------------------------------------------------------------- arguments


def _chosen(log: ActivityLog, variables: Sequence[Variable]) -> tuple[Variable, ...]:
    """Names of the log's own features become these features."""
    if isinstance(variables, (str, Feature)) or not isinstance(variables, Sequence):
        raise InputError(f"variables is a list of names and ch.Feature, such as ['balance']; it is {variables!r}.")
    own = {each.name: each for each in resolve(log.features) if isinstance(each, Feature)}
    found = tuple(own.get(each, each) if isinstance(each, str) else each for each in variables)
    names = [each if isinstance(each, str) else each.name for each in found]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"variables: {twice[0]!r} is there twice.")
    if IDLE_DAYS in names:
        raise InputError("variables: idle_days is in every rule; name what else rules may look at.")
    return found


def _for_variables(given: Mapping[str, Any] | None, names: Sequence[str], what: str) -> Mapping[str, Any]:
    for name in given or {}:
        if name not in names:
            raise InputError(f"{what}: {name!r} is not among the variables.{did_you_mean(str(name), names)}")
    return given or {}


def _filled(missing: Mapping[str, float] | None, names: Sequence[str]) -> Mapping[str, float]:
    found = _for_variables(missing, names, "missing")
    for name, value in found.items():
        number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
        if not number or not np.isfinite(value):
            raise InputError(
                f"missing[{name!r}] is the number that stands in for no value, such as 0; it is {value!r}."
            )
    return {name: float(value) for name, value in found.items()}


def _cells(cells: Ints, cuts: Sequence[float], stands_in: float | None) -> Ints:
    """The cells of a variable, a missing value in that of the number that stands in for it."""
    if stands_in is None:
        return cells
    found: Ints = np.where(cells > len(cuts), np.searchsorted(cuts, stands_in, side="right"), cells)
    return found


def _orders(monotone: Mapping[str, str] | None, names: Sequence[str]) -> Mapping[str, str]:
    orders = _for_variables(monotone, names, "monotone")
    for name, order in orders.items():
        if order not in _ORDERS:
            raise InputError(
                f"monotone[{name!r}] is 'decreasing' (users with less of it are warned no later) or 'increasing'; "
                f"it is {order!r}."
            )
    return orders


def _check(counts: GapCounts, cells: Mapping[str, Ints], along: Mapping[str, Ints]) -> None:
    total = int(counts.n.sum())
    if not int(counts.n[counts.duration > counts.idle_days].sum()):
        raise InputError(
            f"Nobody churned: each of the {total:,} gaps that began from {counts.first_start} to {counts.last_start} "
            f"ended with a return within {counts.idle_days} days. There is nothing to warn of under this rule; take a "
            "longer log, or a rule of fewer idle days."
        )
    for name, cell in cells.items():
        every = np.concatenate([cell, along[name].ravel()]) if along else cell
        known = every[every <= len(counts.grids[name])]
        if known.size == 0 or known.min() == known.max():
            cuts = ", ".join(f"{cut:,.12g}" for cut in counts.grids[name])
            raise InputError(
                f"variables: {name!r} has no variation: all gaps lie between the same two of its thresholds ({cuts}), "
                "or have no value. Leave it out, or pass other thresholds as grids=."
            )


def _deciles(log: ActivityLog, variable: Variable) -> tuple[float, ...]:
    """Deciles over gaps, rounded to two digits: thresholds of a variable that has no grid of its own."""
    name = variable if isinstance(variable, str) else variable.name
    feature = isinstance(variable, Feature) or name in BUILT_IN or name in SPECIAL
    gaps = log.relation("gaps", features=[variable] if feature else [])
    if name not in gaps.columns:
        raise InputError(f"variables: there is no {name!r}.{did_you_mean(name, [*BUILT_IN, *SPECIAL, *gaps.columns])}")
    if gaps.columns[name] in {"VARCHAR", "BOOLEAN", "DATE"} or gaps.columns[name].startswith("TIMESTAMP"):
        raise InputError(f"variables: {name!r} is no number ({gaps.columns[name]}); rules compare numbers.")
    quoted = '"' + name.replace('"', '""') + '"'
    value = _TWO_DIGITS.format(v=f"CAST({quoted} AS DOUBLE)")
    found = gaps.arrow(
        f"SELECT value, count(*) AS n FROM (SELECT {value} AS value FROM {gaps.name} WHERE {quoted} IS NOT NULL) AS v"
        " GROUP BY value ORDER BY value"
    )
    values, n = found["value"].to_numpy().astype(np.float64), found["n"].to_numpy().astype(np.int64)
    if values.size < 2:
        raise InputError(f"variables: {name!r} has no variation: it is the same for all gaps. Leave it out.")
    below = np.searchsorted(np.cumsum(n), np.arange(1, 10) / 10 * n.sum())
    cuts = np.unique([float(f"{each:.2g}") for each in values[below]])
    # a cut at or below the least value would split nothing off
    cuts = cuts[cuts > values[0]]
    return tuple(float(cut) for cut in (cuts if cuts.size else values[1:2]))
