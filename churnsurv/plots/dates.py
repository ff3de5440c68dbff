"""Calendar days along an axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from churnsurv.plots.style import inner_size
from churnsurv.plots.text import drawn, families

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["date_axis", "date_numbers", "date_text"]

_STEPS = (1, 2, 3, 4, 6, 12, 24, 60, 120, 240)  # months from one that is written to the next


def date_numbers(dates: Any) -> NDArray[np.float64]:
    """Days as matplotlib counts them: from 1970-01-01.

    Examples
    --------
    >>> date_numbers(np.array(["1970-01-03"], dtype="datetime64[s]")).tolist()
    [2.0]
    """
    numbers: NDArray[np.float64] = np.asarray(dates, dtype="datetime64[D]").astype(np.float64)
    return numbers


def date_text(day: float) -> str:
    """A day as it is written in every language.

    Examples
    --------
    >>> date_text(2.0)
    '1970-01-03'
    """
    return str(np.datetime64(int(day), "D"))


def date_axis(ax: Axes, first: float, last: float, months: str) -> None:
    """Write days from the first to the last: months or years where there is room for few, else days.

    `months` are the names of the months with blanks between them; January is written as its year.
    """
    ticks = _ticks(first, last, max(3, min(9, int(inner_size(ax)[0] / 60))))
    days = ticks.astype("datetime64[D]")
    of_month = days.astype("datetime64[M]")
    if (days == of_month).all():
        names = months.split()
        labels = [names[int(str(each)[5:7]) - 1] if str(each)[5:7] != "01" else str(each)[:4] for each in of_month]
    else:
        labels = [str(day)[5:] for day in days]  # month and day
    ax.set_xticks(ticks, labels=[drawn(label) for label in labels], family=families(labels))


def _ticks(first: float, last: float, most: int) -> NDArray[np.float64]:
    """Days to write on the axis, at most so many: first days of months or years, or days of a short span."""
    n_days = last - first + 1
    if n_days < 28 * min(most, 4):
        return np.arange(first, last + 1, int(np.ceil(n_days / most)))
    start, end = (np.datetime64(int(day), "D") for day in (first, last))
    months = np.arange(start.astype("datetime64[M]"), end.astype("datetime64[M]") + 1)
    months = months[months.astype("datetime64[D]") >= start]
    number = months.astype(np.int64)  # since January 1970
    chosen = next((number % step == 0 for step in _STEPS if (number % step == 0).sum() <= most), number % 1200 == 0)
    ticks: NDArray[np.float64] = months[chosen].astype("datetime64[D]").astype(np.float64)
    return ticks
