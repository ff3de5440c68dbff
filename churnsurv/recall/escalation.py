"""Whether a second contact, such as an SMS some days after a push, brings back more of those who are still silent.

Two policies are compared: the first contact alone, and a second contact on day k to whoever is silent then. Where a
campaign drew users for the two at its start, the arms are compared as they are. Else the policies are followed in what
happened to be done: rows are copied into both, leave a copy when they depart from it, and are weighted by the inverse
of the chance to have stayed (`churnsurv.numerics.clone_censor`, Hernan 2018).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import FollowUpError, InputError, did_you_mean
from churnsurv.numerics.arm_influence import arm_cells, cell_curves
from churnsurv.numerics.clone_censor import copies, policy_risks
from churnsurv.recall.contact_chance import ContactChance, contact_chance
from churnsurv.survival.inputs import check_level
from churnsurv.tables import Result

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from churnsurv.data import ActivityLog
    from churnsurv.data.assigned import CampaignRows

__all__ = ["Escalation", "escalation_effect"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

FIRST = "first contact only"
_LARGE_WEIGHT = 20.0


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Escalation(Result):
    """Shares that return under the two policies. Made by `escalation_effect`.

    Attributes
    ----------
    day : int
        On which the second contact comes, the day of the first being 1.
    horizon : int
        Last day that a return counts on.
    difference, lower, upper : float
        Share returned by the horizon with the second contact, less that without.
    std_error, p_value : float
    method : {"clone-censor-weight", "randomised sequence"}
    n_users : int
        Users with a first contact.
    bootstrap : int
        Resamples of users; 0 where the sequence was randomised.
    level : float
    notes : tuple of str
        What a reader must know.
    """

    _schema: ClassVar[str] = "escalation"

    day: int
    horizon: int
    difference: float
    lower: float
    upper: float
    std_error: float
    p_value: float
    method: str
    n_users: int
    bootstrap: int
    level: float
    notes: tuple[str, ...]
    _table: pd.DataFrame
    _curves: pd.DataFrame
    _as_treated: pd.DataFrame

    @property
    def table(self) -> pd.DataFrame:
        """One row a policy, and one for their difference; schema "escalation"."""
        return self._table.copy()

    @property
    def curves(self) -> pd.DataFrame:
        """Share returned by each day; schema "escalation_curves"."""
        return self._curves.copy()

    @property
    def as_treated(self) -> pd.DataFrame:
        """Who was contacted again on the day against who never was: no comparison of policies, see the notes."""
        return self._as_treated.copy()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the share returned by day under each policy; see `churnsurv.plots.escalation_curves`."""
        from churnsurv.plots import escalation_curves

        axes: Axes = escalation_curves(self._curves, ax, day=self.day, level=self.level)
        return axes

    def _headline(self) -> str:
        return (
            f"a second contact on day {self.day} brings back {1000 * self.difference:+.0f} per 1,000 "
            f"({1000 * self.lower:+.0f} to {1000 * self.upper:+.0f}) by day {self.horizon}, {self.method}"
        )

    def _facts(self) -> dict[str, Any]:
        names = ("day", "horizon", "difference", "lower", "upper", "std_error", "p_value", "method", "n_users")
        return {name: getattr(self, name) for name in (*names, "bootstrap", "level", "notes")}


