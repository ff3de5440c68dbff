"""Texts that tables and notes hold as one piece, such as a rule, as notes that a report says in its language."""

from __future__ import annotations

import re
from collections.abc import Iterable

from churnsurv.notes import Note, note

__all__ = [
    "said_as",
    "said_covariate",
    "said_group",
    "said_list",
    "said_name",
    "said_rule",
    "said_saving",
    "said_variable",
]

_NUMBER = r"-?[\d,.]+(?:e[+-]?\d+)?"
_CONDITION = re.compile(rf"(.+?) (<=|>=|<|>)(?: ({_NUMBER}))?(?: and |$)")
_BETWEEN = ") or ("
_LONGEST = 1_000  # characters; a longer text is none of our rules


def said_rule(text: str) -> str:
    """Return the text of a rule, or of its form, as a note; a text that is neither as it is.

    Parameters
    ----------
    text : str
        As `str` of a `churnsurv.warning.rules.Rule` makes it, or without its thresholds.

    Examples
    --------
    >>> said = said_rule("(idle_days > 12 and balance < 100) or (idle_days > 20)")
    >>> said, said.template
    ('(idle_days > 12 and balance < 100) or (idle_days > 20)', '({conditions}) or ({others})')
    >>> said_rule("the rule of the house")
    'the rule of the house'
    """
    if text == "contact nobody":
        return note("contact nobody")
    if len(text) > _LONGEST:
        return text
    if text.startswith("(") and text.endswith(")") and _BETWEEN in text:
        first, second = (_conditions(each) for each in text[1:-1].split(_BETWEEN, 1))
        said = (
            None if not first or not second else note("({conditions}) or ({others})", conditions=first, others=second)
        )
    else:
        said = _conditions(text)
    return text if said is None or str(said) != text else said


def _conditions(text: str) -> Note | None:
    """Conditions that must all hold; None where the text is none."""
    said: Note | None = None
    for variable, sign, threshold in _CONDITION.findall(text):
        named = said_variable(variable)
        if threshold:
            one = note("{variable} {sign} {threshold}", variable=named, sign=sign, threshold=threshold)
        else:
            one = note("{variable} {sign}", variable=named, sign=sign)
        said = one if said is None else note("{conditions} and {condition}", conditions=said, condition=one)
    return said


def said_variable(name: str) -> str:
    """Return what a rule looks at as a note; a name of the user's as it is.

    Examples
    --------
    >>> said_variable("value over waiting (high)").fields["tier"], said_variable("balance")
    ('high', 'balance')
    """
    known = {
        "idle_days": note("idle_days"),
        "P(churn)": note("P(churn)"),
        "score": note("score"),
        "value over waiting": note("value over waiting"),
        "balance": note("balance"),
        "n_investments": note("n_investments"),
        "total_amount": note("total_amount"),
        "max_amount": note("max_amount"),
        "ever_boosted": note("ever_boosted"),
        "boosted_share": note("boosted_share"),
    }
    beside = re.fullmatch(r"value over waiting \((.+)\)", name)
    return note("value over waiting ({tier})", tier=beside[1]) if beside else known.get(name, name)


def said_covariate(name: str) -> str:
    """Return what campaigns are adjusted for as a note; a name of the user's as it is.

    Examples
    --------
    >>> said_covariate("tenure"), said_covariate("tenure").template, said_covariate("device: web")
    ('tenure', 'tenure at assignment', 'device: web')
    """
    known = {
        "pre_active_days": note("pre_active_days"),
        "pre_invested": note("pre_invested"),
        "pre_balance": note("pre_balance"),
        "pre_idle_days": note("pre_idle_days"),
        "tenure": said_as("tenure", note("tenure at assignment")),
    }
    return known.get(name, name)


def said_as(text: str, other: Note) -> Note:
    """Return a text that reports say as they say another one: for words that English uses in several senses.

    Examples
    --------
    >>> said_as("balance", note("balance of the arms")).template
    'balance of the arms'
    """
    return Note(text, other.template, other.fields)


def said_saving(text: str) -> str:
    """Return the name of a saving curve that a sensitivity analysis tries as a note.

    Parameters
    ----------
    text : str
        As `churnsurv.warning.Saving.variants` makes it.

    Examples
    --------
    >>> said_saving("top 0.225").template, said_saving("as stated").template
    ('top {value}', 'as stated')
    """
    fixed = {
        "as stated": note("as stated"),
        "lower limits": note("lower limits"),
        "upper limits": note("upper limits"),
    }
    name, _, value = text.rpartition(" ")
    number = {
        "top": note("top {value}", value=value),
        "middle": note("middle {value}", value=value),
        "idle_days": note("idle_days {value}", value=value),
        "s times": note("s times {value}", value=value),
    }
    return fixed.get(text) or number.get(name) or text


def said_list(items: Iterable[str]) -> str:
    """Return items one after the other, with the comma that lists have in the language.

    Examples
    --------
    >>> said_list(["sms 31", "push 12"]), said_list([])
    ('sms 31, push 12', '')
    """
    texts = list(items)
    if len(texts) < 2:
        return texts[0] if texts else ""
    half = len(texts) // 2  # by halves, so that a thousand items are no thousand notes inside each other
    return note("{some}, {others}", some=said_list(texts[:half]), others=said_list(texts[half:]))


def said_group(text: str) -> str:
    """Return the name of a group of users as a note where it is one of ours: bands, and those without a value.

    Parameters
    ----------
    text : str
        As the tables of idle risk and tiers have it; of several columns with " | " between their values.

    Examples
    --------
    >>> said_group("100 to below 1,000").template, said_group("tv")
    ('{low} to below {high}', 'tv')
    """
    parts = [_group(each) for each in text.split(" | ")] if len(text) <= _LONGEST else [text]
    said: str = parts[0]
    for each in parts[1:]:
        said = note("{some} | {others}", some=said, others=each)
    return said if any(isinstance(each, Note) for each in parts) else text


def _group(text: str) -> str:
    if text in ("(missing)", "all users"):
        return note("(missing)") if text == "(missing)" else note("all users")
    if found := re.fullmatch(rf"below ({_NUMBER})", text):
        return note("below {cut}", cut=found[1])
    if found := re.fullmatch(rf"({_NUMBER}) to below ({_NUMBER})", text):
        return note("{low} to below {high}", low=found[1], high=found[2])
    if found := re.fullmatch(rf"({_NUMBER}) and above", text):
        return note("{cut} and above", cut=found[1])
    return text


def said_name(name: str) -> Note:
    """Return a user's own name as Python writes it; a report has the quotes of its language.

    Examples
    --------
    >>> said_name("tv"), said_name("tv").fields["name"]
    ("'tv'", 'tv')
    """
    made = note("'{name}'", name=name)
    return Note(repr(str(name)), made.template, made.fields)
