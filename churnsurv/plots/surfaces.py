"""The risk of churn over idle days and bands of a variable, with the warning rules that were chosen drawn on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError, require_columns
from churnsurv.plots.bands import band_ends, band_said, value_said
from churnsurv.plots.colours import FAINT, INK, MUTED, PAPER, SERIES
from churnsurv.plots.curves import day_ticks
from churnsurv.plots.marks import mark
from churnsurv.plots.numbers import at, count, estimate, share
from churnsurv.plots.shades import churn_shade
from churnsurv.plots.style import LINE_GAP, SIZE, Frame, dress, flow, inner_size, new_axes, side_room, swatch, write
from churnsurv.plots.text import drawn, ems, notice, shown
from churnsurv.plots.tier_lanes import Kind, kinds_of, runs
from churnsurv.plots.words import WORDS, chosen_words

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["risk_surface", "risk_surface_frame"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ends = tuple[float, float, float]

_OURS = ("group", "registration_gap", "idle_days", "n_gaps", "n_churned", "churn", "std_error", "lower", "upper",
         "return_hazard", "hazard_lower", "hazard_upper")  # fmt: skip
_BAND = 20.0  # points
_NAME = 15.0  # ems of a band before it is shortened
_STEP = 0.1  # neighbouring days whose risk is in the same step are one box
_KEY = (0.05, 0.25, 0.45, 0.65, 0.85)
_CELL, _LINE = "churnsurv-risk", "churnsurv-rule"
_WORDS: Mapping[str, str] = {
    "missing_glyphs": WORDS["missing_glyphs"],
    "title": "Share who churn, by idle days and {variable}",
    "axis": "Idle days",
    "rules": "lines: from here on in the tier or a higher one",
    "some": "dashed: some of the users, by {others}",
    "step": "{low}–{high}%",
    "gaps": "{n} gaps",
}


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """A band of users, and of each idle day the risk, the gaps it is of, and its limits where they are known."""

    label: str
    band: tuple[float | None, float | None] | None
    churn: Floats
    n_gaps: Floats
    limits: Floats  # (idle_days, 2); NaN where cells of the table were taken together

    def short(self, said: Mapping[str, str]) -> str:
        """The label in signs, as there is little room beside the axes; a band holds its lower end."""
        if self.band is None:
            return band_said(said, self.label)
        low, high = (None if end is None else f"{end:,.12g}" for end in self.band)
        return f"< {high}" if low is None else f"≥ {low}" if high is None else f"{low}–{high}"


@dataclass(frozen=True, slots=True, eq=False)
class _Outline:
    """In which cells users are in a tier or a higher one: (n_rows, idle_days) each."""

    name: str
    everybody: Flags
    somebody: Flags


def risk_surface(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    rules: pd.DataFrame | None = None,
    missing: float | None = None,
    words: Mapping[str, str] | None = None,
) -> Axes:
    """Draw P(churn | idle for d days) of each band of a variable as shades, darker where it is higher.

    Parameters
    ----------
    table : DataFrame
        Schema "idle_risk" of one variable in bands: ``ch.idle_risk(log, by={"balance": cuts}).table``.
    ax : Axes, optional
        Where to draw; leave room around it (`risk_surface_frame` says how much). Without it a pyplot figure is made.
    rules : DataFrame, optional
        Schema "tier_bands" of the same variable (``scheme.bands("balance")``): lines around the cells from which on
        users are in a tier or a higher one. Their thresholds must be among the cuts of the table.
    missing : float, optional
        What stands in for a missing value, ``scheme.missing.get("balance")``: without it no line is drawn for users
        without a value.
    words : mapping, optional
        Words to replace: "title", "axis", "rules", "some", "step"; "value.<text>" for a variable of the table.

    Returns
    -------
    Axes

    Raises
    ------
    SchemaError
        If a column is missing.
    InputError
        If the table has no bands of one variable, or the rules look at another one or at other thresholds.

    Notes
    -----
    Gaps that began at registration and later ones are taken together, each with as many as are still silent on the day,
    as rules take them. Where rules look at further variables too, the line is whole where all users of the cell are in
    the tier, and dashed where some are.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"group": ["below 100", "100 and above"] * 2, "registration_gap": False,
    ...     "idle_days": [0, 0, 1, 1], "n_gaps": 10, "churn": [0.4, 0.1, 0.5, 0.2]})
    >>> table["balance"] = table["group"]
    >>> [tick.get_text() for tick in risk_surface(table, Figure().add_subplot()).get_yticklabels()]
    ['< 100', '≥ 100']
    """
    said = chosen_words(words, _WORDS)
    variable, rows = _rows(table)
    outlines, others = _outlines(rules, rows, variable, missing)
    if ax is None:
        ax = new_axes(risk_surface_frame(table, rules=rules, words=words))
    n_days = rows[0].churn.size
    dress(ax, grid="x")
    ax.grid(visible=False)
    ax.set_xlim(-0.5, n_days - 0.5)
    ax.set_ylim(0, len(rows))
    for place, row in enumerate(rows):
        _cells(ax, row, place)
        _mark(ax, row, place, variable, said)
    for outline in outlines:
        _outline(ax, outline)
    _names(ax, outlines, sum(row.band is None for row in rows))
    _axes(ax, rows, n_days, said)
    write(ax, said["axis"], at=(1, 0), shift=(0, -26), ha="right", color=MUTED)
    notes = _notes(outlines, others, said)
    _heading(ax, notes, said["title"].format(variable=shown(value_said(said, variable), 24)), said)
    notice(ax, [value_said(said, variable), *(row.label for row in rows), *(each.name for each in outlines)], said)
    return ax


def risk_surface_frame(
    table: pd.DataFrame,
    width: float = 640.0,
    *,
    rules: pd.DataFrame | None = None,
    words: Mapping[str, str] | None = None,
) -> Frame:
    """Return the size of a figure of this width (in points) in which `risk_surface` has its room.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"group": ["below 1", "1 and above"], "registration_gap": False, "idle_days": 0,
    ...     "n_gaps": 1, "churn": 0.5, "balance": ["below 1", "1 and above"]})
    >>> risk_surface_frame(table, 350).width
    350
    """
    said = chosen_words(words, _WORDS)
    _, rows = _rows(table)
    left = max(ems(shown(row.short(said), _NAME)) for row in rows) * SIZE + 14
    notes = 0 if rules is None else 2
    key_rows = 1 + max(row for row, _ in flow(_key_texts(said), width - 20.0))
    top = 22.0 + LINE_GAP * (notes + key_rows)
    return Frame(width, max(_BAND * len(rows), 90.0) + top + 36.0, left, 14.0, top, 36.0)


# -------------------------------------------------------------------------------------------------- from the table


def _rows(table: pd.DataFrame) -> tuple[str, list[_Row]]:
    """The variable, and its bands from the lowest up, those without an order below them."""
    require_columns("idle_risk", ("group", "registration_gap", "idle_days", "n_gaps", "churn"), table.columns)
    by = [str(name) for name in table.columns if name not in _OURS]
    if len(by) != 1 or table.empty:
        raise InputError(
            f"A surface is of one variable in bands, such as ch.idle_risk(log, by={{'balance': (100, 1000)}}).table; "
            f"this table is by {', '.join(by) or 'nothing'}{'' if len(table) else ' and has no rows'}."
        )
    n_days = int(table["idle_days"].max()) + 1
    rows = []
    for label, mine in table.groupby(table["group"].astype(str), sort=False):
        day = mine["idle_days"].to_numpy(np.int64)
        n, churn = (mine[name].to_numpy(np.float64, na_value=np.nan) for name in ("n_gaps", "churn"))
        n = np.where(np.isnan(churn), 0.0, n)
        total = np.bincount(day, n, minlength=n_days)
        with np.errstate(invalid="ignore", divide="ignore"):
            risk = np.bincount(day, n * np.nan_to_num(churn), minlength=n_days) / total
        rows.append(
            _Row(str(label), band_ends(str(label)), risk, total.astype(np.float64), _limits(mine, day, n > 0, n_days))
        )
    if not any(row.band for row in rows):
        raise InputError(f"{by[0]!r} has no bands of numbers: {', '.join(row.label for row in rows[:4])}.")
    known = [row for row in rows if row.band is not None]
    unknown = [row for row in rows if row.band is None]
    return by[0], [*unknown, *sorted(known, key=lambda row: -np.inf if row.band[0] is None else row.band[0])]  # type: ignore[index]


def _limits(rows: pd.DataFrame, day: NDArray[np.int64], known: Flags, n_days: int) -> Floats:
    """The limits of each day: those of the table, where the risk is of one of its rows."""
    limits = np.full((n_days, 2), np.nan)
    if {"lower", "upper"} <= set(rows.columns):
        alone = known & (np.bincount(day, known, minlength=n_days)[day] == 1)
        limits[day[alone]] = rows[["lower", "upper"]].to_numpy(np.float64, na_value=np.nan)[alone]
    return limits


def _outlines(
    rules: pd.DataFrame | None, rows: Sequence[_Row], variable: str, missing: float | None
) -> tuple[list[_Outline], list[str]]:
    """Where users are in each tier or a higher one, and the further variables that rules look at."""
    if rules is None:
        return [], []
    names, kinds = kinds_of(rules, rows[0].churn.size)
    looked = {str(each) for each in rules["variable"].dropna()}
    if looked - {variable}:
        raise InputError(
            f"The rules stand in bands of {', '.join(sorted(looked))}, the risk in bands of {variable}. Pass "
            f"scheme.bands({variable!r})."
        )
    _check_edges(kinds, rows, variable)
    empty = np.zeros((len(rows), rows[0].churn.size), dtype=np.bool_)
    found = []
    for place, name in enumerate(names):
        everybody, somebody = empty.copy(), empty.copy()
        for spot, row in enumerate(rows):
            mine = np.array([(kind.tier >= 0) & (kind.tier <= place) for kind in _kinds_at(kinds, row, missing)])
            if mine.size:
                everybody[spot], somebody[spot] = mine.all(axis=0), mine.any(axis=0)
        if somebody.any() and any(place in kind.tier for kind in kinds):
            found.append(_Outline(name, everybody, somebody))
    others = sorted({str(part).split(" ")[0] for kind in kinds if kind.others for part in kind.others.split(", ")})
    dashed = any((each.somebody & ~each.everybody).any() for each in found)
    return found, others if dashed else []


def _check_edges(kinds: Sequence[Kind], rows: Sequence[_Row], variable: str) -> None:
    """Each threshold must be an end of a band."""
    there = {end for row in rows if row.band is not None for end in row.band if end is not None}
    # Below the lowest band and above the highest there may be nobody, or too few to stand alone.
    pooled = any(row.label == "other" for row in rows)
    lost = sorted({float(end) for kind in kinds for end in kind.band if end is not None and float(end) not in there})
    used = [end for end in lost if _matters(kinds, end)]
    if used and not pooled:
        raise InputError(
            f"The rules split {variable} at {', '.join(f'{end:,.12g}' for end in used)}, where the table has no "
            f"cut. Ask for the risk with all of them: by={{{variable!r}: scheme.grids[{variable!r}]}}."
        )


def _matters(kinds: Sequence[Kind], end: float) -> bool:
    """Whether tiers differ on the two sides of an end."""
    below = {kind.others: kind.tier for kind in kinds if kind.band[1] == end}
    above = {kind.others: kind.tier for kind in kinds if kind.band[0] == end}
    return any(not np.array_equal(below[who], above[who]) for who in below.keys() & above.keys())


def _kinds_at(kinds: Sequence[Kind], row: _Row, missing: float | None) -> list[Kind]:
    """The users of the rules that are those of a row."""
    if row.band is None:
        if row.label != "(missing)" or missing is None:
            return []
        value = missing
    else:
        low, high = row.band
        value = low if low is not None else float(high or 0.0) - max(1.0, abs(float(high or 0.0)))
    return [
        kind
        for kind in kinds
        if (kind.band[0] is None or kind.band[0] <= value) and (kind.band[1] is None or value < kind.band[1])
    ]


# --------------------------------------------------------------------------------------------------------- drawing


def _cells(ax: Axes, row: _Row, place: int) -> None:
    """One band: days with about the same risk are one box, of the mean risk."""
    from matplotlib.patches import Rectangle

    step = np.floor(np.nan_to_num(row.churn, nan=-1.0) / _STEP + 1e-9)
    for value in np.unique(step):
        for first, last in runs(step == value):
            mean = float(np.mean(row.churn[first : last + 1]))
            box = (first - 0.5, place + 0.02), last - first + 1, 0.96
            ax.add_patch(Rectangle(*box, facecolor=PAPER, linewidth=0, zorder=1.5))
            if np.isnan(mean):
                ax.add_patch(Rectangle(*box, fill=False, edgecolor=FAINT, linewidth=0.8, zorder=1.5))
                continue
            shade = Rectangle(*box, facecolor=SERIES[0], alpha=churn_shade(mean), linewidth=0, zorder=1.5)
            shade.set_gid(f"{_CELL}-{place}-{first}")
            ax.add_patch(shade)


def _mark(ax: Axes, row: _Row, place: int, variable: str, said: Mapping[str, str]) -> None:
    def say(day: int) -> str:
        risk = estimate(said, share, float(row.churn[day]), *row.limits[day])
        return at(said, said["mark.idle_day"].format(day=day), risk, said["gaps"].format(n=count(row.n_gaps[day])))

    days = np.where(np.isnan(row.churn), np.nan, np.arange(row.churn.size))
    mark(ax, f"{value_said(said, variable)} {band_said(said, row.label)}", days, place + 0.5, say)


def _outline(ax: Axes, outline: _Outline) -> None:
    for held, style, thick in (
        (outline.somebody & ~outline.everybody, (0, (2.5, 2)), 1.2),
        (outline.everybody, "-", 1.8),
    ):
        x, y = (np.array(ends, dtype=np.float64).ravel() for ends in _edges(held, outline))
        if not x.size:
            continue
        ax.plot(x, y, color=PAPER, linewidth=thick + 1.6, solid_capstyle="butt", zorder=2)
        line = ax.plot(x, y, color=INK, linewidth=thick, linestyle=style, zorder=2.5)[0]
        line.set_gid(f"{_LINE}-{len(ax.lines)}")


def _edges(held: Flags, outline: _Outline) -> tuple[list[Ends], list[Ends]]:
    """The sides of the cells that are held, where the neighbour is outside of the whole outline or of its firm part.

    Each side is (from, to, NaN), across and up, so that one line draws them all.
    """
    n_rows, n_days = held.shape
    firm = outline.everybody
    whole = firm if (held == firm).all() else outline.somebody
    found: list[tuple[float, float, float, float]] = []
    for row in range(n_rows):
        starts = [d for d in range(n_days) if held[row, d] and (d == 0 or not whole[row, d - 1])]
        ends = [d + 1 for d in range(n_days - 1) if held[row, d] and not whole[row, d + 1]]
        found += [(d - 0.5, row, d - 0.5, row + 1.0) for d in (*starts, *ends)]
        for other, y in ((row - 1, float(row)), (row + 1, row + 1.0)):
            if 0 <= other < n_rows:
                found += [(a - 0.5, y, b + 0.5, y) for a, b in runs(held[row] & ~whole[other])]
    return [(x0, x1, np.nan) for x0, _, x1, _ in found], [(y0, y1, np.nan) for _, y0, _, y1 in found]


def _names(ax: Axes, outlines: Sequence[_Outline], lowest: int) -> None:
    """Write each tier into its outline: into cells that no higher tier has, with room, from the lowest band up."""
    width, height = inner_size(ax)
    if not outlines:
        return
    n_rows, n_days = outlines[0].somebody.shape
    day = width / n_days
    higher = np.zeros((n_rows, n_days), dtype=np.bool_)
    for outline in outlines:
        text = shown(outline.name, 16)
        need = ems(text) * SIZE + 10
        own = outline.somebody & ~higher
        spots = [
            (row >= lowest, outline.everybody[row, a], -row, min((b - a + 1) * day, 4 * need), a)
            for row in range(n_rows)
            for a, b in runs(own[row])
        ]
        higher |= outline.somebody
        fits = [spot for spot in spots if spot[3] >= need]
        if not fits or height / n_rows < LINE_GAP:
            continue
        _, _, row, _, start = max(fits)
        write(ax, text, at=(start - 0.5, 0.5 - row), shift=(5, 0), within="data", weight="bold", zorder=4)


def _axes(ax: Axes, rows: Sequence[_Row], n_days: int, said: Mapping[str, str]) -> None:
    width, _ = inner_size(ax)
    ticks = day_ticks(n_days, 5 if width < 300 else 9, "days")
    ticks = ticks[ticks <= n_days - 1]
    ax.set_xticks(ticks, labels=[f"{tick:,.0f}" for tick in ticks])
    ax.set_yticks(
        [place + 0.5 for place in range(len(rows))], labels=[drawn(shown(row.short(said), _NAME)) for row in rows]
    )


def _key_texts(said: Mapping[str, str]) -> list[str]:
    return [said["step"].format(low=f"{100 * (v - 0.05):.0f}", high=f"{100 * (v + 0.05):.0f}") for v in _KEY]


def _notes(outlines: Sequence[_Outline], others: Sequence[str], said: Mapping[str, str]) -> list[str]:
    """From below."""
    names = said["comma"].join(value_said(said, each) for each in others)
    notes = [said["some"].format(others=shown(names, 40))] if others else []
    return [*notes, *([said["rules"]] if outlines else [])]


def _heading(ax: Axes, notes: Sequence[str], title: str, said: Mapping[str, str]) -> None:
    width, _ = inner_size(ax)
    left = 6.0 - side_room(ax)[0]
    texts = _key_texts(said)
    places = flow(texts, width - left)
    rows = 1 + max(row for row, _ in places)
    for value, text, (row, x) in zip(_KEY, texts, places, strict=True):
        y = 10 + (rows - 1 - row) * LINE_GAP
        swatch(ax, SERIES[0], churn_shade(value), shift=(left + x, y - 4.5))
        write(ax, text, at=(0, 1), shift=(left + x + 19, y))
    y = 10 + rows * LINE_GAP
    for note in notes:
        write(ax, note, at=(0, 1), shift=(left, y), color=MUTED)
        y += LINE_GAP
    write(ax, title, at=(0, 1), shift=(left, y))
