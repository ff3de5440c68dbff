"""Figures of a report: drawn as SVG in two widths, and written as CSV that a spreadsheet can't mistake for formulas."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from churnsurv.errors import InputError
from churnsurv.plots.curves import survival_curves, survival_curves_frame
from churnsurv.plots.document import svg, themed
from churnsurv.plots.ratios import forest, forest_frame
from churnsurv.plots.style import Frame
from churnsurv.plots.sweep import rule_sweep, rule_sweep_frame
from churnsurv.report.model import Figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["Drawing", "drawings", "figure_csv", "inline", "on_paper"]

# Points of the drawings; a page shows them about a third larger, so that their text has the size of its notes.
WIDE = 640.0
NARROW = 290.0
_SMALL = 320.0


@dataclass(frozen=True, slots=True)
class Drawing:
    """One drawing of a figure: its name, what it says, and SVG documents for a desk and for a phone.

    `narrow` is None where one drawing serves both.
    """

    name: str
    alt: str
    wide: str
    narrow: str | None


def drawings(figure: Figure) -> list[Drawing]:
    """Draw a figure: one drawing, or one for each quantity of a sweep over rules.

    Raises
    ------
    InputError
        If the figure is of a kind that nobody draws.
    """
    if figure.kind == "rule_sweep":
        return [
            Drawing(f"{figure.name}_{place}", each["alt"], _drawn(figure, _SMALL, each["quantity"]), None)
            for place, each in enumerate(figure.options["panels"], 1)
        ]
    return [Drawing(figure.name, figure.alt, _drawn(figure, WIDE), _drawn(figure, NARROW))]


def inline(drawing: Drawing) -> tuple[str, str | None]:
    """Return the drawing as SVG for the inside of a page: for a desk, and for a phone where that differs."""
    wide = themed(drawing.wide, prefix=f"{drawing.name}-w", label=drawing.alt)
    if drawing.narrow is None:
        return wide, None
    return wide, themed(drawing.narrow, prefix=f"{drawing.name}-n", label=drawing.alt)


def on_paper(drawing: Drawing) -> str:
    """Return the drawing as a file of its own, on white paper."""
    document = drawing.wide
    start = document.index(">") + 1
    return f'{document[:start]}<rect width="100%" height="100%" fill="#ffffff"/>{document[start:]}\n'


def _drawn(figure: Figure, width: float, quantity: str | None = None) -> str:
    frame, draw = _plot(figure, width, quantity)
    return svg(frame, draw)


def _plot(figure: Figure, width: float, quantity: str | None) -> tuple[Frame, Callable[[Axes], Any]]:
    table = _table(figure.data)
    options: Mapping[str, Any] = figure.options
    words = options.get("words")
    if figure.kind == "survival_curves":
        horizon, level = options.get("horizon"), options["level"]
        frame = survival_curves_frame(table, width, horizon=horizon)
        return frame, lambda ax: survival_curves(table, ax, level=level, horizon=horizon, words=words)
    if figure.kind == "forest":
        table = table.head(options["rows"])
        return forest_frame(table, width), lambda ax: forest(table, ax, level=options["level"], words=words)
    if figure.kind == "rule_sweep":
        frame = rule_sweep_frame(table, width, quantity=quantity)
        chosen = options.get("chosen")
        return frame, lambda ax: rule_sweep(table, ax, quantity=quantity, chosen=chosen, words=words)
    raise InputError(f"There is no figure of the kind {figure.kind!r}: survival_curves, forest or rule_sweep.")


def _table(data: Mapping[str, list[Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({name: pd.Series(values, dtype=_dtype(values)) for name, values in data.items()})


def _dtype(values: list[Any]) -> str:
    """Plain values lost the type of an all-null column: numbers are floats, everything else is an object."""
    numbers = all(v is None or (isinstance(v, (int, float)) and not isinstance(v, bool)) for v in values)
    return "float64" if numbers and any(v is not None for v in values) else "object"


def figure_csv(figure: Figure) -> str:
    """Return the data of a figure as CSV (UTF-8, header row, empty where null).

    Text that a spreadsheet would take for a formula gets a leading apostrophe; numbers stay as they are.

    Examples
    --------
    >>> figure = Figure("f", "forest", "", "", "", {"group": ["=1+1", "a"], "x": [-0.5, None]})
    >>> figure_csv(figure).splitlines()
    ['group,x', "'=1+1,-0.5", 'a,']
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([_cell(name) for name in figure.data])
    writer.writerows([_cell(value) for value in row] for row in zip(*figure.data.values(), strict=True))
    return buffer.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        text = value.replace("\0", "\ufffd").replace("\r\n", "\n").replace("\r", "\n")  # a bare CR would end the row
        formula = text.lstrip()[:1] in {"=", "+", "-", "@"} or text[:1] in {"\t", "\n"}
        return f"'{text}" if formula else text
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.9g}" if isinstance(value, float) else str(value)
