"""What is known of the simulated app beyond its logs: exact probabilities, effects, and what was hidden."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from churnsurv.errors import InputError, did_you_mean
from churnsurv.simulation.asked import check_number, check_whole
from churnsurv.simulation.chunks import parts_of
from churnsurv.simulation.columns import frame
from churnsurv.simulation.effects import IDLE_DAYS, ContactRule, check_apart, contact_rules, risk_of
from churnsurv.simulation.filter import gap_survival
from churnsurv.simulation.formal_churn import churn_day_pmf, group_hazard_ratios, registration_groups
from churnsurv.simulation.model import ARMS
from churnsurv.simulation.people import draw_people
from churnsurv.simulation.world import World, make_world

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SimulatedTruth"]

Floats = NDArray[np.float64]

#: Super-populations have seeds of their own, or that of an app with the same number would be the app itself.
_OTHER_SEEDS = 2**64


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SimulatedTruth:
    """The truth behind a simulated app; each part is worked out when it is asked for.

    Attributes
    ----------
    n_users : int
    """

    n_users: int
    _world: World
    _made: dict[str, Any] = field(default_factory=dict)

    @property
    def gaps(self) -> pd.DataFrame:
        """Every gap between activities, in the order of user and gap; the last of each user is open.

        `user_id, gap` (1 begins at registration), `start_date, duration` (days to the next active day, or to the end of
        the log), `returned, contacted` (then the no-contact law does not hold), `n_investments, balance` (end of the
        start day), `leaving_probability` (at that activity, before what was done that day), `left_probability` (given
        everything in the log up to it), `type_1` ... (probability of each interval type), and, hidden, `left, reason`.

        A contacted gap follows the law up to its first contact: end it there as censored. To leave such gaps out would
        be to leave out long ones.
        """
        return frame(self._gaps())

    def gap_survival(self, days: Sequence[int] | None = None) -> Floats:
        """P(gap > d | everything in the log at its start), nobody contacting the user.

        Parameters
        ----------
        days : sequence of int, optional
            Whole days; 0 to 30 by default.

        Returns
        -------
        (n_gaps, n_days) float64
            Rows as in `gaps`.

        Examples
        --------
        >>> from churnsurv.simulation import simulate_app
        >>> truth = simulate_app(50).truth
        >>> truth.gap_survival([0, 30]).shape == (len(truth.gaps), 2)
        True
        """
        asked = np.arange(IDLE_DAYS + 1) if days is None else np.asarray(days)
        longest = self._world.laws.survival.shape[1] - 1
        if asked.ndim != 1 or asked.dtype.kind not in "iu" or (asked < 0).any() or (asked > longest).any():
            raise InputError(f"days are whole days from 0 to {longest}; they are {days!r}.")
        gaps = self._gaps()
        return gap_survival(self._world.laws, _array(gaps, "left_probability"), self._weights(gaps), asked)

    @property
    def users(self) -> pd.DataFrame:
        """What is hidden of users: `user_id, interval_type` (1, 2, ...), `typical_amount`."""
        import pandas as pd

        people = draw_people(self._world, np.arange(1, self.n_users + 1))
        return pd.DataFrame(
            {
                "user_id": people.user_id,
                "interval_type": people.rhythm + 1,
                "typical_amount": np.exp(people.wealth).round(2),
            }
        )

    @property
    def reasons(self) -> pd.DataFrame:
        """Every time that a user left, and why: `user_id, gap, date, reason`; no row for the living with a long gap."""
        gaps = self.gaps
        left = gaps.loc[gaps["left"], ["user_id", "gap", "start_date", "reason"]]
        return left.rename(columns={"start_date": "date"}).reset_index(drop=True)

    @property
    def leaving(self) -> pd.DataFrame:
        """Probability of leaving at an activity, by channel and stage, without bursts, shocks and problems.

        `hazard_ratio` is the ratio of complementary log-logs to the first channel's. It is not what a model of formal
        churn finds: see `hazard_ratios`.
        """
        import pandas as pd

        rates, names = self._world.rates, self._channels
        rows = [
            {
                "channel": name,
                "stage": stage,
                "probability": float(-np.expm1(-rates[i, j])),
                "hazard_ratio": float(rates[i, j] / rates[0, j]),
            }
            for i, name in enumerate(names)
            for j, stage in enumerate(("at registration", "while new", "later"))
        ]
        return pd.DataFrame(rows)

    @property
    def hazard_ratios(self) -> Mapping[str, float]:
        """Hazard ratios of formal churn by term, for ``cox(formula, spells, ties="grouped")``: complementary log-log.

        They are the limit of that fit with users without end and the follow-up of this log, computed from the model by
        recursion, without contacts. Efron's partial likelihood tends to other numbers: day 30 is a spike.

        The law is not one of proportional hazards (no simple model is true of this app), so ask for intervals with
        ``cluster="user_id"``: 95 % of these cover, while the fit's own standard errors are up to a third too small.
        """
        if "hazard_ratios" not in self._made:
            self._made["hazard_ratios"] = group_hazard_ratios(self._world) | {"device: ios": 1.0}
        return MappingProxyType(self._made["hazard_ratios"])

    @property
    def formula(self) -> str:
        """The formula that `hazard_ratios` belong to."""
        return "channel + campaign + device"

    @property
    def reference(self) -> Mapping[str, str]:
        """The reference categories of `hazard_ratios`."""
        return MappingProxyType({"channel": self._channels[0], "campaign": "none", "device": "android"})

    def churn_survival(self, times: Sequence[int], *, channel: str | None = None) -> Floats:
        """P(first formal churn later than so many days after registration), exactly, without contacts.

        A Kaplan-Meier curve of all users tends to within .0012 of it, not to it: users of the bursts, who churn sooner,
        were followed longer than the last to register.

        Parameters
        ----------
        times : sequence of int
            Whole days, within the length of the log.
        channel : str, optional
            All users by default.

        Returns
        -------
        (n_times,) float64

        Examples
        --------
        >>> from churnsurv.simulation import simulate_app
        >>> simulate_app(10).truth.churn_survival([29, 180], channel="wealth_supermarket").round(2).tolist()
        [1.0, 0.06]
        """
        asked, longest = np.asarray(times), self._world.model.days - 1
        if asked.dtype.kind not in "iu" or (asked < 0).any() or (asked > longest).any():
            raise InputError(f"times are whole days from 0 to {longest}; they are {times!r}.")
        if channel is not None and channel not in self._channels:
            raise InputError(f"No channel is called {channel!r}.{did_you_mean(channel, self._channels)}")
        groups = registration_groups(self._world)
        if "pmf" not in self._made:
            self._made["pmf"] = churn_day_pmf(self._world, groups.channel, groups.burst, horizon=longest)
        share = groups.registered.sum(axis=1)
        if channel is not None:
            share = np.where(groups.channel == self._channels.index(channel), share, 0.0)
        survival = 1.0 - np.cumsum(share @ self._made["pmf"] / share.sum())
        found: Floats = survival[asked]
        return found

    def campaign_effects(self, *, horizon: int = 30) -> pd.DataFrame:
        """What each arm does to those assigned: P(active again within `horizon` days), and what it adds to the control.

        Averages over all users assigned to a campaign, each under every arm, given the log up to the end of that day.

        Parameters
        ----------
        horizon : int
            Days from the day of assignment.

        Returns
        -------
        pandas.DataFrame
            `campaign, arm, n_assigned` (to all arms), `return_probability, effect` (null without assigned users).

        Raises
        ------
        InputError
            If two campaigns may contact a user within the horizon.
        """
        import pandas as pd

        horizon = check_whole("horizon", horizon, least=1, most=1_000)
        campaigns = self._world.campaigns
        check_apart(campaigns, horizon)
        key = f"effects {horizon}"
        if key not in self._made:
            found = [part.arm_sums(horizon) for part in parts_of(self._world, self.n_users, wanted=())]
            self._made[key] = [
                (i, arm, sum(each[2] for each in same), sum(each[3] for each in same))
                for same in zip(*found, strict=True)
                for i, arm, *_ in same[:1]
            ]
        rows = []
        for i, arm, n, total in self._made[key]:
            control = next(j for j, each in enumerate(campaigns[i].arms) if each.saves == 0 and each.then is None)
            of_control = next(each[3] for each in self._made[key] if each[:2] == (i, control))
            rows.append(
                {
                    "campaign": campaigns[i].name,
                    "arm": campaigns[i].arms[arm].name,
                    "n_assigned": n,
                    "return_probability": total / n if n else np.nan,
                    "effect": (total - of_control) / n if n else np.nan,
                }
            )
        return pd.DataFrame(rows, columns=["campaign", "arm", "n_assigned", "return_probability", "effect"])

    def contact_rules(
        self, *, value: float, cost: float, saving: Sequence[float] | str = "sms", n_users: int = 20_000, seed: int = 1
    ) -> pd.DataFrame:
        """The best idle days to contact users, on other users of the same world whom nobody contacts.

        With S(d) = P(gap > d) of a gap, a contact at the end of idle day d is worth value s(d) S(30) - cost S(d): it is
        made where the user is still idle, and saves s(d) of those who would churn. That is the stated problem; the
        app's own campaigns bring back none but the departed, some of them after day 30. All gaps count that begin on
        `balanced_from` or later.

        Parameters
        ----------
        value, cost : float
            Of a user saved, of a contact.
        saving : sequence of 30 numbers, or str
            s(d) for d = 0 ... 29, or the name of an arm of the app's campaigns (or the default ones), whose s(d) is
            taken.
        n_users, seed : int
            Size and seed of the super-population; its users are others than the app's, whatever the seed.

        Returns
        -------
        pandas.DataFrame
            `rule` (what it looks at), `group, idle_day` (null: no contact pays), `net_benefit` (per gap of the group),
            `share_of_gaps`.
        """
        import pandas as pd

        n_users, seed = check_whole("n_users", n_users, least=1), check_whole("seed", seed, least=0)
        value, cost = check_number("value", value), check_number("cost", cost)
        model, old = self._world.model, self._world
        key = f"risk {n_users} {seed}"
        if key not in self._made:
            others = seed + _OTHER_SEEDS
            other = make_world(model, old.scenario, others, campaigns=(), shocks=old.shocks, problems=old.problems)
            gaps = pa.concat_tables(part.tables["gaps"] for part in parts_of(other, n_users, wanted=("gaps",)))
            gaps = gaps.filter(pa.compute.greater_equal(gaps["start_date"], pa.scalar(model.balanced_from)))
            self._made[key] = risk_of(
                other.laws,
                _array(gaps, "left_probability"),
                self._weights(gaps),
                _array(gaps, "n_investments"),
                np.rint(100.0 * gaps["balance"].cast(pa.float64()).to_numpy()).astype(np.int64),
            )
        found = contact_rules(self._made[key], value=value, cost=cost, saving=self._saving(saving))
        table = pd.DataFrame([asdict(each) for each in found], columns=[*ContactRule.__slots__])
        return table.astype({"idle_day": "Int64"})

    def _saving(self, saving: Sequence[float] | str) -> Floats:
        if not isinstance(saving, str):
            return np.asarray(saving, dtype=np.float64)
        own = {arm.name: arm for campaign in self._world.campaigns for arm in campaign.arms}
        arms = {arm.name: arm for arm in ARMS} | own
        if saving not in arms:
            raise InputError(f"No arm is called {saving!r}.{did_you_mean(saving, arms)}")
        curve: Floats = arms[saving].saves * self._world.model.saving(np.arange(IDLE_DAYS))
        return curve

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Everything that the app was drawn from, as plain data."""
        world = self._world
        return MappingProxyType(
            asdict_plain(world.model)
            | {
                "scenario": asdict(world.scenario),
                "campaigns": [asdict(each) for each in world.campaigns],
                "shocks": [asdict(each) for each in world.shocks],
                "problems": [asdict(each) for each in world.problems],
                "seed": world.seed,
            }
        )

    @property
    def _channels(self) -> list[str]:
        return [channel.name for channel in self._world.model.channels]

    def _gaps(self) -> pa.Table:
        if "gaps" not in self._made:
            parts = parts_of(self._world, self.n_users, wanted=("gaps",))
            self._made["gaps"] = pa.concat_tables(part.tables["gaps"] for part in parts)
        return self._made["gaps"]

    def _weights(self, gaps: pa.Table) -> Floats:
        n_types = len(self._world.model.gap_means)
        return np.column_stack([_array(gaps, f"type_{k + 1}") for k in range(n_types)])

    def __repr__(self) -> str:
        world = self._world
        return (
            f"<SimulatedTruth: {self.n_users:,} users, scenario {world.scenario.name}, seed {world.seed}, "
            f"{len(self._channels)} channels, {len(world.laws.survival)} interval types, "
            f"{len(world.campaigns)} campaigns, {len(world.shocks)} shocks, {len(world.problems)} problems>"
        )


def asdict_plain(model: Any) -> dict[str, Any]:
    """The fields of a model; `asdict` cannot copy the mapping of reasons."""
    plain = {name: getattr(model, name) for name in model.__slots__}
    plain["channels"] = [asdict(channel) for channel in model.channels]
    plain["reasons"] = dict(model.reasons)
    return plain


def _array(table: pa.Table, column: str) -> NDArray[Any]:
    found: NDArray[Any] = table[column].to_numpy()
    return found
