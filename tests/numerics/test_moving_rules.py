"""Rules over states that move, against gaps walked day by day and rules listed one by one."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churnsurv.numerics.first_hits import first_hit_days, movers_of
from churnsurv.numerics.moving_rules import MovingCounts, n_conditions, ranked
from churnsurv.numerics.precision_bound import lower_bounds
from churnsurv.numerics.rule_search import RuleFamily, alert_counts

from .brute_rules import all_rules, holds
from .brute_rules import n_conditions as conditions_of

ORDERS = (None, "decreasing", "increasing")
BLOCKS = 4


@st.composite
def worlds(draw):
    """A family, and gaps of which each has cells of two variables on every idle day; some of them stay."""
    family = RuleFamily(
        n_splits=draw(st.integers(1, 2)),
        n_cuts=draw(st.integers(0, 2)),
        n_days=draw(st.integers(2, 4)),
        split_order=draw(st.sampled_from(ORDERS)),
        cut_order=draw(st.sampled_from(ORDERS)),
    )
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    n, days = 30, family.n_days
    cells = [rng.integers(0, m + 2, (n, days)) for m in (family.n_splits, family.n_cuts)]
    stays = rng.random(n) < draw(st.sampled_from([0.0, 0.5]))
    for each in cells:
        each[stays] = each[stays, :1]
        # most variables move once or twice
        for row in range(0, n, 3):
            each[row, days // 2 :] = each[row, 0]
    gaps = {
        "block": rng.integers(0, BLOCKS, n),
        "duration": rng.integers(1, days + 3, n),
        "n": rng.integers(1, 4, n),
        "until": rng.integers(1, days + 3, n),
    }
    return family, cells, stays, gaps


def counted(family, cells, stays, gaps):
    idle = family.n_days + 1
    still = [each[stays, 0] for each in cells]
    staying = alert_counts(
        gaps["block"][stays],
        *still,
        gaps["duration"][stays],
        gaps["n"][stays],
        shape=(BLOCKS, family.n_splits + 2, family.n_cuts + 2),
        idle_days=idle,
        until=gaps["until"][stays],
    )
    moved = {name: each[~stays] for name, each in gaps.items()}
    movers = movers_of(
        moved["block"],
        np.arange((~stays).sum()),
        moved["duration"],
        moved["n"],
        first=cells[0][~stays],
        second=cells[1][~stays],
        idle_days=idle,
        until=moved["until"],
    )
    return MovingCounts(staying, movers, family)


def alert_day(rule, family, first, second):
    """The first idle day on which a rule holds for the states of a gap; n_days + 1 for never."""
    split, *sides = rule
    for day in range(1, family.n_days + 1):
        for place, (condition, since) in zip(
            (split, family.n_splits + split if split else 0), (sides[:2], sides[2:]), strict=True
        ):
            if (
                since
                and day >= since
                and holds(place, first[day - 1], family.n_splits)
                and holds(condition, second[day - 1], family.n_cuts)
            ):
                return day
    return family.n_days + 1


def walked(rule, family, cells, gaps, weight, cost):
    """Alerts, churners and lead of a rule by block, gap by gap."""
    found = np.zeros((3, BLOCKS))
    for gap, n in enumerate(gaps["n"]):
        day = alert_day(rule, family, cells[0][gap], cells[1][gap])
        if day <= family.n_days and gaps["duration"][gap] > day and gaps["until"][gap] > day:
            right = gaps["duration"][gap] > family.n_days + 1
            found[:, gaps["block"][gap]] += n * np.array([1, right, right * weight[day - 1] - cost])
    return found


def in_family(rule, family):
    """Whether a rule keeps the orders: of the conditions, and of the days and conditions of the two sides."""
    split, first, first_day, second, second_day = rule
    m = family.n_cuts
    for condition, day in ((first, first_day), (second, second_day)):
        if day and family.cut_order == "decreasing" and condition > m:
            return False
        if day and family.cut_order == "increasing" and 1 <= condition <= m:
            return False
    if not split or family.split_order is None:
        return True
    lead, follow = (first, first_day), (second, second_day)
    if family.split_order == "increasing":
        lead, follow = follow, lead
    if not follow[1]:
        return True
    within = all(holds(lead[0], j, m) for j in range(m + 2) if holds(follow[0], j, m))
    return bool(lead[1]) and lead[1] <= follow[1] and within


@settings(max_examples=40)
@given(worlds(), st.integers(0, 1000))
def test_listed_rules_and_their_totals_are_those_of_gaps_one_by_one(world, seed):
    family, cells, _, gaps = world
    counts, rng = counted(*world), np.random.default_rng(seed)
    weight, cost = np.round(rng.uniform(0, 5, family.n_days), 1), 0.5
    listed = {}
    for each in counts.listed(weight, cost):
        flat = np.flatnonzero(each.allowed)
        for rule, *totals in zip(
            each.rules(flat, family), *(v.flat[flat] for v in (each.alerts, each.churned, each.lead, each.penalty)),
            strict=True,
        ):  # fmt: skip
            listed[tuple(rule.tolist())] = totals
    wanted = [rule for rule in all_rules(family) if rule[2] + rule[4] > 0 and in_family(rule, family)]
    options = counts.options()
    for rule in [wanted[i] for i in rng.permutation(len(wanted))[:25]]:
        by_block = walked(rule, family, cells, gaps, weight, cost)
        alerts, churned, lead = by_block.sum(axis=1)
        assert (rule in listed) == (alerts > 0)
        if alerts > 0:
            assert listed[rule] == pytest.approx([alerts, churned, lead, conditions_of(rule)], abs=1e-9)
        one = np.array([rule])
        assert np.ravel(counts.totals(one, weight[None], cost)) == pytest.approx([alerts, lead], abs=1e-9)
        for mine, theirs in zip(counts.by_block(options, one, weight, cost), by_block, strict=True):
            np.testing.assert_allclose(mine[:, 0], theirs, atol=1e-5)
        assert n_conditions(one)[0] == conditions_of(rule)
    assert set(listed) <= set(wanted)


@settings(max_examples=40)
@given(worlds(), st.sampled_from(["value", "capacity", "precision"]))
def test_the_first_of_the_ranking_is_the_best_of_all_rules(world, kind):
    family, cells, _, gaps = world
    counts = counted(*world)
    weight, cost = np.linspace(4, 1, family.n_days), 1.0 if kind == "value" else 0.0
    per_condition = 1e-4
    options, by_rule = counts.options(), {}
    for rule in all_rules(family):
        if rule[2] + rule[4] == 0 or not in_family(rule, family):
            continue
        by_block = walked(rule, family, cells, gaps, weight, cost)
        alerts, _, lead = by_block.sum(axis=1)
        bound = lower_bounds(by_block[1][:, None], by_block[0][:, None], level=0.8)[0]
        fine = {"value": True, "capacity": alerts <= 8, "precision": bound >= 0.4}[kind]
        score = lead - per_condition * conditions_of(rule)
        if alerts > 0 and fine:
            by_rule[rule] = score

    def fits(listed):
        if kind != "precision":
            return listed.alerts <= (8 if kind == "capacity" else np.inf)
        found = np.zeros(listed.alerts.shape, dtype=bool)
        flat = np.flatnonzero(listed.allowed)
        alerts, churned, _ = counts.by_block(options, listed.rules(flat, family), weight)
        found.flat[flat] = lower_bounds(churned, alerts, level=0.8) >= 0.4
        return found

    listed = counts.listed(weight, cost)
    found = ranked([(family, listed)], per_condition=per_condition, per_alert=0.0, most=50, fits=fits)
    best = sorted(by_rule.values(), reverse=True)
    assert found.n_rules == len(best)
    assert found.score == pytest.approx(best[:50], abs=1e-5)
    for rule, score in zip(found.rules.tolist(), found.score, strict=True):
        assert by_rule[tuple(rule)] == pytest.approx(score, abs=1e-5)


@settings(max_examples=40)
@given(worlds())
def test_first_days_are_those_of_the_walk(world):
    family, _, stays, _ = world
    if stays.all():
        return
    movers = counted(*world).movers
    rules = list(itertools.islice(all_rules(family), 1, None, 7))
    days = first_hit_days(np.array(rules), movers, family)
    for row, rule in zip(days, rules, strict=True):
        for path, day in enumerate(row):
            assert day == alert_day(rule, family, movers.first[path], movers.second[path])
