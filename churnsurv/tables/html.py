"""How a result looks in a notebook: its headline, the first rows of its table, and what it says of itself."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from churnsurv.tables.missing import is_missing

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SHOWN", "as_html"]

#: Rows of a table that a notebook shows.
SHOWN = 20

_LONGEST = 400  # characters of one cell
_LABEL = 80  # characters of the headline by which a screen reader calls the table
_ONE_LINE = 32  # characters that are not broken over two lines
_NOTHING = "–"
_TIME = re.compile(r"(\d\d:\d\d)(:\d\d)?(\.\d+)?([+-].+|Z)?")
# The type and the lines of the report's page. Its colours are mixed from those of the notebook, light or dark. The
# attribute, doubled, outweighs what notebooks say of tables, and reaches nothing else.
_TEXT_STYLE = """
[data-churnsurv] { --quiet: color-mix(in srgb, currentColor 70%, transparent);
  --line: color-mix(in srgb, currentColor 18%, transparent); overflow-x: auto;
  font: 13px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, "Noto Sans", "PingFang TC",
  "Microsoft JhengHei", "Noto Sans CJK TC", "Noto Sans TC", sans-serif; }
[data-churnsurv][data-churnsurv] p { font-size: 14px; margin: 4px 0 10px; max-width: 90ch; }
"""
_LIST_STYLE = """
[data-churnsurv][data-churnsurv] ul { margin: 6px 0; padding-left: 18px; max-width: 100ch; }
[data-churnsurv][data-churnsurv] li { margin: 2px 0; }
"""
_TABLE_STYLE = """
[data-churnsurv][data-churnsurv] table ~ :is(p, ul) { color: var(--quiet); font-size: 12px; margin: 6px 0; }
[data-churnsurv][data-churnsurv] table { border: 0 solid currentColor; border-width: 1.5px 0; border-collapse: collapse;
  font-size: 12.5px; line-height: 1.4; margin: 0 0 8px; }
[data-churnsurv][data-churnsurv] tr:nth-child(n):nth-child(n) { background: none; border: 0; }
[data-churnsurv][data-churnsurv] :is(th, td) { background: none; border: 0; border-bottom: 1px solid var(--line);
  padding: 4px 0; padding-right: 20px; text-align: left; vertical-align: top; white-space: nowrap; }
[data-churnsurv][data-churnsurv] thead th { border-bottom-color: currentColor; color: var(--quiet); font-weight: 600;
  vertical-align: bottom; }
[data-churnsurv][data-churnsurv] :is(th, td):last-child { padding-right: 0; }
[data-churnsurv][data-churnsurv] tbody tr:last-child td { border-bottom: 0; }
[data-churnsurv][data-churnsurv] [data-n] { text-align: right; font-variant-numeric: tabular-nums; }
[data-churnsurv][data-churnsurv] [data-long] { white-space: normal; min-width: 22em; max-width: 40em;
  overflow-wrap: anywhere; }