def escalation_effect(
    assignments: Any,
    log: ActivityLog,
    *,
    day: int,
    horizon: int | str = 30,
    campaign: str | None = None,
    arms: str | Sequence[str] | None = None,
    control: str = "holdout",
    randomised: tuple[str, str] | None = None,
    contacts: Literal["before", "after"] = "before",
    covariates: str | Sequence[str] | None = None,
    bootstrap: int = 500,
    level: float = 0.95,
    seed: int = 0,
) -> Escalation:
    """Compare a first contact alone with a second contact on a day to whoever is still silent.

    Parameters
    ----------
    assignments : table
        As for `churnsurv.recall.campaign_lift`, with `second_contact_at`.
    log : ActivityLog
    day : int
        Of the second contact; the day of assignment is day 1. From 2 to the horizon.
    horizon : int or text such as "30d"
        Returns count on days 1 ... horizon.
    campaign : str, optional
        Which one, where there are several.
    arms : str or sequence of str, optional
        Arms with the first contact; by default all but the control.
    control : str
        The arm without any contact.
    randomised : (str, str), optional
        Two arms that were drawn at the start: first contact only, and with the second contact to follow. They are
        compared as drawn.
    contacts : {"before", "after"}
        Whether a contact comes before the activity of its day, so that a return on the same day may be due to it, or
        after it, to those who were silent on that day too.
    covariates : str or sequence of str, optional
        What second contacts may have gone by and returns may depend on: ``pre_active_days, pre_invested, pre_balance,
        pre_idle_days, tenure``, and columns of the assignments or users. By default the former, all of them.
    bootstrap : int
        Resamples of users (clusters) that standard errors come from.
    level : float
    seed : int

    Returns
    -------
    Escalation

    Raises
    ------
    InputError
        If second contacts follow a rule without exception (everybody, nobody, or all of one kind of users), there are
        too few, or an argument is not understood.

    Notes
    -----
    The weights make up for what is in the covariates alone. In resamples the chances of a contact move by one Newton
    step, which is what a new fit would do but for terms of a smaller order.

    Examples
    --------
    >>> import churnsurv as ch
    >>> app = ch.simulate_app(1_000, seed=1)
    >>> arms = ("push", "push_then_sms")
    >>> found = escalation_effect(app.campaigns, app.log, day=8, campaign="recall", randomised=arms)
    >>> found.method, found.table["policy"].tolist()
    ('randomised sequence', ['push', 'push_then_sms', 'difference'])
    """
    from churnsurv.data.assigned import campaign_rows

    level = check_level(level)
    if contacts not in ("before", "after"):
        raise InputError(f"contacts is 'before' or 'after' (the activity of their day); it is {contacts!r}.")
    named = (covariates,) if isinstance(covariates, str) else covariates
    rows = campaign_rows(log, assignments, horizon=horizon, campaign=campaign, covariates=_own_columns(named))
    day = _day(day, rows.horizon)
    chosen = _chosen(rows, campaign, arms, control, randomised)
    if randomised is not None:
        return _as_drawn(rows, chosen, randomised, day=day, level=level)
    return _weighted(
        rows, chosen, day, late=contacts == "after", named=named, n_samples=bootstrap, level=level, seed=seed
    )


# --------------------------------------------------------------------------------------------------- as it was drawn


def _as_drawn(rows: CampaignRows, chosen: Flags, arms: tuple[str, str], *, day: int, level: float) -> Escalation:
    arm = np.array([arms.index(name) if name in arms else -1 for name in rows.arms])[rows.arm[chosen]]
    strata, stratum = np.unique(rows.stratum[chosen], return_inverse=True)
    cells = arm_cells(arm, stratum.reshape(-1), n_arms=2, n_strata=strata.size, cluster=rows.cluster[chosen])
    # one user, or cluster, of a stratum says nothing of the variance in it
    few = cells.n_units < (2 if strata.size > 1 else 1)
    if few.any():
        lacking = rows.strata[int(strata[np.argwhere(few)[0, 1]])]
        number = "one user, or cluster," if cells.n[few][0] else "no users"
        raise InputError(f"One of {arms[0]!r} and {arms[1]!r} has {number} in stratum {lacking!r}: merge strata.")
    curves = cell_curves(cells, rows.time[chosen], rows.returned[chosen], horizon=rows.horizon)
    groups = np.unique(rows.cluster[chosen], return_inverse=True)[1].reshape(-1)
    shares, by_day = np.zeros((2, rows.horizon)), np.zeros((2, rows.horizon))
    by_arm = np.zeros((2, int(groups.max()) + 1))
    weight, until = cells.weight()[:, None, None], np.searchsorted(curves.time, np.arange(1, rows.horizon + 1), "right")
    for u in range(rows.horizon):
        if until[u] == 0:
            continue
        at = int(until[u]) - 1
        by_cell = 1.0 - curves.survival[:, at]
        shares[:, u] = cells.mean(by_cell)
        moves = (weight * curves.influence_on_return(at)).ravel()[curves.pattern]
        apart = (by_cell.reshape(2, -1) - shares[:, u, None]) / cells.n_users
        by_arm = np.stack(
            [
                np.bincount(groups, np.where(arm == place, moves, 0.0) + apart[place][stratum.reshape(-1)])
                for place in (0, 1)
            ]
        )
        by_day[:, u] = np.sqrt((by_arm**2).sum(axis=1))
    errors = np.array([*by_day[:, -1], float(np.sqrt(((by_arm[1] - by_arm[0]) ** 2).sum()))])
    note = (
        f"Users were drawn for {arms[0]!r} and {arms[1]!r} at the start: the two are compared as drawn, whoever was "
        "reached by the second contact" + (", within strata." if strata.size > 1 else ".")
    )
    return _result(
        shares, errors, by_day, np.bincount(arm, minlength=2).astype(np.float64), day,
        horizon=rows.horizon, method="randomised sequence", n_users=int(chosen.sum()), n_samples=0, level=level,
        notes=(note,), names=(arms[0], arms[1]), as_treated=None,
    )  # fmt: skip


# ----------------------------------------------------------------------------------------------------- what was done


