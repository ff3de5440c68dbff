"""Paths of a drawing made short: what a screen doesn't show is left out, and numbers are written as steps.

A screen shows a point of a figure as one or two pixels. Places are kept to a tenth of a point. Where a line has many
corners within half a point across, its first, lowest, highest and last one are kept, which paint the same pixels
(Jugel et al. 2014, M4: a visualization-oriented time series data aggregation). Corners on a straight line are dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["shortened"]

Places = NDArray[np.int64]  # (n, 2) corners in tenths of a point

_TENTHS = 10
_COLUMN = 5  # tenths of a point in which four corners of a line are enough
_COMMANDS = re.compile(r"([MLz])\s*(?:(-?[\d.]+(?:e-?\d+)?)[\s,]+(-?[\d.]+(?:e-?\d+)?))?\s*", re.IGNORECASE)


def shortened(path: str) -> str:
    """Return the data of an SVG path that looks the same; one with curves or relative steps comes back as it is.

    Examples
    --------
    >>> shortened("M 10.004 20 L 10.5 20 L 11 20 L 11 18.24 z")
    'M10 20h1v-1.8z'
    """
    found = list(_COMMANDS.finditer(path))
    if sum(each.end() - each.start() for each in found) != len(path) or not found or found[0][1] != "M":
        return path
    return "".join(_written(corners, closed) for corners, closed in _parts(found))


def _parts(found: Sequence[re.Match[str]]) -> Iterator[tuple[Places, bool]]:
    """The corners of each part of the path, and whether it is closed."""
    corners: list[tuple[float, float]] = []
    for each in found:
        if each[1] in "zZ":
            yield _tenths(corners), True
            corners = corners[:1]
            continue
        if each[1] == "M" and corners:
            if len(corners) > 1:
                yield _tenths(corners), False
            corners = []
        corners.append((float(each[2]), float(each[3])))
    if len(corners) > 1:
        yield _tenths(corners), False


def _tenths(corners: Sequence[tuple[float, float]]) -> Places:
    tenths: Places = np.rint(np.asarray(corners) * _TENTHS).astype(np.int64)
    return tenths


def _written(corners: Places, closed: bool) -> str:
    kept = _straight(_thinned(corners))
    text = [f"M{_number(kept[0, 0])} {_number(kept[0, 1])}"]
    for across, down in np.diff(kept, axis=0).tolist():
        if across and down:
            second = _number(down)
            text.append(f"l{_number(across)}{second if second[0] == '-' else ' ' + second}")
        elif across or down:
            text.append(f"h{_number(across)}" if across else f"v{_number(down)}")
    return "".join(text) + ("z" if closed else "")


def _number(tenths: int) -> str:
    whole, part = divmod(abs(int(tenths)), _TENTHS)
    sign = "-" if tenths < 0 else ""
    return f"{sign}{whole or '' if part else whole}{f'.{part}' if part else ''}"


def _thinned(corners: Places) -> Places:
    """Of the corners that follow each other within one column: the first, the lowest, the highest and the last."""
    column = corners[:, 0] // _COLUMN
    starts = np.flatnonzero(np.append(True, np.diff(column) != 0))
    ends = np.append(starts[1:], len(corners))
    if len(corners) <= 4 * len(starts) and (ends - starts).max() <= 4:
        return corners
    kept = np.zeros(len(corners), dtype=np.bool_)
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        down = corners[start:end, 1]
        kept[[start, end - 1, start + int(down.argmin()), start + int(down.argmax())]] = True
    return corners[kept]


def _straight(corners: Places) -> Places:
    """The corners without those that stand on a straight way on from the one before to the one after."""
    while True:
        steps = np.diff(corners, axis=0)
        moved = np.append(True, np.any(steps != 0, axis=1))
        if not moved.all():
            corners = corners[moved]
            continue
        turn = steps[:-1, 0] * steps[1:, 1] - steps[:-1, 1] * steps[1:, 0]
        onward = (steps[:-1] * steps[1:]).sum(axis=1) > 0
        straight = (turn == 0) & onward
        if not straight.any():
            return corners
        corners = corners[np.concatenate([[True], ~straight, [True]])]
