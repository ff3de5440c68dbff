"""All rules of a small family, one by one, and what they do to each cell, from the comparisons themselves."""

import itertools

import numpy as np

__all__ = ["all_rules", "days_of", "holds", "in_order", "n_conditions", "totals_of"]


def all_rules(family):
    """Every rule, with its first days worked out cell by cell from the comparisons themselves."""
    options = [(e, d) for e in range(family.n_conditions) for d in range(1, family.n_days + 1)]
    rules = [(0, 0, 0, 0, 0)] + [(0, e, d, 0, 0) for e, d in options]
    for split in range(1, family.n_splits + 1):
        sides = [(0, 0), *options]
        rules += [(split, *low, *high) for low, high in itertools.product(sides, sides) if (low, high) != ((0, 0),) * 2]
    return rules


def holds(condition, cell, cuts):
    """Whether a cell of a variable with so many cuts fulfils a condition; the last cell is a missing value."""
    if condition == 0:
        return True
    if cell == cuts + 1:
        return False
    return cell < condition if condition <= cuts else cell >= condition - cuts


def days_of(rule, family):
    split, *sides = rule
    days = np.full((family.n_splits + 2, family.n_cuts + 2), family.n_days + 1)
    for i, j in np.ndindex(*days.shape):
        for place, (condition, day) in zip(
            (split, family.n_splits + split if split else 0), (sides[:2], sides[2:]), strict=True
        ):
            if day and holds(place, i, family.n_splits) and holds(condition, j, family.n_cuts):
                days[i, j] = day
    return days


def in_order(days, family):
    """Whether the rule warns along the orders that are demanded, among cells whose values are known."""
    for axis, order in enumerate((family.split_order, family.cut_order)):
        steps = np.diff(days, axis=axis)
        steps = steps[:-1] if axis == 0 else steps[:, :-1]
        if (order == "decreasing" and (steps < 0).any()) or (order == "increasing" and (steps > 0).any()):
            return False
    return True


def n_conditions(rule):
    split, first, first_day, second, second_day = rule
    return sum(1 + (split > 0) + (e > 0) for e, day in ((first, first_day), (second, second_day)) if day)


def totals_of(rule, family, values):
    """Sum of values (..., n_1, n_2, n_days) over the cells on their first days."""
    days = days_of(rule, family)
    return sum(
        (values[..., i, j, d - 1] for (i, j), d in np.ndenumerate(days) if d <= family.n_days),
        start=np.zeros(values.shape[:-3]),
    )