def _weighted(
    rows: CampaignRows,
    chosen: Flags,
    day: int,
    *,
    late: bool,
    named: Sequence[str] | None,
    n_samples: int,
    level: float,
    seed: int,
) -> Escalation:
    shift = int(late)  # a contact after the activity of day k is one before that of day k + 1
    horizon, on = rows.horizon, day + shift
    time, returned = rows.time[chosen], rows.returned[chosen]
    second = np.where(rows.second[chosen] > 0, rows.second[chosen] + shift, 0)
    if not second.any():
        raise InputError("assignments: nobody has a second_contact_at: there is no second contact to compare with.")
    covariates = {name: values[chosen] for name, values in _covariates(rows, named).items()}
    chance = contact_chance(time, second, covariates, day=on, horizon=horizon, said=day)
    policies = (None, on)
    shares = policy_risks(time, returned, second, chance.by_day(), policies)
    if np.isnan(shares).any():
        last = int(np.flatnonzero(~np.isnan(shares).any(axis=0))[-1]) + 1
        raise FollowUpError(
            f"Nobody who kept to one of the policies was followed beyond day {last}, so what happens by day {horizon} "
            f"cannot be told. Choose a horizon of {last} days or fewer."
        )
    groups = np.unique(rows.cluster[chosen], return_inverse=True)[1].reshape(-1)
    drawn = _resampled(time, returned, second, chance, policies, groups, n_samples, seed)
    ends = drawn[:, :, -1]
    errors = np.array([*ends.std(axis=0, ddof=1), (ends[:, 1] - ends[:, 0]).std(ddof=1)])
    effective, largest = _kept(time, returned, second, chance.by_day(), policies)
    notes = [
        f"Second contacts came as they came: {int((second == on).sum()):,} users had one on day {day}, "
        f"{int(((second > 0) & (second != on)).sum()):,} on another day. Rows leave a policy when they depart from it, "
        "and those who stay stand for them by weights. Nothing was drawn at random: the difference is that of the "
        f"policies only if contacts went by nothing but {', '.join(covariates) or 'chance'}, and by chance.",
        "The comparison of those who were contacted with those who never were (`as_treated`) is none of policies: who "
        "is contacted on a later day was silent until then, and who is not had all the time to return.",
    ]
    if largest > _LARGE_WEIGHT:
        notes.append(f"The largest weight is {largest:,.0f}: a few users stand for many, see `n_effective`.")
    return _result(
        shares, errors, drawn.std(axis=0, ddof=1), effective, day,
        horizon=horizon, method="clone-censor-weight", n_users=int(chosen.sum()), n_samples=n_samples, level=level,
        notes=tuple(notes), names=(FIRST, f"second contact on day {day}"),
        as_treated=_naive(time, returned, second, on),
    )  # fmt: skip


def _resampled(
    time: Ints,
    returned: Flags,
    second: Ints,
    chance: ContactChance,
    policies: Sequence[int | None],
    groups: Ints,
    n_samples: int,
    seed: int,
) -> Floats:
    """Risks of resamples of clusters, (n_samples, n_policies, horizon)."""
    if isinstance(n_samples, bool) or not isinstance(n_samples, (int, np.integer)) or n_samples < 50:
        raise InputError(f"bootstrap is a whole number, 50 or more; it is {n_samples!r}.")
    rng, n_groups = np.random.default_rng(seed), int(groups.max()) + 1
    found = np.empty((n_samples, len(policies), chance.horizon))
    for place in range(n_samples):
        count = rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups)).astype(np.float64)[groups]
        found[place] = policy_risks(time, returned, second, chance.by_day(count), policies, weights=count)
    return found


def _kept(
    time: Ints, returned: Flags, second: Ints, chance: Floats, policies: Sequence[int | None]
) -> tuple[Floats, float]:
    """Kish's effective number of the copies that keep to each policy to their end, and the largest weight."""
    effective, largest = [], 1.0
    spared = np.cumprod(1.0 - chance, axis=1)
    for policy in policies:
        last, _ = copies(time, returned, second, policy)
        stays = last == time
        weight = 1.0 / spared[stays, time[stays] - 1]
        if policy is not None:
            before = spared[stays, policy - 2] if policy > 1 else np.ones(int(stays.sum()))
            reached = time[stays] >= policy
            asked = np.where(reached, before * chance[stays, policy - 1], 1.0)
            weight = np.where(reached, 1.0 / asked, weight)
        effective.append(float(weight.sum() ** 2 / (weight**2).sum()) if weight.size else 0.0)
        largest = max(largest, float(weight.max(initial=1.0)))
    return np.array(effective), largest


def _naive(time: Ints, returned: Flags, second: Ints, day: int) -> pd.DataFrame:
    import pandas as pd

    contacted = (second > 0) & (second <= time)
    kinds = {"contacted again on the day": contacted & (second == day), "never contacted again": ~contacted}
    return pd.DataFrame(
        {
            "group": list(kinds),
            "n_users": [int(kind.sum()) for kind in kinds.values()],
            "returned": [float(returned[kind].mean()) if kind.any() else np.nan for kind in kinds.values()],
        }
    )


