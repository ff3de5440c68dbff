"""Warning tiers as a map: idle days across, bands of a variable up, each tier where users are in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from churnsurv.errors import InputError, require_columns
from churnsurv.plots.bands import others_said, value_said
from churnsurv.plots.colours import FAINT, INK, MUTED, PAPER, TIER
from churnsurv.plots.curves import day_ticks
from churnsurv.plots.marks import mark
from churnsurv.plots.numbers import at, between
from churnsurv.plots.shades import tier_shade
from churnsurv.plots.style import LINE_GAP, SIZE, Frame, dress, inner_size, new_axes, swatch, wrapped, write
from churnsurv.plots.text import ems, notice, shown
from churnsurv.plots.words import WORDS, chosen_words

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["tier_bands", "tier_bands_frame"]

_NEEDED = (
    *("variable", "band", "band_lower", "band_upper", "others"),
    *("rank", "tier", "rule", "first_day", "last_day"),
)
_BAND = 19.0  # points
_LEAST = 130.0
_SWATCH = 20.0
_LANE = 1.1  # height of the line that names the users of a group, in bands
_TIER = "churnsurv-tier"
_WORDS: Mapping[str, str] = {
    "missing_glyphs": WORDS["missing_glyphs"],
    "title": "Warning tier by idle days and {variable}",
    "title_alone": "Warning tier by idle days",
    "axis": "Idle days; churn on day {idle_days}",
    "from": "{tier}, from day {day}",
    "on_days": "idle days {days}",
}


@dataclass(frozen=True, slots=True)
class _Area:
    """A rectangle of the map: from `bottom` up in bands, from the first to the last idle day."""

    tier: int
    bottom: float
    height: float
    days: tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Group:
    """Bands of the same users: their name, where their lowest band begins, and the ends between bands."""

    name: str | None
    bottom: float
    edges: tuple[float, ...]

    @property
    def top(self) -> float:
        return self.bottom + len(self.edges) + 1


@dataclass(frozen=True, slots=True)
class _Map:
    """What is drawn; tiers are names and rules, highest first."""

    variable: str | None
    tiers: tuple[tuple[str, str], ...]
    groups: tuple[_Group, ...]
    areas: tuple[_Area, ...]
    idle_days: int

    @property
    def height(self) -> float:
        return self.groups[-1].top + (_LANE if len(self.groups) > 1 else 0.0)


def tier_bands(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    idle_days: int | None = None,
    words: Mapping[str, str] | None = None,
) -> Axes:
    """Draw on which idle days users of each band are in which warning tier.

    The higher the tier, the darker its area, also in black and white; names and rules stand in words beside. Where
    rules look at other variables too, there is a group of bands for each kind of user.

    Parameters
    ----------
    table : DataFrame
        Schema "tier_bands".
    ax : Axes, optional
        Where to draw; leave room around it (`tier_bands_frame` says how much). Without it a pyplot figure is made.
    idle_days : int, optional
        Idle days that make a churn; by default the day after the last one of the table.
    words : mapping, optional
        Words to replace: "title", "title_alone", "axis", "from"; "value.<text>" for a variable or a rule of the table.

    Returns
    -------
    Axes

    Raises
    ------
    SchemaError
        If a column is missing.
    InputError
        If the table has no bands, or tiers reach `idle_days`.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"variable": "balance", "band": ["below 100", "100 and above"], "others": None,
    ...     "band_lower": [None, 100.0], "band_upper": [100.0, None], "rank": [1, None], "tier": ["high", None],
    ...     "rule": ["idle_days > 15 and balance < 100", None], "first_day": [16, None], "last_day": [29, None]})
    >>> [text.get_text() for text in tier_bands(table, Figure().add_subplot()).texts][0]
    'high, from day 16'
    """
    said = chosen_words(words, _WORDS)
    found = _map(table, idle_days)
    if ax is None:
        ax = new_axes(_frame(found, 640.0, said))
    dress(ax, grid="y")
    ax.set_xlim(-0.5, found.idle_days - 0.5)
    ax.set_ylim(0, found.height)
    for place, area in enumerate(found.areas):
        _draw(ax, area, len(found.tiers), place)
    for area in found.areas:
        _label(ax, area, found, said)
    _mark(ax, found, said)
    _axes(ax, found, said)
    _heading(ax, found, said)
    texts = [text for tier, rule in found.tiers for text in (tier, value_said(said, rule))]
    notice(ax, texts + [others_said(said, group.name) for group in found.groups if group.name], said)
    return ax


def tier_bands_frame(
    table: pd.DataFrame,
    width: float = 640.0,
    *,
    idle_days: int | None = None,
    words: Mapping[str, str] | None = None,
) -> Frame:
    """Return the size of a figure of this width (in points) with room for the bands and the rules.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"variable": [None], "band": ["all users"], "band_lower": [None], "band_upper": [None],
    ...     "others": [None], "rank": [1], "tier": ["high"], "rule": ["idle_days > 15"], "first_day": [16],
    ...     "last_day": [29]})
    >>> tier_bands_frame(table, 350).width
    350
    """
    return _frame(_map(table, idle_days), width, chosen_words(words, _WORDS))


# -------------------------------------------------------------------------------------------------- from the table


def _map(table: pd.DataFrame, idle_days: int | None) -> _Map:
    require_columns("tier_bands", _NEEDED, table.columns)
    rows = table[list(_NEEDED)].astype(object).where(table[list(_NEEDED)].notna(), None)
    there = rows[rows["band"].notna()]
    if there.empty:
        raise InputError("The table has no bands to draw.")
    days = [int(day) for day in there["last_day"] if day is not None]
    total = idle_days if idle_days is not None else max(days, default=-1) + 1
    if total < 1 or max(days, default=-1) >= total:
        raise InputError(f"The tiers reach idle day {max(days, default=0)}; idle_days= must lie after it.")
    named = rows[rows["rank"].notna()]
    ranks = zip(named["rank"].astype(int), named["tier"].astype(str), named["rule"].astype(str), strict=True)
    ranked = sorted(set(ranks))
    tiers = tuple((tier, rule) for _, tier, rule in ranked)
    groups, areas, bottom = list[_Group](), list[_Area](), 0.0
    for name in dict.fromkeys(there["others"]):
        mine = there[there["others"].isna() if name is None else there["others"] == name]
        edges = tuple(sorted({float(end) for end in (*mine["band_lower"], *mine["band_upper"]) if end is not None}))
        groups.append(_Group(None if name is None else str(name), bottom, edges))
        areas += _areas(mine, groups[-1], [tier for tier, _ in tiers])
        bottom = groups[-1].top + _LANE
    variable = next((str(each) for each in rows["variable"] if each is not None), None)
    return _Map(variable, tiers, tuple(groups), tuple(areas), total)


def _areas(rows: pd.DataFrame, group: _Group, tiers: Sequence[str]) -> list[_Area]:
    """The areas of a group; equal ones of neighbouring bands are one."""
    done, growing = list[_Area](), dict[tuple[int, tuple[int, int]], _Area]()
    filled = rows[rows["tier"].notna()]
    columns = (filled[name].tolist() for name in ("band_lower", "tier", "first_day", "last_day"))
    found = [
        (0 if low is None else 1 + group.edges.index(float(low)), (tiers.index(str(tier)), (int(first), int(last))))
        for low, tier, first, last in zip(*columns, strict=True)
    ]
    for place, key in sorted(found):
        before, bottom = growing.get(key), group.bottom + place
        if before is not None and before.bottom + before.height == bottom:
            growing[key] = _Area(key[0], before.bottom, before.height + 1, key[1])
            continue
        done += [] if before is None else [before]
        growing[key] = _Area(key[0], bottom, 1, key[1])
    return [*done, *growing.values()]


# --------------------------------------------------------------------------------------------------------- drawing


def _draw(ax: Axes, area: _Area, n_tiers: int, place: int) -> None:
    from matplotlib.patches import Rectangle

    x, width = area.days[0] - 0.5, area.days[1] - area.days[0] + 1
    # Paper below, so that the grid does not shine through; colour over it, so that a dark page has shades of its own.
    own = f"{_TIER}-{place}-{area.tier}"
    for colour, shade, name in ((PAPER, 1.0, None), (TIER, tier_shade(area.tier, n_tiers), own)):
        box = Rectangle((x, area.bottom), width, area.height, facecolor=colour, alpha=shade, linewidth=0, zorder=1.5)
        box.set_gid(name)
        ax.add_patch(box)
    across, up = [x, x + width, x + width, x, x], [area.bottom, area.bottom, *[area.bottom + area.height] * 2]
    ax.plot(across, [*up, area.bottom], color=PAPER, linewidth=1.6, solid_joinstyle="miter", zorder=1.7)


def _label(ax: Axes, area: _Area, found: _Map, said: Mapping[str, str]) -> None:
    """Write tier and first day, or the tier alone, where there is room."""
    width, height = inner_size(ax)
    room = ((area.days[1] - area.days[0] + 1) * width / found.idle_days - 12) / SIZE
    if area.height * height / found.height < LINE_GAP + 2:
        return
    name = shown(found.tiers[area.tier][0])
    texts = (said["from"].format(tier=name, day=area.days[0]), name)
    text = next((each for each in texts if ems(each) <= room), None)
    if text is not None:
        at = area.days[0] - 0.5, area.bottom + area.height
        write(ax, text, at=at, shift=(6, -0.75 * LINE_GAP), within="data", zorder=4)


def _mark(ax: Axes, found: _Map, said: Mapping[str, str]) -> None:
    """The areas of each tier: whose they are, and on which idle days."""
    for tier, (name, _) in enumerate(found.tiers):
        mine = [area for area in found.areas if area.tier == tier]

        def say(i: int, mine: Sequence[_Area] = mine) -> str:
            first, last = mine[i].days
            days = said["on_days"].format(days=between(said, f"{first}", f"{last}") if last > first else f"{first}")
            whose = _whose(mine[i], found, said)
            return days if whose is None else at(said, whose, days)

        x, y = [sum(area.days) / 2 for area in mine], [area.bottom + area.height / 2 for area in mine]
        mark(ax, name, x, y, say)


def _whose(area: _Area, found: _Map, said: Mapping[str, str]) -> str | None:
    """The bands that an area reaches over, and the other variables of its group; None where it is of all users."""
    group = next(each for each in found.groups if each.bottom <= area.bottom < each.top)
    first = round(area.bottom - group.bottom)
    ends = [None, *group.edges, None]
    low, high = (None if end is None else _number(end) for end in (ends[first], ends[first + round(area.height)]))
    kind = None if low is high is None else "below" if low is None else "above" if high is None else "between"
    band = None if kind is None else said[f"band.{kind}"].format(low=low, high=high)
    if band is not None:
        band = f"{value_said(said, found.variable or '')} {band}"
    whose = [each for each in (None if group.name is None else others_said(said, group.name), band) if each]
    return said["comma"].join(whose) or None


def _axes(ax: Axes, found: _Map, said: Mapping[str, str]) -> None:
    width, _ = inner_size(ax)
    ticks = day_ticks(found.idle_days, 5 if width < 300 else 9, "days")
    ticks = ticks[ticks <= found.idle_days - 1]
    ax.set_xticks(ticks, labels=[f"{tick:,.0f}" for tick in ticks])
    edges = [(group.bottom + 1 + place, edge) for group in found.groups for place, edge in enumerate(group.edges)]
    ax.set_yticks([place for place, _ in edges], labels=[_number(edge) for _, edge in edges])
    for group in found.groups:
        for x, colour, thick in ((-0.5, FAINT, 0.8), (found.idle_days - 0.5, MUTED, 1.2)):
            ax.plot([x, x], [group.bottom, group.top], color=colour, linewidth=thick, clip_on=False, zorder=3)
        if group.bottom > 0:
            ax.plot(ax.get_xlim(), [group.bottom] * 2, color=FAINT, linewidth=0.8, zorder=1.2)
        if len(found.groups) > 1:
            name = shown(others_said(said, group.name or ""), width / SIZE)
            write(ax, name, at=(-0.5, group.top), shift=(0, LINE_GAP / 2 + 1), within="data", color=MUTED)
    write(ax, said["axis"].format(idle_days=found.idle_days), at=(1, 0), shift=(0, -26), ha="right", color=MUTED)


def _number(edge: float) -> str:
    return f"{edge:,.12g}"


def _heading(ax: Axes, found: _Map, said: Mapping[str, str]) -> None:
    """The title, and below it a line or more for each tier: its shade, its name and its rule."""
    width, _ = inner_size(ax)
    lines = _key(found, width, said)
    y = 12.0 + LINE_GAP * len(lines)
    title = said["title" if found.variable is not None else "title_alone"]
    write(ax, title.format(variable=shown(value_said(said, found.variable or ""), 24)), at=(0, 1), shift=(0, y + 2))
    for tier, text in lines:
        y -= LINE_GAP
        write(ax, text, at=(0, 1), shift=(_SWATCH, y), color=INK)
        if tier is None:
            continue
        swatch(ax, TIER, tier_shade(tier, len(found.tiers)), shift=(0, y - 4.5))


def _key(found: _Map, width: float, said: Mapping[str, str]) -> list[tuple[int | None, str]]:
    """The lines of the key, the place of a tier with its first one."""
    lines = list[tuple[int | None, str]]()
    for place, (name, rule) in enumerate(found.tiers):
        texts = wrapped(at(said, shown(name), shown(value_said(said, rule))), width - _SWATCH)
        lines += [(None if i else place, text) for i, text in enumerate(texts)]
    return lines


def _frame(found: _Map, width: float, said: Mapping[str, str]) -> Frame:
    labels = [_number(edge) for group in found.groups for edge in group.edges]
    left = max((ems(label) for label in labels), default=0.0) * SIZE + 16
    top = 30.0 + LINE_GAP * len(_key(found, width - left - 14.0, said))
    return Frame(width, max(_BAND * found.height, _LEAST) + top + 38.0, left, 14.0, top, 38.0)
