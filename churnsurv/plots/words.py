"""The words that figures write themselves; a caller replaces any of them with `words={...}`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from churnsurv.errors import InputError, did_you_mean

__all__ = ["WORDS", "chosen_words"]

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
    }
)


def chosen_words(words: Mapping[str, str] | None, own: Mapping[str, str] | None = None) -> Mapping[str, str]:
    """Return the words with the caller's own in their place.

    Parameters
    ----------
    words : mapping or None
        What the caller replaces.
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
        if name not in known:
            raise InputError(f"Figures have no word {name!r}.{did_you_mean(name, known)} Words: {', '.join(known)}.")
    return {**known, **(words or {})}