# ------------------------------------------------------------------------------------------------------------ result


def _result(
    shares: Floats,
    errors: Floats,
    by_day: Floats,
    effective: Floats,
    day: int,
    *,
    horizon: int,
    names: tuple[str, str],
    as_treated: pd.DataFrame | None,
    level: float,
    n_samples: int,
    **said: Any,
) -> Escalation:
    import pandas as pd
    from scipy.special import ndtr, ndtri

    reach = float(ndtri((1 + level) / 2))
    end = shares[:, -1]
    estimates = np.array([*end, end[1] - end[0]])
    table = pd.DataFrame(
        {
            "policy": [*names, "difference"],
            "returned": estimates,
            "lower": estimates - reach * errors,
            "upper": estimates + reach * errors,
            "std_error": errors,
            "n_effective": [*effective, np.nan],
        }
    )
    table.loc[:1, "lower"] = table.loc[:1, "lower"].clip(lower=0.0)
    table.loc[:1, "upper"] = table.loc[:1, "upper"].clip(upper=1.0)
    curves = pd.concat(
        [
            pd.DataFrame(
                {
                    "policy": name,
                    "day": np.arange(1, horizon + 1),
                    "returned": shares[place],
                    "lower": np.clip(shares[place] - reach * by_day[place], 0, 1),
                    "upper": np.clip(shares[place] + reach * by_day[place], 0, 1),
                }
            )
            for place, name in enumerate(names)
        ],
        ignore_index=True,
    )
    difference, error = float(estimates[2]), float(errors[2])
    return Escalation(
        day=day,
        horizon=horizon,
        difference=difference,
        lower=difference - reach * error,
        upper=difference + reach * error,
        std_error=error,
        p_value=float(2 * ndtr(-abs(difference) / error)) if error > 0 else float("nan"),
        bootstrap=n_samples,
        level=level,
        _table=table,
        _curves=curves,
        _as_treated=pd.DataFrame(columns=["group", "n_users", "returned"]) if as_treated is None else as_treated,
        **said,
    )


# --------------------------------------------------------------------------------------------------------- arguments

_PRE = ("pre_active_days", "pre_invested", "pre_balance", "pre_idle_days", "tenure")


def _own_columns(named: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(each for each in named or () if each not in _PRE)


def _covariates(rows: CampaignRows, named: Sequence[str] | None) -> Mapping[str, Floats]:
    if named is None:
        return rows.pre
    # a column of text has become one for each category
    return {own: rows.pre[own] for name in named for own in rows.pre if own == name or own.startswith(f"{name}: ")}


def _day(day: object, horizon: int) -> int:
    if isinstance(day, bool) or not isinstance(day, (int, np.integer)) or not 2 <= day <= horizon:
        raise InputError(
            f"day is the day of the second contact, from 2 to the horizon ({horizon}; the first contact is on day 1); "
            f"it is {day!r}."
        )
    return int(day)


def _chosen(
    rows: CampaignRows,
    campaign: str | None,
    arms: str | Sequence[str] | None,
    control: str,
    randomised: tuple[str, str] | None,
) -> Flags:
    if campaign is None and len(rows.campaigns) > 1:
        raise InputError(
            f"There are several campaigns: say which, campaign=... Campaigns: {', '.join(rows.campaigns)}."
        )
    names = rows.campaigns[0] if campaign is None else campaign
    if names not in rows.campaigns:
        raise InputError(f"There is no campaign {names!r}.{did_you_mean(str(names), rows.campaigns)}")
    if randomised is None and arms is None and control not in rows.arms:
        raise InputError(
            f"There is no control arm {control!r}, so that who had a first contact is not known."
            f"{did_you_mean(str(control), rows.arms)} Name it as control=, or say arms=. Arms: "
            f"{', '.join(map(repr, rows.arms))}."
        )
    others = [each for each in rows.arms if each != control]
    wanted = randomised or ([arms] if isinstance(arms, str) else arms) or others
    for each in wanted:
        if each not in rows.arms:
            raise InputError(f"There is no arm {each!r}.{did_you_mean(str(each), rows.arms)}")
    if randomised is not None and (len(randomised) != 2 or randomised[0] == randomised[1]):
        raise InputError(
            f"randomised is a pair of two arms (first contact only, with the second); it is {randomised!r}."
        )
    inside = np.isin(rows.arm, [rows.arms.index(each) for each in wanted])
    found: Flags = inside & (rows.campaign == rows.campaigns.index(names))
    if not found.any():
        raise InputError(f"Campaign {names!r} has nobody in {', '.join(map(repr, wanted))}.")
    return found