"""


def as_html(
    headline: str, table: pd.DataFrame | None = None, *, rows: int | None = None, notes: Iterable[str] = ()
) -> str:
    """Return a result as HTML for a notebook; every text is escaped.

    Parameters
    ----------
    headline : str
    table : DataFrame, optional
        Its first `SHOWN` rows are shown.
    rows : int, optional
        Rows in all, where the table holds only the first ones.
    notes : iterable of str

    Examples
    --------
    >>> import pandas as pd
    >>> text = as_html("1 <b>", pd.DataFrame({"n": [1200], "share": [0.41372]}))
    >>> text[text.index("<p>"):]  # doctest: +ELLIPSIS
    '<p>1 &lt;b&gt;</p><table>...<td data-n>1,200</td><td data-n>0.4137</td></tr></tbody></table></div>'
    """
    shown = "" if table is None else _table(table.head(SHOWN))
    more = 0 if table is None else (len(table) if rows is None else rows) - min(len(table), SHOWN)
    rest = f"<p>{more:,} more {'row' if more == 1 else 'rows'}; <code>.table</code> has them all</p>" if more else ""
    said = "".join(f"<li>{html.escape(str(note))}</li>" for note in notes)
    listed = f"<ul>{said}</ul>" if said else ""
    style = _TEXT_STYLE + (_LIST_STYLE if said else "") + (_TABLE_STYLE if shown else "")
    # What scrolls is reached by the keyboard, and has a name there.
    reach = f' tabindex="0" role="region" aria-label="{html.escape(_label(headline))}"' if shown else ""
    said_first = f"<style>{' '.join(style.split())}</style><p>{html.escape(headline)}</p>"
    return f"<div data-churnsurv{reach}>{said_first}{shown}{rest}{listed}</div>"


def _label(headline: str) -> str:
    text = " ".join(headline.split()) or "table"
    return text if len(text) <= _LABEL else f"{text[:_LABEL].rstrip()}…"


def _table(table: pd.DataFrame) -> str:
    columns = [_column(str(table.columns[place]), table.iloc[:, place]) for place in range(table.shape[1])]
    heads = "".join(f'<th scope="col"{_mark(name, right)}>{html.escape(name)}</th>' for name, _, right in columns)
    cells = [[f"<td{_mark(text, right)}>{html.escape(text)}</td>" for text in texts] for _, texts, right in columns]
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in zip(*cells, strict=True))
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def _mark(text: str, right: bool) -> str:
    if right:
        return " data-n"
    return " data-long" if len(text) > _ONE_LINE else ""


def _column(name: str, values: pd.Series[Any]) -> tuple[str, list[str], bool]:
    """The name of a column, its texts, and whether it holds numbers."""
    known = [value for value in values.tolist() if not is_missing(value)]
    numeric = bool(known) and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in known)
    if not numeric:
        return name, [_text(value) for value in values.tolist()], False
    if name == "id" or name.endswith("_id"):  # a number that is a name has no thousands
        return name, [_NOTHING if is_missing(value) else str(value) for value in values.tolist()], True
    digits = _decimals([float(value) for value in known])
    say = _p_value if name == "p_value" or name.endswith("_p_value") else lambda value: _number(value, digits)
    return name, [_NOTHING if is_missing(value) else say(float(value)) for value in values.tolist()], True


def _decimals(values: list[float]) -> int | None:
    """
    As many decimals as give the largest number of a column four digits; none where all are whole.

    None at all, so that each number has its own, where they would leave the smallest fewer than two digits, or fewer
    than three beside hundreds: the numbers of such a column are not of one quantity.

    Examples
    --------
    >>> _decimals([0.25, 0.01]), _decimals([812.3, 40.0]), _decimals([812.3, 1.25]), _decimals([5.0, 0.002])
    (4, 1, None, None)
    """
    finite = [abs(value) for value in values if math.isfinite(value) and value]
    if not finite or all(value.is_integer() for value in finite):
        return 0
    digits = min(max(4 - math.ceil(math.log10(max(finite))), 0), 8)
    least = 10.0 ** ((2 if max(finite) >= 100 else 1) - digits)
    return digits if min(finite) >= least else None


def _number(value: float, digits: int | None) -> str:
    """
    A number with so many decimals, or with four digits of its own; one that decimals would hide in full.

    Examples
    --------
    >>> _number(12345.6, 0), _number(0.25, 4), _number(1e-9, 4), _number(float("inf"), 2)
    ('12,346', '0.2500', '1e-09', '∞')
    >>> _number(12345.6, None), _number(0.23451, None), _number(0.1, None), _number(9999.7, None)
    ('12,346', '0.2345', '0.1', '10,000')
    """
    if not math.isfinite(value):
        return "∞" if value > 0 else "-∞"
    if digits is None:
        return f"{value:,.0f}" if 1000 <= abs(value) < 1e15 else f"{value:.4g}"
    text = f"{value:,.{digits}f}"
    hidden = value and not text.strip("-0.,")
    return f"{value:.3g}" if hidden or abs(value) >= 1e15 else text


def _p_value(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _text(value: Any) -> str:
    if is_missing(value):
        return _NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if hasattr(value, "isoformat"):
        return _moment(value)
    if isinstance(value, (list, tuple)):
        value = ", ".join(map(str, value))
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _moment(value: Any) -> str:
    """
    A day or a time, as ISO writes it but for the T, without what is nought at its end.

    Examples
    --------
    >>> import pandas as pd
    >>> _moment(pd.Timestamp("2024-05-01")), _moment(pd.Timestamp("2024-05-01 09:30", tz="Asia/Taipei"))
    ('2024-05-01', '2024-05-01 09:30+08:00')
    >>> _moment(pd.Timestamp("2024-05-01 09:30:05.25"))
    '2024-05-01 09:30:05.250'
    """
    text = str(value.isoformat())
    day, _, time = text.partition("T")
    found = _TIME.fullmatch(time)
    if found is None:  # a day, or what is no time of a day
        return text
    minutes, seconds, fraction, zone = found.groups(default="")
    if (minutes, seconds.strip(":0"), fraction.strip(".0"), zone) == ("00:00", "", "", ""):
        return day
    shortened = fraction if fraction.strip(".0") else ""
    shortened = shortened[:4] if not shortened[4:].strip("0") else shortened
    return f"{day} {minutes}{seconds if shortened or seconds != ':00' else ''}{shortened}{zone}"
