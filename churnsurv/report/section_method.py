"""Method in a few lines, and what it takes to make the same report again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from churnsurv.report.catalogue import name
from churnsurv.report.material import Material
from churnsurv.report.model import Block, Listing, Section, Sentence, Table
from churnsurv.report.pieces import table
from churnsurv.report.sources import PAGE, sources_of

__all__ = ["method_section", "reproduce_section", "versions"]

_VERSION_KEYS = ("versions", "packages")


def method_section(material: Material) -> Section:
    """Return the notes on the methods that were used, and where they come from."""
    words = material.words
    blocks: list[Block] = [Listing(tuple(_notes(material))), words.say("method.page", page=PAGE), _sources(material)]
    return Section("method", words.text("method.title"), tuple(blocks))


def _notes(material: Material) -> Iterator[Sentence]:
    """One note for each method."""
    words = material.words
    yield words.say("method.spell")
    if material.curves:
        curves = next(iter(material.curves.values())).result
        cluster = getattr(curves, "cluster", None)
        ci = words.text(f"ci.{getattr(curves, 'ci', 'log-log')}")
        if cluster:
            yield words.say("method.kaplan_meier_cluster", ci=ci, cluster=name(cluster))
        else:
            yield words.say("method.kaplan_meier", ci=ci)
        yield words.say("method.entry")
    if material.tests:
        yield words.say("method.logrank")
    if material.cox is not None:
        ties = str(material.cox.ties)
        if ties == "grouped":
            yield words.say("method.cox_grouped")
        else:
            yield words.say("method.cox", ties=words.text(f"ties.{ties}"))
    if material.sweep is not None:
        yield words.say("method.sweep")
    if material.idle_risk is not None:
        yield words.say("method.idle_risk")
    if material.tiers is not None:
        yield words.say("method.tiers")
    if material.backtest is not None:
        yield words.say("method.backtest")
    if material.lift is not None:
        yield words.say("method.recall" if material.lift.design == "randomised" else "method.recall_observed")
    yield words.say("method.multiple")


def _sources(material: Material) -> Table:
    """The papers behind each method, in the language of the papers, and the chapter that has the formulas."""
    words = material.words
    headings = [words.text(f"method.{key}") for key in ("about", "chapter", "references")]
    rows = [
        (words.text(f"source.{key}"), str(source.chapter), source.references) for key, source in sources_of(material)
    ]
    return table(words.text("method.sources"), headings, rows, text_columns=(2,))


def reproduce_section(material: Material) -> Section:
    """Return versions, inputs with their hashes, and the configuration."""
    words, given = material.words, material.provenance
    blocks: list[Block] = [words.say("repro.same")]
    if given.get("seed") is not None:
        blocks.append(words.say("repro.seed", seed=str(given["seed"])))
    packages = versions(given)
    if packages:
        headings = [words.text("repro.package"), words.text("repro.version")]
        rows = [(package, str(version)) for package, version in packages.items()]
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
