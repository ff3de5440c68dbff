"""What is known of the incidence of a cause where the causes of some churns are unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError
from churnsurv.numerics import competing as numerics
from churnsurv.numerics.incidence_variance import jackknife_variance
from churnsurv.numerics.reasons import missing_at_random
from churnsurv.survival.cause_codes import UNKNOWN, cause_named
from churnsurv.survival.competing import CumulativeIncidence

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["bounds"]

Floats: TypeAlias = NDArray[np.float64]


def bounds(curves: CumulativeIncidence, cause: object, days: NDArray[Any] | None) -> pd.DataFrame:
    """Return bounds of one cause and its estimate if causes are missing at random; see `CumulativeIncidence.bounds`."""
    import pandas as pd

    known = tuple(name for name in curves.causes if name != UNKNOWN)
    if str(cause) == UNKNOWN:
        raise InputError(f"cause: {UNKNOWN!r} is what the bounds are about. Ask for one of {', '.join(known)}.")
    k = list(curves.causes).index(known[cause_named(cause, known)])
    parts = []
    for g, group in enumerate(curves.groups):
        time = curves._counts[g].time
        own = np.union1d(np.zeros(1, time.dtype), time) if days is None else days
        columns = _group(curves, g, k)
        at = np.searchsorted(time, own, side="right")
        part = pd.DataFrame(
            {
                "group": np.full(own.size, group, dtype=object),
                "cause": np.full(own.size, curves.causes[k], dtype=object),
                "time": own,
                **{name: np.append(0.0, values)[at] for name, values in columns.items()},
            }
        )
        for name in curves._by.columns:
            part[name] = [curves._by[name].iloc[g]] * own.size
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _group(curves: CumulativeIncidence, g: int, k: int) -> dict[str, Floats]:
    counts, one = curves._counts[g], curves._curves[g]
    lowest, error = one.incidence[k], curves._errors[g][k]
    highest, high_error, at_random, its_error = lowest, error, lowest, error
    if UNKNOWN in curves.causes:
        unknown, rows = curves.causes.index(UNKNOWN), curves._rows[g]
        both = np.zeros((1, len(curves.causes), 1))
        both[0, [k, unknown]] = 1.0
        together = numerics.aalen_johansen(counts, counts.events[[k, unknown]].sum(axis=0, keepdims=True))
        highest = together.incidence[0]
        high_error = np.sqrt(jackknife_variance(counts, together, rows, both)[0])
        found = missing_at_random(counts, rows, cause=k, unknown=unknown)
        at_random, its_error = found.incidence, np.sqrt(found.variance)

    def limits(incidence: Floats, std_error: Floats) -> tuple[Floats, Floats]:
        return numerics.incidence_limits(incidence, std_error, level=curves.level, ci=curves.ci)

    mar_lower, mar_upper = limits(at_random, its_error)
    return {
        "lowest": lowest,
        "missing_at_random": at_random,
        "highest": highest,
        "std_error": its_error,
        "mar_lower": mar_lower,
        "mar_upper": mar_upper,
        "lower": limits(lowest, error)[0],
        "upper": limits(highest, high_error)[1],
    }
