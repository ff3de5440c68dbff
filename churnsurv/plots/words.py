"""The words that figures write themselves; a caller replaces any of them with `words={...}`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from churnsurv.errors import InputError, did_you_mean

__all__ = ["WORDS", "chosen_words", "shared"]

WORDS: Mapping[str, str] = MappingProxyType(
    {
        "survival": "Share still active, with {level} intervals",
        "time": "{unit} since origin",
        "at_risk": "At risk",
        "many_ordered": "{n} groups, coloured from first to last",
        "many_grey": "{n} groups, most of them in grey",
        "many_drawn": "{n} groups, {m} of them drawn",
        "named": "named: {names}",
        "first": "first",
        "last": "last",
        "lowest": "lowest and highest on day {day}",
        "hazard_ratio": "Hazard ratio with {level} interval, log scale",
        "slower": "churns slower",
        "faster": "churns faster",
        "reference": "reference",
        "told_ratio": "hazard ratio {value}",
        "not_estimated": "not estimated",
        "idle_days": "Idle days that count as churn",
        "quantity.survival": "Share still active",
        "quantity.median": "Day by which half have churned",
        "quantity.hazard_ratio": "Hazard ratio, log scale",
        "quantity.return_share": "Share of churned who came back",
        "quantity.churned": "Share of spells seen to churn",
        "quantity.n_spells": "Spells",
        "missing_glyphs": "No installed font has {n} of the characters: they are spelled as U+ codes. "
        "Install a font such as Noto Sans CJK.",
        "units": "1e6 1e6 2 M; 1e4 1e3 1 k",
        "months": "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
        "bracketed": "{text} ({more})",
        "comma": ", ",
        "unit.days": "Days",
        "band.below": "below {high}",
        "band.between": "{low} to below {high}",
        "band.above": "{low} and above",
        "band.missing": "(missing)",
        "band.other": "other",
        "mark.all": "all users",
        "mark.at": "{where}: {text}",
        "mark.at_risk": "{n} at risk",
        "mark.day": "day {day}",
        "mark.days": "{n} days",
        "mark.idle_day": "idle day {day}",
        "mark.idle_days": "{day} idle days",
        "mark.next": "; ",
        "mark.of": "{one}, {other}",
        "mark.to": "{low} to {high}",
        "mark.users": "{n} users",
    }
)


def chosen_words(words: Mapping[str, str] | None, own: Mapping[str, str] | None = None) -> Mapping[str, str]:
    """Return the words with the caller's own in their place.

    Parameters
    ----------
    words : mapping or None
        What the caller replaces. A word "value.other" is what the figure calls the value "other" of its table.
    own : mapping, optional
        Words of one figure alone, beside those that all figures share.

    Raises
    ------
    InputError
        If a word is not one that the figure uses.

    Examples
    --------
    >>> chosen_words({"at_risk": "Users"})["at_risk"]
    'Users'
    """
    known = {**WORDS, **(own or {})}
    for name in words or {}:
        if name not in known and not name.startswith("value."):
            raise InputError(f"Figures have no word {name!r}.{did_you_mean(name, known)} Words: {', '.join(known)}.")
    return {**known, **(words or {})}


def shared(words: Mapping[str, str]) -> dict[str, str]:
    """Return those of the words of a figure that all figures share, for a figure that another one draws.

    Examples
    --------
    >>> shared({"units": "1e4 1e4 2 萬", "axis": "閒置天數"})
    {'units': '1e4 1e4 2 萬'}
    """
    return {name: text for name, text in words.items() if name in WORDS}
