"""Method in a few lines, and what it takes to make the same report again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from churnsurv.report.material import Material
from churnsurv.report.model import Block, Listing, Section, Sentence
from churnsurv.report.pieces import table

__all__ = ["method_section", "reproduce_section", "versions"]

_VERSION_KEYS = ("versions", "packages")


def method_section(material: Material) -> Section:
    """Return the notes on the methods that were used."""
    words = material.words
    notes: list[Sentence] = [words.say("method.spell")]
    if material.curves:
        curves = next(iter(material.curves.values())).result
        cluster = getattr(curves, "cluster", None)
        ci = str(getattr(curves, "ci", "log-log"))
        if cluster:
            notes.append(words.say("method.kaplan_meier_cluster", ci=ci, cluster=str(cluster)))
        else:
            notes.append(words.say("method.kaplan_meier", ci=ci))
        notes.append(words.say("method.entry"))
    if material.tests:
        notes.append(words.say("method.logrank"))
    if material.cox is not None:
        ties = str(material.cox.ties)
        if ties == "grouped":
            notes.append(words.say("method.cox_grouped"))
        else:
            notes.append(words.say("method.cox", ties=f"{ties[:1].upper()}{ties[1:]}'s"))
    if material.sweep is not None:
        notes.append(words.say("method.sweep"))
    if material.idle_risk is not None:
        notes.append(words.say("method.idle_risk"))
    if material.tiers is not None:
        notes.append(words.say("method.tiers"))
    if material.backtest is not None:
        notes.append(words.say("method.backtest"))
    if material.lift is not None:
        notes.append(words.say("method.recall" if material.lift.design == "randomised" else "method.recall_observed"))
    notes.append(words.say("method.multiple"))
    return Section("method", words.text("method.title"), (Listing(tuple(notes)),))


def reproduce_section(material: Material) -> Section:
    """Return versions, inputs with their hashes, and the configuration."""
    words, given = material.words, material.provenance
    blocks: list[Block] = [words.say("repro.same")]
    if given.get("seed") is not None:
        blocks.append(words.say("repro.seed", seed=str(given["seed"])))
    packages = versions(given)
    if packages:
        headings = [words.text("repro.package"), words.text("repro.version")]
        rows = [(name, str(version)) for name, version in packages.items()]
        blocks.append(table(words.text("repro.versions"), headings, rows, numeric_from=2))
    headings = [words.text("repro.key"), words.text("repro.value")]
    rest = {k: v for k, v in given.items() if k not in {*_VERSION_KEYS, "seed", "inputs"}}
    for key, values in (("inputs", given.get("inputs")), ("other", rest), ("config", material.config)):
        rows = list(_flat(values)) if values else []
        if rows:
            blocks.append(table(words.text(f"repro.{key}"), headings, rows, numeric_from=2))
    return Section("reproduce", words.text("repro.title"), tuple(blocks))


def versions(provenance: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the versions of a provenance, under either name."""
    return next((dict(provenance[key]) for key in _VERSION_KEYS if provenance.get(key)), {})


def _flat(values: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Keys of nested mappings joined by dots, lists in one line; what is null or empty is left out."""
    if isinstance(values, Mapping):
        for key, value in values.items():
            yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(values, (list, tuple)) and values:
        items = (
            " ".join(f"{key}={item}" for key, item in value.items()) if isinstance(value, Mapping) else str(value)
            for value in values
        )
        yield prefix, ", ".join(items)
    elif values is not None and values != [] and values != ():
        yield prefix, str(values)
