"""Warning tiers on later days: how they did by origin, what the most urgent alerts catch, and the rules over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError, did_you_mean, require_columns
from churnsurv.plots.bands import value_said
from churnsurv.plots.colours import FAINT, INK, MUTED, SERIES
from churnsurv.plots.curves import day_ticks
from churnsurv.plots.marks import mark
from churnsurv.plots.numbers import amount, at, decimal, estimate, share, short
from churnsurv.plots.style import LINE_GAP, SIZE, Frame, dress, flow, inner_size, key, new_axes, write
from churnsurv.plots.text import drawn, notice, shown
from churnsurv.plots.words import WORDS, chosen_words

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = [
    "backtest",
    "backtest_frame",
    "backtest_gains",
    "backtest_gains_frame",
    "backtest_rules",
    "backtest_rules_frame",
]

Floats = NDArray[np.float64]

_NAME = 34.0  # ems of a name before it is shortened
_LEFT, _RIGHT, _HEIGHT = 54.0, 18.0, 220.0
_FITTED, _NOBODY, _EVERYBODY = "fitted", "nobody", "everybody"
_PER_DAY = " alerts a day"
_QUANTITIES = ("value", "precision", "row_precision", "lead_recall")
_WORDS: Mapping[str, str] = {
    "missing_glyphs": WORDS["missing_glyphs"],
    "value": "Net benefit per 1,000 gaps, {level} intervals",
    "precision": "First alerts that were right, {level} intervals",
    "row_precision": "User-days that were right, {level} intervals",
    "lead_recall": "Churn alerted, by lead time, {level} intervals",
    "origin": "Origin; judged on the {days} days after it",
    "any": "any tier",
    "base_rate": "all gaps",
    "gains": "Churn caught by the most urgent first alerts",
    "alerts": "First alerts a day",
    "recall": "caught at all",
    "weighted": "weighted with its lead time",
    "rules": "Idle days after which a tier warns",
    "idle_days": "Idle days",
    "always": "everybody",
    "and": " and ",
    "per_gaps": "{value} per 1,000 gaps",
    "a_day": "{n} alerts a day",
    "caught": "{share} of the churn",
    "policy.everybody": "everybody",
    "policy.per_day": "{n} alerts a day",
}


def backtest(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    quantity: str = "value",
    test_days: int | None = None,
    level: float = 0.95,
    words: Mapping[str, str] | None = None,
) -> Axes:
    """Draw a figure of each tier and policy by origin.

    Parameters
    ----------
    table : DataFrame
        Schema "backtest".
    ax : Axes, optional
        Where to draw; `backtest_frame` says how much room it needs. Without it a pyplot figure is made.
    quantity : {"value", "precision", "row_precision", "lead_recall"}
    test_days : int, optional
        Only written.
    level : float
        The level of the table's intervals; only written.
    words : mapping, optional
        Words to replace.

    Returns
    -------
    Axes

    Raises
    ------
    SchemaError
        If a column is missing.
    InputError
        If there is no such quantity, or no number of it.

    Notes
    -----
    Contacting nobody is worth nothing, the line at 0. Policies whose net benefit is below 0 at every origin would take
    the room of the others, and are left out. Of shares the dashed line is the base rate.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"origin": pd.to_datetime(["2024-01-31", "2024-04-30"]), "policy": "fitted",
    ...     "tier": "high", "base_rate": 0.1, "value": [900.0, 950.0], "value_lower": [800.0, 850.0],
    ...     "value_upper": [1000.0, 1050.0]})
    >>> [text.get_text() for text in backtest(table, Figure().add_subplot()).texts][0]
    'high'
    """
    said = chosen_words(words, _WORDS)
    series = _series(table, quantity, said)
    if ax is None:
        ax = new_axes(backtest_frame(table, quantity=quantity, words=words))
    days = {origin: place for place, origin in enumerate(sorted(table["origin"].dropna().unique()))}
    for place, (name, rows) in enumerate(series.items()):
        shift = 0.28 * (place - (len(series) - 1) / 2) / max(len(series) - 1, 1)
        _points(ax, rows, quantity, days, shift, _colour(series, name))
        _mark(ax, name, rows, quantity, days, shift, said)
    dress(ax)
    ax.set_xlim(-0.5, len(days) - 0.5)
    _origin_ticks(ax, list(days), range(len(days)))
    if quantity == "value":
        ax.axhline(0, color=FAINT, linewidth=1.0, zorder=1.5)
        ax.yaxis.set_major_formatter(lambda value, _: drawn(short(said, value)))
    else:
        rate = table.dropna(subset=["origin"]).groupby("origin")["base_rate"].first()
        if quantity != "lead_recall":
            ax.plot(range(len(rate)), rate, color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)), marker=".", zorder=1.5)
            told = [at(said, _date(day), share(float(each))) for day, each in rate.items()]
            mark(ax, said["base_rate"], np.arange(len(rate)), rate, told)
        _percent(ax)
    if test_days is not None:
        write(ax, said["origin"].format(days=test_days), at=(1, 0), shift=(0, -28), ha="right", color=MUTED)
    _heading(ax, _entries(series, quantity, said), said[quantity].format(level=f"{100 * level:g}%"))
    notice(ax, list(series), said)
    return ax


def backtest_frame(
    table: pd.DataFrame,
    width: float = 640.0,
    *,
    quantity: str = "value",
    words: Mapping[str, str] | None = None,
) -> Frame:
    """Return the size of a figure of this width (in points) in which `backtest` has its room.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"origin": pd.to_datetime(["2024-01-31"]), "policy": "fitted", "tier": "high",
    ...     "base_rate": 0.1, "value": 1.0, "value_lower": 0.5, "value_upper": 1.5})
    >>> backtest_frame(table, 350).width
    350
    """
    said = chosen_words(words, _WORDS)
    series = _series(table, quantity, said)
    return _frame([text for text, _ in _entries(series, quantity, said)], width)


def backtest_gains(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    points: pd.DataFrame | None = None,
    words: Mapping[str, str] | None = None,
) -> Axes:
    """Draw what so many first alerts a day catch, the most urgent first.

    Parameters
    ----------
    table : DataFrame
        Schema "backtest_gains".
    ax : Axes, optional
        Where to draw; `backtest_gains_frame` says how much room it needs. Without it a pyplot figure is made.
    points : DataFrame, optional
        Schema "backtest": the policies, all origins together, as points at their lead-weighted recall.
    words : mapping, optional
        Words to replace.

    Returns
    -------
    Axes

    Raises
    ------
    SchemaError
        If a column is missing.
    InputError
        If the table has no rows.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"alerts_per_day": [0.0, 5.0, 9.0], "recall": [0, 0.6, 1], "lead_recall": [0, 0.5, 0.9]})
    >>> float(backtest_gains(table, Figure().add_subplot()).get_ylim()[1])
    1.04
    """
    said = chosen_words(words, _WORDS)
    require_columns("backtest_gains", ("alerts_per_day", "recall", "lead_recall"), table.columns)
    if not len(table):
        raise InputError("The gains curve has no rows: before the origins there was nothing to rank users by.")
    spots = {} if points is None else _spots(points, said)
    if ax is None:
        ax = new_axes(backtest_gains_frame(table, points=points, words=words))
    for column, colour in (("recall", FAINT), ("lead_recall", INK)):
        ax.plot(table["alerts_per_day"], table[column], color=colour, linewidth=1.8, zorder=2)
        _mark_gains(ax, said["recall" if column == "recall" else "weighted"], table, column, said)
    entries = [(said["recall"], FAINT), (said["weighted"], INK)]
    for place, (name, (x, y)) in enumerate(spots.items()):
        colour = SERIES[place % len(SERIES)]
        ax.plot([x], [y], marker="o", markersize=6, linestyle="none", color=colour, zorder=3)
        entries.append((name, colour))
        mark(ax, name, x, y, [_gain(said, x, y)])
    dress(ax)
    end = float(table["alerts_per_day"].max()) or 1.0
    ax.set_xlim(0, end * 1.02)
    ticks = day_ticks(end, 8, "alerts")
    ax.set_xticks(ticks, labels=[f"{tick:,g}" for tick in ticks])
    ax.set_ylim(0, 1.04)
    _percent(ax)
    write(ax, said["alerts"], at=(1, 0), shift=(0, -28), ha="right", color=MUTED)
    _heading(ax, entries, said["gains"])
    notice(ax, list(spots), said)
    return ax


def backtest_gains_frame(
    table: pd.DataFrame,
    width: float = 640.0,
    *,
    points: pd.DataFrame | None = None,
    words: Mapping[str, str] | None = None,
) -> Frame:
    """Return the size of a figure of this width (in points) in which `backtest_gains` has its room.

    Examples
    --------
    >>> import pandas as pd
    >>> backtest_gains_frame(pd.DataFrame({"recall": [0.0]}), 350).width
    350
    """
    require_columns("backtest_gains", ("recall",), table.columns)
    said = chosen_words(words, _WORDS)
    spots = {} if points is None else _spots(points, said)
    return _frame([said["recall"], said["weighted"], *spots], width)


def backtest_rules(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    test_days: int,
    idle_days: int,
    words: Mapping[str, str] | None = None,
) -> Axes:
    """Draw after how many idle days each tier warns whom, origin by origin.

    Parameters
    ----------
    table : DataFrame
        Schema "backtest_rules".
    ax : Axes, optional
        Where to draw; `backtest_rules_frame` says how much room it needs. Without it a pyplot figure is made.
    test_days : int
        How long the rules of an origin are held against.
    idle_days : int
        That make a churn: the upper end of the axis.
    words : mapping, optional
        Words to replace.

    Returns
    -------
    Axes

    Raises
    ------
    SchemaError
        If a column is missing.
    InputError
        If no tier warns anybody.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"origin": pd.to_datetime(["2024-01-31"]), "tier": "high", "alternative": 1,
    ...     "variable": "idle_days", "sign": ">", "threshold": 14.0})
    >>> axes = backtest_rules(table, Figure().add_subplot(), test_days=90, idle_days=30)
    >>> [text.get_text() for text in axes.texts][1]
    'high: everybody'
    """
    said = chosen_words(words, _WORDS)
    bars = _bars(table, said)
    if ax is None:
        ax = new_axes(backtest_rules_frame(table, words=words))
    first = min(day for rows in bars.values() for day, _ in rows)
    for place, rows in enumerate(bars.values()):
        for day, idle in rows:
            span, colour = [day - first, day - first + test_days], SERIES[place % len(SERIES)]
            ax.plot(span, [idle, idle], color=colour, linewidth=3.0, solid_capstyle="butt", zorder=2)
    dress(ax)
    origins = sorted(table["origin"].unique())
    _origin_ticks(ax, origins, [_day(each) - first for each in origins], ha="left")
    ax.set_xlim(min(_day(each) for each in origins) - first, _day(origins[-1]) - first + test_days)
    ax.set_ylim(-0.5, idle_days)
    write(ax, said["idle_days"], at=(0, 0), shift=(-_LEFT + 6, -28), color=MUTED)
    entries = [(name, SERIES[place % len(SERIES)]) for place, name in enumerate(bars)]
    _heading(ax, entries, said["rules"])
    notice(ax, list(bars), said)
    return ax


def backtest_rules_frame(table: pd.DataFrame, width: float = 640.0, *, words: Mapping[str, str] | None = None) -> Frame:
    """Return the size of a figure of this width (in points) in which `backtest_rules` has its room.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"origin": pd.to_datetime(["2024-01-31"]), "tier": "high", "alternative": 1,
    ...     "variable": "idle_days", "sign": ">", "threshold": 14.0})
    >>> backtest_rules_frame(table, 350).width
    350
    """
    return _frame(list(_bars(table, chosen_words(words, _WORDS))), width)


# ------------------------------------------------------------------------------------------------------------ data


def _series(table: pd.DataFrame, quantity: str, said: Mapping[str, str]) -> dict[str, pd.DataFrame]:
    """The rows of each tier and policy that are drawn, by name."""
    if quantity not in _QUANTITIES:
        raise InputError(f"There is no figure of {quantity!r}.{did_you_mean(quantity, _QUANTITIES)}")
    columns = ("origin", "policy", "tier", "base_rate", quantity, f"{quantity}_lower", f"{quantity}_upper")
    require_columns("backtest", columns, table.columns)
    rows = table[table["origin"].notna() & table[quantity].notna() & (table["policy"] != _NOBODY)]
    found = {
        name: mine for name, mine in _by_name(rows, said).items() if quantity != "value" or mine[quantity].max() > 0
    }
    if quantity in ("precision", "row_precision"):
        found.pop(said["policy.everybody"], None)  # the base rate, but for those who come back at once
    if not found:
        raise InputError(f"The backtest has no {quantity} above nothing: there is nothing to draw.")
    return found


def _by_name(rows: pd.DataFrame, said: Mapping[str, str]) -> dict[str, pd.DataFrame]:
    """The tiers by their names, all tiers together where there are several, and the other policies."""
    found: dict[str, pd.DataFrame] = {}
    fitted = rows[rows["policy"] == _FITTED]
    for tier, mine in fitted[fitted["tier"].notna()].groupby("tier", sort=False):
        found[shown(tier, _NAME)] = mine
    together = fitted[fitted["tier"].isna()]
    if len(together) and len(set(fitted["tier"].dropna())) != 1:
        found[said["any"]] = together
    for policy, mine in rows[rows["policy"] != _FITTED].groupby("policy", sort=False):
        found[shown(_policy(str(policy), said), _NAME)] = mine
    return found


def _policy(policy: str, said: Mapping[str, str]) -> str:
    """The name of a policy in the words of the figure; a rule as it is written, unless the caller has words for it."""
    if policy == _EVERYBODY:
        return said["policy.everybody"]
    n = policy.removesuffix(_PER_DAY)
    return said["policy.per_day"].format(n=n) if n != policy else value_said(said, policy)


def _spots(table: pd.DataFrame, said: Mapping[str, str]) -> dict[str, tuple[float, float]]:
    """Alerts a day and lead-weighted recall of the policies, all origins together."""
    require_columns("backtest", ("origin", "policy", "tier", "alerts_per_day", "lead_recall"), table.columns)
    rows = table[table["origin"].isna() & ~table["policy"].isin([_NOBODY, _EVERYBODY])]
    rows = rows[~rows["policy"].astype(str).str.endswith(_PER_DAY)]
    return {
        name: (float(mine["alerts_per_day"].iloc[0]), float(mine["lead_recall"].iloc[0]))
        for name, mine in _by_name(rows, said).items()
    }


def _bars(table: pd.DataFrame, said: Mapping[str, str]) -> dict[str, list[tuple[int, float]]]:
    """Origin (as a day number) and idle days by tier and what else is compared."""
    needed = ("origin", "tier", "alternative", "variable", "sign", "threshold")
    require_columns("backtest_rules", needed, table.columns)
    found: dict[str, list[tuple[int, float]]] = {}
    rows = table[table["alternative"].notna()]
    # all origins of a tier before the next tier, so that its lines are neighbours in the key
    rows = rows.sort_values("tier", kind="stable", key=lambda column: column.map(list(dict.fromkeys(column)).index))
    for (tier, origin, _), mine in rows.groupby(["tier", "origin", "alternative"], sort=False):
        idle = mine[(mine["variable"] == "idle_days") & mine["sign"].isin([">", ">="])]
        others = mine[mine["variable"] != "idle_days"]
        # thresholds would make one line of each origin
        texts = [f"{value_said(said, str(each.variable))} {each.sign} …" for each in others.itertuples()]
        name = shown(at(said, str(tier), said["and"].join(texts) or said["always"]), _NAME)
        found.setdefault(name, []).append((_day(origin), float(idle["threshold"].max())))
    if not found:
        raise InputError("No tier warns anybody at any origin: there is nothing to draw.")
    return found


# --------------------------------------------------------------------------------------------------------- drawing


def _points(ax: Axes, rows: pd.DataFrame, quantity: str, days: Mapping[Any, int], shift: float, colour: str) -> None:
    x = np.array([days[each] for each in rows["origin"].unique()], dtype=np.float64) + shift
    y, low, high = (rows[f"{quantity}{end}"].to_numpy(dtype=np.float64) for end in ("", "_lower", "_upper"))
    ax.vlines(x, low, high, color=colour, linewidth=2.0, alpha=0.55, zorder=2)
    ax.plot(x, y, color=colour, linewidth=1.0, marker="o", markersize=5, zorder=3)


def _mark(
    ax: Axes,
    name: str,
    rows: pd.DataFrame,
    quantity: str,
    days: Mapping[Any, int],
    shift: float,
    said: Mapping[str, str],
) -> None:
    numbers = rows[[quantity, f"{quantity}_lower", f"{quantity}_upper"]].to_numpy(dtype=np.float64)
    origins = rows["origin"].tolist()

    def say(i: int) -> str:
        told = estimate(said, amount(said) if quantity == "value" else share, *numbers[i])
        return at(said, _date(origins[i]), said["per_gaps"].format(value=told) if quantity == "value" else told)

    mark(ax, name, [days[each] + shift for each in rows["origin"]], numbers[:, 0], say)


def _mark_gains(ax: Axes, name: str, table: pd.DataFrame, column: str, said: Mapping[str, str]) -> None:
    x, y = (table[each].to_numpy(dtype=np.float64) for each in ("alerts_per_day", column))
    mark(ax, name, x, y, lambda i: _gain(said, x[i], y[i]))


def _gain(said: Mapping[str, str], alerts: float, caught: float) -> str:
    return at(said, said["a_day"].format(n=decimal(alerts)), said["caught"].format(share=share(caught)))


def _date(day: Any) -> str:
    return str(np.datetime64(day, "D"))


def _colour(series: Mapping[str, pd.DataFrame], name: str) -> str:
    return SERIES[list(series).index(name) % len(SERIES)]


def _entries(series: Mapping[str, pd.DataFrame], quantity: str, said: Mapping[str, str]) -> list[tuple[str, str]]:
    base = [(said["base_rate"], MUTED)] if quantity in ("precision", "row_precision") else []
    return [*((name, _colour(series, name)) for name in series), *base]


def _frame(texts: Sequence[str], width: float) -> Frame:
    rows = 1 + max(row for row, _ in flow(texts, width - _LEFT - _RIGHT))
    top = 28.0 + LINE_GAP * rows + SIZE
    return Frame(width, _HEIGHT + top + 40.0, _LEFT, _RIGHT, top, 40.0)


def _heading(ax: Axes, entries: Sequence[tuple[str, str]], title: str) -> None:
    width, _ = inner_size(ax)
    rows = 1 + max(row for row, _ in flow([text for text, _ in entries], width))
    key(ax, entries, width=width)
    write(ax, title, at=(0, 1), shift=(-_LEFT + 6, 16 + LINE_GAP * rows))


def _percent(ax: Axes) -> None:
    ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%")


def _day(value: Any) -> int:
    """The number of a day."""
    return int(np.datetime64(value, "D").astype(np.int64))


def _origin_ticks(ax: Axes, origins: Sequence[Any], places: Sequence[float], *, ha: str = "center") -> None:
    """Dates, as many as have room."""
    width, _ = inner_size(ax)
    step = max(1, int(np.ceil(len(origins) * 7 * SIZE / max(width, 1.0))))
    labels = [_date(each) for each in origins[::step]]
    ax.set_xticks(list(places)[::step], labels=labels, ha=ha)
