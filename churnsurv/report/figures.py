"""Figures of a report: drawn as SVG in two widths, and written as CSV that a spreadsheet can't mistake for formulas."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from churnsurv.errors import InputError
from churnsurv.plots.backtests import backtest, backtest_frame, backtest_gains, backtest_gains_frame
from churnsurv.plots.bursts import cohort_bursts, cohort_bursts_frame
from churnsurv.plots.channels import channel_value, channel_value_frame
from churnsurv.plots.churn_monitor import churn_monitor, churn_monitor_frame
from churnsurv.plots.curves import survival_curves, survival_curves_frame
from churnsurv.plots.document import Picture, picture, themed
from churnsurv.plots.experience import experience, experience_frame
from churnsurv.plots.idle_risks import idle_risk, idle_risk_frame
from churnsurv.plots.incidence import incidence_frame, stacked_incidence
from churnsurv.plots.lift_curves import lift_over_time, lift_over_time_frame, return_curves, return_curves_frame
from churnsurv.plots.lift_forests import lift_forest, lift_forest_frame
from churnsurv.plots.lift_monitors import lift_monitor, lift_monitor_frame
from churnsurv.plots.marks import Marks
from churnsurv.plots.profile import churn_profile, churn_profile_frame
from churnsurv.plots.ratios import forest, forest_frame
from churnsurv.plots.reasons import reason_shares, reason_shares_frame
from churnsurv.plots.shock_effect import shock_effect, shock_effect_frame
from churnsurv.plots.structure import churn_structure, churn_structure_frame, lifecycle, lifecycle_frame
from churnsurv.plots.style import Frame
from churnsurv.plots.surfaces import risk_surface, risk_surface_frame
from churnsurv.plots.sweep import rule_sweep, rule_sweep_frame
from churnsurv.plots.tiers import tier_bands, tier_bands_frame
from churnsurv.plots.timelines import tier_timeline, tier_timeline_frame
from churnsurv.plots.value_days import value_by_day, value_by_day_frame
from churnsurv.report.model import Figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["Drawing", "drawings", "figure_csv", "inline", "on_paper"]

# Points of the drawings; a page shows them about a third larger, so that their text has the size of its notes.
WIDE = 640.0
NARROW = 290.0
_SMALL = 320.0
_FORMULAS = set("=+-@＝＋－＠")  # spreadsheets take the full-width ones too
_ALARM_DAYS = ("alarm_on", "ended_on", "begun", "begun_lower", "begun_upper")


@dataclass(frozen=True, slots=True)
class Drawing:
    """One drawing of a figure: its name, what it says, and SVG documents for a desk and for a phone.

    `narrow` is None where one drawing serves both. `marks_wide` and `marks_narrow` say what stands where in each, in
    the units of its `viewBox`, so that a page can show values on hover.
    """

    name: str
    alt: str
    wide: str
    narrow: str | None
    marks_wide: tuple[Marks, ...] = ()
    marks_narrow: tuple[Marks, ...] = ()


def drawings(figure: Figure) -> list[Drawing]:
    """Draw a figure: one drawing, or one for each of its panels.

    Raises
    ------
    InputError
        If the figure is of a kind that nobody draws.
    """
    if figure.panels:
        return [
            Drawing(f"{figure.name}_{place}", each["alt"], made.document, None, made.marks)
            for place, each in enumerate(figure.panels, 1)
            for made in (_drawn(figure, _SMALL, each["quantity"]),)
        ]
    wide, narrow = _drawn(figure, WIDE), _drawn(figure, NARROW)
    return [Drawing(figure.name, figure.alt, wide.document, narrow.document, wide.marks, narrow.marks)]


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


def _drawn(figure: Figure, width: float, quantity: str | None = None) -> Picture:
    frame, draw = _plot(figure, width, quantity)
    return picture(frame, draw)


Plot = tuple[Frame, Callable[["Axes"], Any]]


def _plot(figure: Figure, width: float, quantity: str | None) -> Plot:
    if figure.kind not in _PLOTS:
        raise InputError(f"There is no figure of the kind {figure.kind!r}: {', '.join(_PLOTS)}.")
    return _PLOTS[figure.kind](_table(figure.data), figure.options, width, quantity)


def _survival_curves(table: pd.DataFrame, options: Mapping[str, Any], width: float, _: str | None) -> Plot:
    horizon, level, words = options.get("horizon"), options["level"], options.get("words")
    frame = survival_curves_frame(table, width, horizon=horizon, words=words)
    return frame, lambda ax: survival_curves(table, ax, level=level, horizon=horizon, words=words)


def _forest(table: pd.DataFrame, options: Mapping[str, Any], width: float, _: str | None) -> Plot:
    table, words = table.head(options["rows"]), options.get("words")
    frame = forest_frame(table, width, words=words)
    return frame, lambda ax: forest(table, ax, level=options["level"], words=words)


def _rule_sweep(table: pd.DataFrame, options: Mapping[str, Any], width: float, quantity: str | None) -> Plot:
    chosen, words = options.get("chosen"), options["words"]
    frame = rule_sweep_frame(table, width, quantity=quantity, words=words)
    return frame, lambda ax: rule_sweep(table, ax, quantity=quantity, chosen=chosen, words=words)


def _churn_structure(table: pd.DataFrame, options: Mapping[str, Any], width: float, _: str | None) -> Plot:
    horizon, words = options.get("horizon"), options["words"]
    frame = churn_structure_frame(table, width, words=words)
    return frame, lambda ax: churn_structure(table, ax, horizon=horizon, words=words)


def _lifecycle(table: pd.DataFrame, options: Mapping[str, Any], width: float, _: str | None) -> Plot:
    date, words = options["date"], options["words"]
    frame = lifecycle_frame(table, width, words=words)
    return frame, lambda ax: lifecycle(table, ax, date=date, words=words)


def _churn_profile(table: pd.DataFrame, options: Mapping[str, Any], width: float, quantity: str | None) -> Plot:
    words = options["words"]
    return churn_profile_frame(table, width), lambda ax: churn_profile(table, ax, variable=quantity, words=words)


def _cohort_bursts(table: pd.DataFrame, options: Mapping[str, Any], width: float, _: str | None) -> Plot:
    days, bursts = _dated(table, "date"), _table(options["bursts"])
    level, words = options["level"], options["words"]
    frame = cohort_bursts_frame(days, width, bursts=bursts, words=words)
    return frame, lambda ax: cohort_bursts(days, ax, bursts=bursts, level=level, words=words)


def _channel_value(table: pd.DataFrame, options: Mapping[str, Any], width: float, _: str | None) -> Plot:
    keep, level, words = options["keep"], options["level"], options["words"]
    frame = channel_value_frame(table, width, words=words)
    return frame, lambda ax: channel_value(table, ax, keep=keep, level=level, words=words)


def _reason_shares(table: pd.DataFrame, options: Mapping[str, Any], width: float, _: str | None) -> Plot:
    level, words = options["level"], options["words"]
    return reason_shares_frame(table, width), lambda ax: reason_shares(table, ax, level=level, words=words)


def _stacked_incidence(table: pd.DataFrame, options: Mapping[str, Any], width: float, _: str | None) -> Plot:
    horizon, words = options["horizon"], options["words"]
    frame = incidence_frame(list(dict.fromkeys(table["cause"])), width, words=words)
    return frame, lambda ax: stacked_incidence(table, ax, horizon=horizon, words=words)


def _experience(table: pd.DataFrame, options: Mapping[str, Any], width: float, _: str | None) -> Plot:
    level, words = options["level"], options["words"]
    frame = experience_frame(table, width, words=words)
    return frame, lambda ax: experience(table, ax, level=level, words=words)


def _churn_monitor(table: pd.DataFrame, options: Mapping[str, Any], width: float, _: str | None) -> Plot:
    days, level, words = _dated(table, "date"), options["level"], options["words"]
    alarms = _dated(_table(options["alarms"]), *(name for name in options["alarms"] if name in _ALARM_DAYS))
    frame = churn_monitor_frame(days, width, words=words)
    return frame, lambda ax: churn_monitor(days, ax, alarms=alarms, level=level, words=words)


def _shock_effect(table: pd.DataFrame, options: Mapping[str, Any], width: float, _: str | None) -> Plot:
    days, level, words = _dated(table, "date"), options["level"], options["words"]
    windows, placebo = _dated(_table(options["windows"]), "first", "last"), _table(options["placebo"])
    behind = placebo if len(placebo) else None
    frame = shock_effect_frame(days, width, words=words)
    return frame, lambda ax: shock_effect(days, ax, windows=windows, placebo=behind, level=level, words=words)


def _idle_risk(table: pd.DataFrame, options: Mapping[str, Any], width: float, _: str | None) -> Plot:
    crossings, level, words = _table(options["crossings"]), options["level"], options["words"]
    bands = None if options["bands"] is None else _table(options["bands"])
    frame = idle_risk_frame(table, width, crossings=crossings, bands=bands, words=words)
    return frame, lambda ax: idle_risk(table, ax, crossings=crossings, bands=bands, level=level, words=words)


def _value_by_day(table: pd.DataFrame, options: Mapping[str, Any], width: float, _: str | None) -> Plot:
    level, words = options["level"], options["words"]
    frame = value_by_day_frame(table, width, words=words)
    return frame, lambda ax: value_by_day(table, ax, level=level, words=words)


def _risk_surface(table: pd.DataFrame, options: Mapping[str, Any], width: float, _: str | None) -> Plot:
    rules, missing, words = _table(options["rules"]), options["missing"], options["words"]
    frame = risk_surface_frame(table, width, rules=rules, words=words)
    return frame, lambda ax: risk_surface(table, ax, rules=rules, missing=missing, words=words)


def _tier_timeline(table: pd.DataFrame, options: Mapping[str, Any], width: float, _: str | None) -> Plot:
    until, words, dated = options["known_until"], options["words"], _dated(table, "date")
    frame = tier_timeline_frame(dated, width, known_until=until)
    return frame, lambda ax: tier_timeline(dated, ax, known_until=until, words=words)


def _backtest(table: pd.DataFrame, options: Mapping[str, Any], width: float, _: str | None) -> Plot:
    dated, drawn, level = _dated(table, "origin"), options["quantity_of"], options["level"]
    days, words = options["test_days"], options["words"]
    frame = backtest_frame(dated, width, quantity=drawn, words=words)
    return frame, lambda ax: backtest(dated, ax, quantity=drawn, test_days=days, level=level, words=words)


def _backtest_gains(table: pd.DataFrame, options: Mapping[str, Any], width: float, _: str | None) -> Plot:
    points, words = _dated(_table(options["points"]), "origin"), options["words"]
    frame = backtest_gains_frame(table, width, points=points, words=words)
    return frame, lambda ax: backtest_gains(table, ax, points=points, words=words)


def _tier_bands(table: pd.DataFrame, options: Mapping[str, Any], width: float, _: str | None) -> Plot:
    idle_days, words = options["idle_days"], options["words"]
    frame = tier_bands_frame(table, width, idle_days=idle_days, words=words)
    return frame, lambda ax: tier_bands(table, ax, idle_days=idle_days, words=words)


def _return_curves(table: pd.DataFrame, options: Mapping[str, Any], width: float, _: str | None) -> Plot:
    control, level, words = options["control"], options["level"], options["words"]
    frame = return_curves_frame(table, width, control=control, words=words)
    return frame, lambda ax: return_curves(table, ax, control=control, level=level, words=words)


def _lift_over_time(table: pd.DataFrame, options: Mapping[str, Any], width: float, _: str | None) -> Plot:
    control, level, words = options["control"], options["level"], options["words"]
    frame = lift_over_time_frame(table, width, control=control, words=words)
    return frame, lambda ax: lift_over_time(table, ax, control=control, level=level, words=words)


def _lift_forest(table: pd.DataFrame, options: Mapping[str, Any], width: float, quantity: str | None) -> Plot:
    outcome, level, words = str(quantity), options["level"], options["words"]
    frame = lift_forest_frame(table, width, outcome=outcome, words=words)
    return frame, lambda ax: lift_forest(table, ax, outcome=outcome, level=level, words=words)


def _lift_groups(table: pd.DataFrame, options: Mapping[str, Any], width: float, quantity: str | None) -> Plot:
    mine, overall = table[table["arm"] == quantity], _table(options["overall"])
    level, words = options["level"], options["words"]
    frame = lift_forest_frame(mine, width, overall=overall, words=words)
    return frame, lambda ax: lift_forest(mine, ax, overall=overall, level=level, words=words)


def _lift_monitor(table: pd.DataFrame, options: Mapping[str, Any], width: float, _: str | None) -> Plot:
    smallest, level, words, dated = options["smallest_lift"], options["level"], options["words"], _dated(table, "day")
    frame = lift_monitor_frame(dated, width, smallest_lift=smallest, words=words)
    return frame, lambda ax: lift_monitor(dated, ax, smallest_lift=smallest, level=level, words=words)


_PLOTS: Mapping[str, Callable[[pd.DataFrame, Mapping[str, Any], float, str | None], Plot]] = {
    "survival_curves": _survival_curves,
    "forest": _forest,
    "rule_sweep": _rule_sweep,
    "churn_structure": _churn_structure,
    "lifecycle": _lifecycle,
    "churn_profile": _churn_profile,
    "cohort_bursts": _cohort_bursts,
    "channel_value": _channel_value,
    "reason_shares": _reason_shares,
    "stacked_incidence": _stacked_incidence,
    "experience": _experience,
    "churn_monitor": _churn_monitor,
    "shock_effect": _shock_effect,
    "idle_risk": _idle_risk,
    "tier_bands": _tier_bands,
    "value_by_day": _value_by_day,
    "risk_surface": _risk_surface,
    "tier_timeline": _tier_timeline,
    "backtest": _backtest,
    "backtest_gains": _backtest_gains,
    "return_curves": _return_curves,
    "lift_over_time": _lift_over_time,
    "lift_forest": _lift_forest,
    "lift_groups": _lift_groups,
    "lift_monitor": _lift_monitor,
}


def _dated(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """Dates are text in plain data."""
    import pandas as pd

    return table.assign(**{column: pd.to_datetime(table[column]) for column in columns})


def _table(data: Mapping[str, list[Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({name: pd.Series(values, dtype=_dtype(values)) for name, values in data.items()})


def _dtype(values: list[Any]) -> str:
    """Plain values lost the type of an all-null column: numbers are floats, everything else is an object."""
    numbers = all(v is None or (isinstance(v, (int, float)) and not isinstance(v, bool)) for v in values)
    return "float64" if numbers and any(v is not None for v in values) else "object"


def figure_csv(figure: Figure) -> str:
    """Return the data of a figure as CSV (UTF-8 without a byte order mark, header row, empty where null).

    What a page downloads has the mark, since it goes to spreadsheets, which take text without it for another
    encoding; files of a report folder have none, since programs read them. Text that a spreadsheet would take for a
    formula gets a leading apostrophe; numbers stay as they are.

    Examples
    --------
    >>> figure = Figure("f", "forest", "", "", "", {"group": ["=1+1", "＝1", "a"], "x": [-0.5, 1, None]})
    >>> figure_csv(figure).splitlines()
    ['group,x', "'=1+1,-0.5", "'＝1,1", 'a,']
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
        formula = text.lstrip()[:1] in _FORMULAS or text[:1] in {"\t", "\n"}
        return f"'{text}" if formula else text
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.9g}" if isinstance(value, float) else str(value)
