"""Rules, objectives and groups of warnings in the words of a language; in English as results write them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from churnsurv.notes import Note, note
from churnsurv.plots.text import shown
from churnsurv.report.catalogue import Catalogue
from churnsurv.report.group_names import column_of
from churnsurv.tables.said import said_group, said_rule, said_saving, said_variable

__all__ = ["by_words", "group_of", "objective_of", "rule_of", "saving_of", "value_words", "variable_of"]


def rule_of(words: Catalogue, rule: object) -> str:
    """Return a rule, or the form of one.

    Examples
    --------
    >>> from churnsurv.report.catalogue import catalogue
    >>> rule_of(catalogue("zh-Hant"), "idle_days > 15"), rule_of(catalogue("en"), "idle_days > 15")
    ('閒置天數 > 15', 'idle_days > 15')
    """
    return words.note(said_rule(str(rule)))


def saving_of(words: Catalogue, saving: object) -> str:
    """Return the name of a saving curve that is tried."""
    return words.note(said_saving(str(saving)))


def variable_of(words: Catalogue, variable: object) -> str:
    """Return the name of a variable that rules look at."""
    return words.note(said_variable(str(variable)))


def value_words(words: Catalogue, *, variables: Iterable[object] = (), rules: Iterable[object] = ()) -> dict[str, str]:
    """Return what a figure calls variables and rules of its data, where the language has other words for them.

    Examples
    --------
    >>> from churnsurv.report.catalogue import catalogue
    >>> value_words(catalogue("zh-Hant"), variables=["balance", "age"])
    {'value.balance': '餘額'}
    """
    said = {str(each): variable_of(words, each) for each in variables}
    said |= {str(each): rule_of(words, each) for each in rules}
    return {f"value.{text}": other for text, other in said.items() if other != text}


def by_words(words: Catalogue, risk: Any) -> str:
    """Return the names of the columns that a risk is split by."""
    said = [column_of(words, each) if words.has(f"column.{each}") else variable_of(words, each) for each in risk.by]
    return " | ".join(map(shown, said))


def group_of(words: Catalogue, risk: Any, group: object) -> str:
    """Return the name of a group of a risk; small groups together have another name where they were pooled."""
    text = str(group)
    pooled = any(isinstance(each, Note) and each.template.startswith("Groups of fewer than") for each in risk.notes)
    return words.note(note("other") if text == "other" and pooled else said_group(text))


def objective_of(words: Catalogue, scheme: Any, row: Mapping[Any, Any]) -> str:
    """Return what a tier is for, of a row of its scheme's table."""
    objectives: dict[str, Mapping[str, Any]] = {tier.name: tier.objective for tier in scheme.tiers}
    plain = objectives.get(str(row["tier"]), {})
    kind = plain.get("kind")
    if kind == "precision":
        return words.text("objective.precision", target=f"{100 * float(plain['target']):.4g}")
    if kind == "capacity":
        return words.text("objective.capacity", n=f"{float(plain['per_day']):,.6g}")
    if kind == "value":
        value, cost = (f"{float(plain[name]):,.6g}" for name in ("saved_value", "contact_cost"))
        return words.text("objective.value", value=value, cost=cost, saving=_curve(words, plain["saving"]))
    return str(row["objective"])


def _curve(words: Catalogue, saving: Mapping[str, Any]) -> str:
    """The curve of how many contacts save."""
    shape = saving["shape"]
    if shape == "table":
        days = saving["idle_days"]
        return words.text("saving.table", first=f"{days[0]:g}", last=f"{days[-1]:g}")
    numbers = {name: f"{value:g}" for name, value in saving.items() if name != "shape"}
    return words.text(f"saving.{shape}", **numbers)
