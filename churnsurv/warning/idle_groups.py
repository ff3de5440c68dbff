"""Gaps by group, as counts by block and day: what the tables of the idle risk are computed from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.feature import Feature
from churnsurv.errors import InputError
from churnsurv.notes import note
from churnsurv.survival.factors import group_columns, joined
from churnsurv.tables.said import said_list, said_name

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data.gap_counts import GapCounts

__all__ = ["By", "DayCounts", "Groups", "band_labels", "by_of", "day_counts", "groups_of"]

Ints: TypeAlias = NDArray[np.int64]
#: What the small groups together are called.
OTHER = "other"
_NAMED = 6


@dataclass(frozen=True, slots=True)
class By:
    """What gaps are split by.

    Attributes
    ----------
    names : tuple of str
        In the order asked for.
    grids : Mapping of str to tuple of float
        Cuts of those that are split into bands.
    features : tuple of Feature
        Features of the caller's own among them.
    """

    names: tuple[str, ...] = ()
    grids: Mapping[str, tuple[float, ...]] = ()  # type: ignore[assignment]
    features: tuple[Feature, ...] = ()


def by_of(by: Any) -> By:
    """Read the `by` of a call: a name or feature, a list of them, or a mapping to cuts (None: values as they are).

    Examples
    --------
    >>> by_of({"balance": (100, 1000), "channel": None}).names
    ('balance', 'channel')
    """
    if by is None:
        return By((), {})
    if isinstance(by, (str, Feature)):
        by = [by]
    if not isinstance(by, (Mapping, Sequence)) or not all(isinstance(each, (str, Feature)) for each in by):
        raise InputError(
            f"by names columns or features, such as 'channel' or ['channel', 'stage'], or bands of numbers, such as "
            f"{{'balance': (100, 1000)}}; it is {by!r}."
        )
    cuts = by if isinstance(by, Mapping) else dict.fromkeys(by)
    named = {each if isinstance(each, str) else each.name: cut for each, cut in cuts.items()}
    return By(
        tuple(named),
        {each: cut for each, cut in named.items() if cut is not None},
        tuple(each for each in cuts if isinstance(each, Feature)),
    )


def band_labels(cuts: Sequence[float]) -> list[str]:
    """What the bands between cuts are called; a band holds its lower cut.

    Examples
    --------
    >>> band_labels((100, 1000))
    ['below 100', '100 to below 1,000', '1,000 and above']
    """
    said = [f"{cut:,.12g}" for cut in cuts]
    between = [f"{low} to below {high}" for low, high in pairwise(said)]
    return [f"below {said[0]}", *between, f"{said[-1]} and above"]


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """The group of each count.

    Attributes
    ----------
    codes : (n_rows,) int64
    labels : tuple of str
    beside : DataFrame
        One row a group, one column for each name.
    note : str or None
        Which small groups were pooled.
    """

    codes: Ints
    labels: tuple[str, ...]
    beside: pd.DataFrame
    note: str | None


def groups_of(counts: GapCounts, names: Sequence[str], *, least: int) -> Groups:
    """Group counts by the values and bands of some variables; groups of fewer than `least` gaps are pooled."""
    import pandas as pd

    frame = counts.groups
    for name, cuts in counts.grids.items():
        cells = counts.cells[name]
        bands = pd.Categorical.from_codes(
            np.where(cells > len(cuts), -1, cells), dtype=pd.CategoricalDtype(band_labels(cuts))
        )
        frame = frame.assign(**{name: bands})
    found = joined(frame, list(names))
    values = found.values  # noqa: PD011 - of the groups
    values = group_columns(values, "idle_risk") if names else values
    codes = np.zeros(counts.n.size, np.int64) if found.codes is None else found.codes.astype(np.int64)
    sizes = np.bincount(codes, counts.n, minlength=len(found.labels)).astype(np.int64)
    small = sizes < least
    if not names or not small.any() or len(found.labels) == 1:
        return Groups(codes, found.labels, values, None)
    pooled = small | (np.array(found.labels, dtype=object) == OTHER)
    kept = np.flatnonzero(~pooled)
    place = np.full(len(found.labels), kept.size)
    place[kept] = np.arange(kept.size)
    others = pd.DataFrame({column: [OTHER] for column in values})
    together = pd.concat([values.iloc[kept].astype(object), others], ignore_index=True)
    return Groups(
        place[codes],
        (*(found.labels[i] for i in kept), OTHER),
        together,
        _pooled([(found.labels[i], int(sizes[i])) for i in np.flatnonzero(small)], least),
    )


def _pooled(small: Sequence[tuple[str, int]], least: int) -> str:
    named = said_list(note("{group} ({n})", group=said_name(label), n=f"{n:,}") for label, n in small[:_NAMED])
    if len(small) > _NAMED:
        named = note("{some} and {n} more", some=named, n=len(small) - _NAMED)
    return note("Groups of fewer than {n} gaps are pooled as 'other': {groups}.", n=f"{least:,}", groups=named)


@dataclass(frozen=True, slots=True, eq=False)
class DayCounts:
    """Gaps by part, block and day 1 ... idle_days; both (n_parts, n_blocks, idle_days) int64.

    Attributes
    ----------
    returned
        Gaps that ended by a return on the day.
    at_risk
        Gaps that had not ended before the day, and were followed through it.
    """

    returned: Ints
    at_risk: Ints


def day_counts(counts: GapCounts, part: Ints, n_parts: int) -> DayCounts:
    """Count the gaps of each part by block and day."""
    shape = (n_parts, counts.n_blocks, counts.idle_days + 2)
    place = np.ravel_multi_index((part, counts.block, counts.duration), shape)
    size = int(np.prod(shape))
    ended = np.bincount(place, counts.n, minlength=size).astype(np.int64).reshape(shape)
    returned = np.bincount(place, np.where(counts.returned, counts.n, 0), minlength=size).astype(np.int64)
    at_risk = np.cumsum(ended[..., ::-1], axis=-1)[..., ::-1]
    return DayCounts(returned.reshape(shape)[..., 1:-1], at_risk[..., 1:-1])
