"""From a parsed study file to its configuration, with every problem in it at once. Nothing here touches data."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import churnsurv.study.readers as read
from churnsurv.errors import described, did_you_mean
from churnsurv.study.config import Dated, Source, StudyConfig
from churnsurv.study.config_checks import Problem, check_together
from churnsurv.study.config_sections import SECTIONS

__all__ = ["read_config"]


def read_config(
    document: Mapping[str, Any], overrides: Mapping[str, object] | None = None
) -> tuple[StudyConfig, list[Problem]]:
    """Read a parsed study file.

    Parameters
    ----------
    document : mapping
        What `tomllib` returns.
    overrides : mapping, optional
        Values that replace those of the file, by dotted key: ``{"rule.idle_days": 45}``.

    Returns
    -------
    StudyConfig, list of Problem
        A key with a problem has its default in the configuration. No problem: the list is empty.

    Examples
    --------
    >>> config, problems = read_config({"rule": {"idle_day": 45}, "sources": {"events": "e.csv", "users": "u.csv"}})
    >>> problems[0].what
    "There is no such key. Did you mean 'idle_days'? Keys of [rule]: idle_days, activity, sensitivity."
    """
    problems: list[Problem] = []
    merged = _override(document, overrides or {}, problems)
    values: dict[str, Any] = {"sources": {}, "columns": {}}
    for section, body in merged.items():
        if section not in SECTIONS:
            hint = did_you_mean(section, SECTIONS)
            problems.append(Problem(section, f"There is no such section.{hint} Sections: {', '.join(SECTIONS)}."))
        elif section == "calendar":
            values["calendar"] = _read_calendar(body, problems)
        elif not isinstance(body, Mapping):
            problems.append(Problem(section, f"expected a section [{section}], found {described(body)}."))
        else:
            _read_section(section, body, values, problems)
    _fill_sources(values, problems)
    config = StudyConfig(**values)
    problems += check_together(config, [name for name, _ in SECTIONS["campaigns"].values()])
    return config, problems


def _read_calendar(body: Any, problems: list[Problem]) -> tuple[Dated, ...]:
    """The campaigns and holidays, each a section `[[calendar]]` of its own; those with a problem are left out."""
    if not isinstance(body, list) or not all(isinstance(entry, Mapping) for entry in body):
        what = f"expected sections [[calendar]], one for each campaign or holiday, found {described(body)}."
        problems.append(Problem("calendar", what))
        return ()
    entries = []
    for place, body_of_entry in enumerate(body, 1):
        where, before = f"calendar[{place}]", len(problems)
        values: dict[str, Any] = {"kind": None}
        _read_section("calendar", body_of_entry, values, problems, named=where)
        problems += [
            Problem(f"{where}.{key}", f"is missing. Such as {such}.")
            for key, such in (("name", 'name = "spring"'), ("first", "first = 2024-05-20"))
            if key not in body_of_entry
        ]
        if len(problems) > before:
            continue
        entry = Dated(**{"last": values["first"], **values})
        if entry.last < entry.first:
            problems.append(Problem(f"{where}.last", f"{entry.last} is before first, {entry.first}."))
        entries.append(entry)
    return tuple(entries)


def _read_section(
    section: str, body: Mapping[str, Any], values: dict[str, Any], problems: list[Problem], *, named: str = ""
) -> None:
    keys = SECTIONS[section]
    target = values[section] if section in ("sources", "columns") else values
    for key, value in body.items():
        where = f"{named or section}.{key}"
        if key not in keys:
            hint = did_you_mean(key, keys)
            what = f"There is no such key.{hint} Keys of [{section}]: {', '.join(keys)}."
            problems.append(Problem(where, what))
            continue
        name, reader = keys[key]
        try:
            target[name] = reader(value)
        except read.ManyRefusedError as wrong:
            problems += [Problem(f"{where}.{place}", what) for place, what in wrong.problems]
        except read.RefusedValueError as wrong:
            problems.append(Problem(where, str(wrong)))


def _fill_sources(values: dict[str, Any], problems: list[Problem]) -> None:
    values["sources"] = {
        name: Source(sql=value["sql"]) if isinstance(value, Mapping) else Source(path=value)
        for name, value in values["sources"].items()
    }
    named = {problem.where for problem in problems}
    for name in ("events", "users"):
        where = f"sources.{name}"
        if name not in values["sources"] and where not in named and "sources" not in named:
            what = f'is missing. Name the {name} table: {name} = "{name}.parquet" or {{ sql = "SELECT ..." }}.'
            problems.append(Problem(where, what))


def _override(document: Mapping[str, Any], overrides: Mapping[str, object], problems: list[Problem]) -> dict[str, Any]:
    merged: dict[str, Any] = copy.deepcopy(dict(document))
    for dotted, value in overrides.items():
        *path, last = dotted.split(".")
        if not path or not all([*path, last]):
            what = "cannot be set. Write section.key=value, such as rule.idle_days=45."
            problems.append(Problem(dotted or "(empty)", what))
            continue
        body = merged
        for part in path:
            if not isinstance(body.get(part), dict):
                body[part] = {}
            body = body[part]
        body[last] = value
    return merged
