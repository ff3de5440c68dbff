"""Rounder thresholds for a rule, where they cost next to nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.rule_limits import Listed, first_that, listed_rules
from churnsurv.numerics.rule_search import RuleFamily

__all__ = ["Roughness", "roundest", "roundest_listed"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Roughness:
    """How little round thresholds are: 0 is as round as can be; shapes (n_splits,), (n_cuts,), (n_days,)."""

    split: Floats
    cut: Floats
    day: Floats


def roundest(
    alerts: Floats,
    churned: Floats,
    benefit: Floats,
    family: RuleFamily,
    *,
    rule: Ints,
    roughness: Roughness,
    least: float,
    holds: Callable[[Ints], NDArray[np.bool_]],
) -> Ints:
    """Return the roundest rule of the same form with at least so much benefit; among equals the one with most.

    Rules have the same form if they compare the same variables by the same signs.

    Parameters
    ----------
    alerts, churned, benefit : (n_1, n_2, n_days) float64
    family : RuleFamily
    rule : (5,) int64
        As in `rule_search.NOBODY`.
    roughness : Roughness
    least : float
        The benefit that must be kept.
    holds : callable
        Whether rules, shape (n, 5), keep the limits that they must keep; shape (n,) bool.
    """
    most = float(np.abs(benefit).sum()) + 1.0
    listed = listed_rules(alerts, churned, benefit, family)
    return roundest_listed(listed, family, rule=rule, roughness=roughness, most=most, least=least, holds=holds)


def roundest_listed(
    rules_listed: Iterable[Listed],
    family: RuleFamily,
    *,
    rule: Ints,
    roughness: Roughness,
    most: float,
    least: float,
    holds: Callable[[Ints], NDArray[np.bool_]],
) -> Ints:
    """Return what `roundest` does, from rules that are listed already, with benefits (their lead) below `most`."""
    form = [_form(np.array([rule[i]]), np.array([rule[i + 1]]), family)[0] for i in (1, 3)]
    rough = _of_options(roughness)
    options = np.arange(family.n_conditions * family.n_days + 1)
    condition, day = np.divmod(options - 1, family.n_days)
    forms = _form(np.maximum(condition, 0), np.where(options > 0, day + 1, 0), family)
    found, keys = [rule[None]], [np.array([-np.inf])]
    for listed in rules_listed:
        if (listed.split > 0) != (rule[0] > 0):
            continue
        fits = (forms == form[0])[:, None] & ((forms == form[1])[None] if listed.split else np.array([[True]]))
        flat = np.flatnonzero(listed.allowed & fits & (listed.lead >= least))
        first, second = np.divmod(flat, listed.alerts.shape[1])
        total = rough[first] + rough[second]
        total += roughness.split[listed.split - 1] if listed.split else 0.0
        found.append(listed.rules(flat, family))
        keys.append(listed.lead.flat[flat] / most - total)
    rules, key = np.concatenate(found), np.concatenate(keys)
    at = first_that(lambda rows: holds(rules[rows]), np.arange(key.size), key)
    return rule if at is None else rules[at]


def _form(condition: Ints, day: Ints, family: RuleFamily) -> Ints:
    """0 never, 1 no condition, 2 below a cut, 3 at least a cut."""
    kind = np.where(condition == 0, 1, np.where(condition <= family.n_cuts, 2, 3))
    return np.asarray(np.where(day > 0, kind, 0))


def _of_options(roughness: Roughness) -> Floats:
    """Roughness of a side's options: never, then condition by day."""
    condition = np.concatenate([[0.0], roughness.cut, roughness.cut])
    return np.concatenate([[0.0], np.add.outer(condition, roughness.day).ravel()])
