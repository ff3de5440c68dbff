"""What rules bootstrap samples of users would have chosen under a limit of precision or of alerts.

For a benefit that adds up the samples are searched in full (`rule_search.best_rules`). Under a limit every sample would
have to list millions of rules; instead it chooses among the rules that come nearest to being chosen: ranked by the
squares of what they miss of the limit and of the largest lead, both in standard errors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit, ndtri

from churnsurv.numerics.precision_bound import wilson_lower
from churnsurv.numerics.rule_limits import BlockOptions, listed_rules, precision_bounds
from churnsurv.numerics.rule_search import AlertCounts, RuleFamily, rule_totals

__all__ = ["Limit", "chosen_by_samples", "short_of_limit", "within_limit"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

_NEAREST = 8_192


@dataclass(frozen=True, slots=True)
class Limit:
    """At least `target` of the alerts right, by the lower bound at `level`; or at most `most` alerts."""

    target: float | None = None
    most: float | None = None
    level: float = 0.95


def chosen_by_samples(
    parts: Sequence[tuple[AlertCounts, RuleFamily]],
    weight: Floats,
    samples: Floats,
    *,
    by_block: Callable[[int], BlockOptions],
    limit: Limit,
    lead: float,
    per_condition: float,
) -> tuple[Ints, Ints]:
    """Return the rule that each bootstrap sample of blocks would have chosen.

    Parameters
    ----------
    parts : sequence of (AlertCounts, RuleFamily)
        The same gaps over each ordered pair of variables.
    weight : (n_days,) float64
        What an alerted churner counts on each day.
    samples : (n_samples, n_blocks) float64
        How often each sample has drawn each block.
    by_block : callable
        `block_options` of the pair with this number; only a limit of precision asks for them.
    limit : Limit
    lead : float
        Of the rule that was chosen from all gaps.
    per_condition : float

    Returns
    -------
    (n_samples,) int64
        The pair of variables; -1 for nobody.
    (n_samples, 5) int64
        The rule, as in `rule_search.NOBODY`.
    """
    best = np.full(samples.shape[0], -np.inf)
    pair, rule = np.full(samples.shape[0], -1), np.zeros((samples.shape[0], 5), dtype=np.int64)
    for i, (counts, family) in enumerate(parts):
        rules, penalty = _near(counts, weight, family, limit, lead)
        if not rules.size:
            continue
        alerts, churned = (_sampled(each, samples) for each in (counts.alerts, counts.churned))
        n_alerts, n_right = rule_totals(alerts, rules, family), rule_totals(churned, rules, family)
        score = rule_totals(weight * churned, rules, family) - per_condition * penalty
        margin = _margins(by_block(i), counts, rules, family, limit.level) if limit.target is not None else None
        score[~within_limit(n_alerts, n_right, margin, limit)] = -np.inf
        at = score.argmax(axis=1)
        mine = score[np.arange(at.size), at]
        better = mine > best
        best[better], pair[better], rule[better] = mine[better], i, rules[at[better]]
    return pair, rule


def _sampled(counts: Floats, samples: Floats) -> Floats:
    flat = samples @ counts.reshape(counts.shape[0], -1)
    return np.asarray(flat.reshape(samples.shape[0], *counts.shape[1:]))


def _near(counts: AlertCounts, weight: Floats, family: RuleFamily, limit: Limit, lead: float) -> tuple[Ints, Floats]:
    """The rules that come nearest to being chosen, and how many conditions they have."""
    alerts, churned = counts.alerts.sum(axis=0), counts.churned.sum(axis=0)
    rules, penalty, missed = [np.zeros((0, 5), dtype=np.int64)], [np.zeros(0)], [np.zeros(0)]
    for listed in listed_rules(alerts, churned, weight * churned, family):
        flat = np.flatnonzero(listed.allowed)
        n, right, mine = (each.flat[flat] for each in (listed.alerts, listed.churned, listed.lead))
        far = short_of_limit(n, right, limit) ** 2 + (np.maximum(lead - mine, 0.0) / np.sqrt(max(lead, 1.0))) ** 2
        top = np.argpartition(far, _NEAREST)[:_NEAREST] if flat.size > _NEAREST else np.arange(flat.size)
        rules.append(listed.rules(flat[top], family))
        penalty.append(listed.penalty.flat[flat[top]])
        missed.append(far[top])
    every = np.argsort(np.concatenate(missed), kind="stable")[:_NEAREST]
    return np.concatenate(rules)[every], np.concatenate(penalty)[every]


def short_of_limit(alerts: Floats, churned: Floats, limit: Limit) -> Floats:
    """What rules miss of the limit, in standard errors of independent gaps."""
    if limit.target is None:
        return np.asarray(np.maximum(alerts - float(limit.most or 0.0), 0.0) / np.sqrt(alerts))
    bound = np.clip(wilson_lower(churned / alerts, alerts, float(ndtri(limit.level))), 1e-9, 1 - 1e-9)
    error = 1.0 / np.sqrt(alerts * bound * (1 - bound))
    return np.asarray(np.maximum(logit(limit.target) - logit(bound), 0.0) / error)


def within_limit(alerts: Floats, churned: Floats, margin: Floats | None, limit: Limit) -> NDArray[np.bool_]:
    """Whether rules keep the limit in each sample, the distance of bound and share being that of all gaps."""
    if limit.target is None:
        return np.asarray((alerts <= float(limit.most or 0.0)) & (alerts > 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.clip(churned / alerts, 1e-9, 1 - 1e-9)
        return np.asarray((alerts > 0) & (logit(share) - margin >= logit(limit.target)))


def _margins(by_block: BlockOptions, counts: AlertCounts, rules: Ints, family: RuleFamily, level: float) -> Floats:
    """How far the lower bound lies below the share, on the logit scale; shape (n_rules,)."""
    bound = precision_bounds(by_block, rules, family, level=level)
    alerts, churned = (
        rule_totals(each.sum(axis=0)[None], rules, family)[0] for each in (counts.alerts, counts.churned)
    )
    share, bound = (np.clip(each, 1e-9, 1 - 1e-9) for each in (churned / alerts, bound))
    return np.asarray(logit(share) - logit(bound))
