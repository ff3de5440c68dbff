"""Bands of a variable, which tables name in English: their ends, and what a figure calls them."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["band_ends", "band_said", "group_said", "others_said", "value_said"]

Ends = tuple[float | None, float | None]

_BETWEEN = re.compile(r"below (?P<below>\S+)|(?P<from>\S+) to below (?P<to>\S+)|(?P<above>\S+) and above")
_OWN = {"(missing)": "band.missing", "other": "band.other"}


def band_ends(label: str) -> Ends | None:
    """Return the ends of a band from its name; None for a group that is none.

    Examples
    --------
    >>> band_ends("below 1,000"), band_ends("10 to below 20"), band_ends("below par")
    ((None, 1000.0), (10.0, 20.0), None)
    """
    found = _BETWEEN.fullmatch(label)
    if found is None:
        return None
    ends = {name: None if text is None else _number(text) for name, text in found.groupdict().items()}
    if any(text is not None and ends[name] is None for name, text in found.groupdict().items()):
        return None
    low = ends["from"] if ends["above"] is None else ends["above"]
    return low, ends["to"] if ends["below"] is None else ends["below"]


def _number(text: str) -> float | None:
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return None


def band_said(said: Mapping[str, str], label: str) -> str:
    """Return the name of a band in the words of the figure; a user's own name stays as it is.

    A word "value.<label>" of the caller goes before all others.

    Examples
    --------
    >>> from churnsurv.plots.words import WORDS
    >>> band_said(WORDS, "1,000 and above"), band_said(WORDS, "sms"), band_said({"band.below": "未滿{high}"}, "below 9")
    ('1,000 and above', 'sms', '未滿9')
    """
    if f"value.{label}" in said:
        return said[f"value.{label}"]
    if label in _OWN:
        return said[_OWN[label]]
    ends = band_ends(label)
    if ends is None:
        return label
    low, high = (None if end is None else f"{end:,.12g}" for end in ends)
    kind = "below" if low is None else "above" if high is None else "between"
    return said[f"band.{kind}"].format(low=low, high=high)


def value_said(said: Mapping[str, str], text: str) -> str:
    """Return what the caller calls a text of the data, such as a variable or a rule; else the text itself.

    Examples
    --------
    >>> value_said({"value.balance": "餘額"}, "balance"), value_said({}, "balance")
    ('餘額', 'balance')
    """
    return said.get(f"value.{text}", text)


def group_said(said: Mapping[str, str], group: str) -> str:
    """Return the name of a group, its parts by several columns each in the words of the figure."""
    if f"value.{group}" in said:
        return said[f"value.{group}"]
    return " | ".join(band_said(said, part) for part in group.split(" | "))


def others_said(said: Mapping[str, str], others: str) -> str:
    """Return the bands of further variables, "balance below 100, n_logins 1 and above", in the words of the figure.

    Examples
    --------
    >>> from churnsurv.plots.words import WORDS
    >>> others_said(WORDS, "balance below 100, n_logins 1 to below 8")
    'balance below 100, n_logins 1 to below 8'
    >>> others_said({**WORDS, "value.balance": "餘額", "band.below": "未滿{high}"}, "balance below 100")
    '餘額 未滿100'
    """
    parts = (part.partition(" ") for part in others.split(", "))
    return said["comma"].join(
        f"{value_said(said, variable)}{blank}{band_said(said, band)}" for variable, blank, band in parts
    )
