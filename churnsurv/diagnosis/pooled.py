"""Small groups put together, so that nothing is said of a handful of users, and that this was done is said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from churnsurv.diagnosis.naming import called, listed, quoted
from churnsurv.notes import note
from churnsurv.survival.factors import joined
from churnsurv.survival.frames import counted

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["OTHER", "Pooled", "pooled"]

#: What the small groups together are called.
OTHER = "other"


@dataclass(frozen=True, slots=True, eq=False)
class Pooled:
    """A column with its small groups pooled.

    Attributes
    ----------
    column : Series
        Categories in order, "other" last; missing values are the group "(missing)".
    note : str or None
        Which groups were pooled.
    """

    column: pd.Series[Any]
    note: str | None


def pooled(column: pd.Series[Any], min_users: int) -> Pooled:
    """Pool the groups of fewer than `min_users` rows as "other".

    Parameters
    ----------
    column : Series
        One row a user.
    min_users : int

    Raises
    ------
    InputError
        If two values would carry the same label.

    Examples
    --------
    >>> import pandas as pd
    >>> found = pooled(pd.Series(["paid", "paid", "tv", None], name="channel"), 2)
    >>> found.column.tolist()
    ['paid', 'paid', 'other', 'other']
    >>> found.note
    "channel: 'tv' (1 user), '(missing)' (1 user) have fewer than 2 users each and are pooled as 'other'."
    """
    import pandas as pd

    frame = column.to_frame().reset_index(drop=True)
    groups = joined(frame, [str(column.name)])
    codes = np.zeros(len(frame), np.int64) if groups.codes is None else groups.codes.astype(np.int64)
    sizes = np.bincount(codes, minlength=len(groups.labels))
    small = [label for label, size in zip(groups.labels, sizes, strict=True) if size < min_users]
    kept = [label for label in groups.labels if label not in small and label != OTHER]
    levels = [*kept, OTHER] if small or OTHER in groups.labels else kept
    place = np.array([levels.index(label if label in kept else OTHER) for label in groups.labels], np.int64)
    kinds = pd.CategoricalDtype(levels)
    values = pd.Series(pd.Categorical.from_codes(place[codes], dtype=kinds), index=column.index, name=column.name)
    return Pooled(values, _note(str(column.name), small, dict(zip(groups.labels, sizes, strict=True)), min_users))


def _note(name: str, small: list[str], sizes: dict[str, np.int64], min_users: int) -> str | None:
    if not small or small == [OTHER]:
        return None
    said: dict[str, object] = {
        "name": called(name),
        "groups": listed(
            [note("{group} ({users})", group=quoted(each), users=counted(int(sizes[each]), "user")) for each in small]
        ),
        "least": min_users,
        "other": quoted(OTHER),
    }
    beside = OTHER in sizes and OTHER not in small
    if len(small) == 1:
        return note(
            "{name}: {groups} has fewer than {least} users and is pooled as {other}, together with those already "
            "called {other}."
            if beside
            else "{name}: {groups} has fewer than {least} users and is pooled as {other}.",
            **said,
        )
    return note(
        "{name}: {groups} have fewer than {least} users each and are pooled as {other}, together with those already "
        "called {other}."
        if beside
        else "{name}: {groups} have fewer than {least} users each and are pooled as {other}.",
        **said,
    )
