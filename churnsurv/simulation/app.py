"""The simulated app: its logs, the log object over them, and the truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from churnsurv.errors import InputError, did_you_mean
from churnsurv.simulation.asked import check_whole, tuple_of
from churnsurv.simulation.chunks import parts_of
from churnsurv.simulation.columns import frame
from churnsurv.simulation.model import CAMPAIGNS, MODEL, SCENARIOS, Campaign, Problem, Shock
from churnsurv.simulation.records import Ledger
from churnsurv.simulation.truth import SimulatedTruth
from churnsurv.simulation.world import World, make_world
from churnsurv.simulation.writing import write_tables

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data import ActivityLog

__all__ = ["SimulatedApp", "simulate_app"]

_LOGS = ("events", "users", "balances", "campaigns", "feedback")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SimulatedApp:
    """The logs of a simulated app and the truth behind them. Made by `simulate_app`; tables are made when asked for.

    Attributes
    ----------
    n_users : int
    seed : int
    scenario : str
    truth : SimulatedTruth
    """

    n_users: int
    seed: int
    scenario: str
    truth: SimulatedTruth
    _world: World
    _made: dict[str, Any] = field(default_factory=dict)

    @property
    def users(self) -> pd.DataFrame:
        """Users: `user_id, registered_at` (UTC), `channel, campaign` (none, spring), `device`."""
        return frame(self._tables()["users"])

    @property
    def events(self) -> pd.DataFrame:
        """Events: `user_id, event_at` (UTC), `kind` (login, invest, redeem, ...), `amount, product` (plain, boosted).

        The Parquet file has amounts as decimals with two digits, so that sums are exact; here they are floats.
        """
        return frame(self._tables()["events"])

    @property
    def balances(self) -> pd.DataFrame:
        """Balance at the end of each day on which money moved: `user_id, date, balance`."""
        return frame(self._tables()["balances"])

    @property
    def campaigns(self) -> pd.DataFrame:
        """Recall campaigns: `user_id, campaign, arm, assigned_at, idle_days, second_contact_at, cost`.

        A user is assigned, and contacted, at the end of the day; an answer comes on the next day at the earliest.
        """
        return frame(self._tables()["campaigns"])

    @property
    def feedback(self) -> pd.DataFrame:
        """Why some of the departed left: `user_id, date, reason, route`."""
        return frame(self._tables()["feedback"])

    @property
    def costs(self) -> pd.DataFrame:
        """What registrations cost: `date, channel, kind, n_users` (registered that day), `amount`."""
        return frame(self._tables()["costs"])

    @property
    def calendar(self) -> pd.DataFrame:
        """The marketing campaign and the holiday: `name, kind, first, last`."""
        import pandas as pd

        model = self._world.model
        spans = (("spring", "campaign", model.campaign_days), ("holiday", "holiday", model.holiday))
        rows = [{"name": name, "kind": kind, "first": span[0], "last": span[1]} for name, kind, span in spans]
        return pd.DataFrame(rows).astype({"first": "datetime64[s]", "last": "datetime64[s]"})

    @property
    def observed_from(self) -> date:
        """First day of the log; registrations begin on it."""
        return self._world.model.first_day

    @property
    def observed_until(self) -> date:
        """Last day of the log."""
        return self._world.model.last_day

    @property
    def balanced_from(self) -> date:
        """From this day on the ages of the living are in balance, as long as registrations go on."""
        return self._world.model.balanced_from

    @property
    def log(self) -> ActivityLog:
        """The `ActivityLog` of events, users, balances and feedback, with the window of the app and the 30-day rule."""
        if "log" not in self._made:
            from churnsurv.data import ActivityLog

            tables = self._tables()
            self._made["log"] = ActivityLog(
                tables["events"],
                tables["users"],
                balances=tables["balances"],
                feedback=tables["feedback"],
                observed_from=self.observed_from,
                observed_until=self.observed_until,
            )
        log: ActivityLog = self._made["log"]
        return log

    def write(self, folder: str | Path, *, truth: bool = False, progress: bool = False) -> Path:
        """Write every table as Parquet, chunk by chunk; the same app gives the same bytes.

        Parameters
        ----------
        folder : str or Path
            Made where it is not there. Files of these names in it are replaced when the new ones are complete; a run
            that is killed leaves the old ones, the new ones or too few, never some of both.
        truth : bool
            Write `gaps.parquet` too: every gap with its truth. Without it, one of an earlier app is removed.
        progress : bool
            Show a progress bar on a terminal.

        Returns
        -------
        Path
            The folder.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        wanted = (*_LOGS, "gaps") if truth else _LOGS
        write_tables(self._parts(wanted, progress=progress), folder, outdated=() if truth else ("gaps",))
        return folder

    def _parts(self, wanted: Sequence[str], *, progress: bool = False) -> Iterator[Mapping[str, pa.Table]]:
        ledger = Ledger(self._world, self.n_users)
        for part in parts_of(self._world, self.n_users, wanted=wanted, progress=progress):
            ledger.add(part.people)
            yield part.tables
        yield {"costs": ledger.table()}

    def _tables(self) -> dict[str, Any]:
        if "events" not in self._made:
            parts = list(self._parts(_LOGS))
            for name in (*_LOGS, "costs"):
                self._made[name] = pa.concat_tables(part[name] for part in parts if name in part)
        return self._made

    def __repr__(self) -> str:
        return (
            f"<SimulatedApp: {self.n_users:,} users, scenario {self.scenario}, seed {self.seed}, "
            f"{self.observed_from} to {self.observed_until} (UTC), churn after 30 idle days>"
        )


def simulate_app(
    n_users: int = 20_000,
    seed: int = 0,
    *,
    scenario: str = "steady",
    campaigns: Sequence[Campaign] = CAMPAIGNS,
    shocks: Sequence[Shock] = (),
    problems: Sequence[Problem] = (),
) -> SimulatedApp:
    """Simulate an investment app whose truth is known: for every gap between activities, P(gap > d) exactly.

    With the default settings the figures of a published case come out: who churns, in which stage and channel, and
    after how little investing. `churnsurv.simulation` holds the building blocks: `Campaign` and its `Arm`, `CAMPAIGNS`
    (the default ones), `Shock`, `Problem` and `PROBLEMS`.

    Parameters
    ----------
    n_users : int
        Number of registered users, about 47 events each.
    seed : int
        The same seed gives the same users, and the same bytes: the first 1,000 of 20,000 are those of 1,000.
    scenario : {"steady", "drift"}
        Registrations go on to the end of the log, or stop on 2024-06-30 so that users age.
    campaigns : sequence of churnsurv.simulation.Campaign
        Randomised recall campaigns, in the order of idle days or on days apart; ``()`` is none.
    shocks : sequence of churnsurv.simulation.Shock
        News that makes users leave on some days.
    problems : sequence of churnsurv.simulation.Problem
        Bad experiences that show in the log, and make users leave; `churnsurv.simulation.PROBLEMS` is a set of them.

    Returns
    -------
    SimulatedApp
        `.log .events .users .balances .campaigns .feedback .costs .calendar .truth`, `.write(folder)`. Tables are made
        when asked for; for millions of users call `write`, which keeps a part of them in memory at a time.

    Raises
    ------
    InputError
        If an argument is not understood: numbers that are none, an unknown scenario, reason or channel (with the
        nearest name), campaigns that could contact a user in either order, days outside the log.

    Notes
    -----
    A user has a channel, a day of registration, and a hidden interval type k. **State changes at activities only.** At
    each active day, registration included, he leaves with a probability q of channel, burst of registrations, and
    stage (registration, at most two investments, more); those who leave invest less and drain their balance more
    often, and with what is seen of the day,

        pi = q L(leave) / (q L(leave) + (1 - q) L(stay))

    is the probability that he has left. Until the next activity nothing changes: the living return by the gamma law of
    their type, f_k, the departed with a small constant hazard, f_D. So with w_k the probability of type k given the
    log, P(gap > d) = (1 - pi) sum_k w_k S_k(d) + pi S_D(d), and after a gap of G days w_k becomes proportional to
    w_k [(1 - pi) f_k(G) + pi f_D(G)] (Bayes' rule): that is ``truth.gap_survival()``. Contacts bring back the departed
    alone; gaps with one are marked ``contacted`` in ``truth.gaps``. Every number of the model is in
    ``truth.parameters``.

    Examples
    --------
    >>> import churnsurv as ch
    >>> app = ch.simulate_app(1_000, seed=1)
    >>> app
    <SimulatedApp: 1,000 users, scenario steady, seed 1, 2022-07-01 to 2025-06-29 (UTC), churn after 30 idle days>
    >>> app.log.churn_spells().counts["users"]
    1000
    >>> app.truth.churn_survival([30, 180, 365]).round(3).tolist()
    [0.742, 0.173, 0.039]
    >>> from datetime import date
    >>> from churnsurv.simulation import Shock
    >>> news = Shock(date(2024, 9, 2), date(2024, 9, 8), factor=5.0, channels=("invitation",))
    >>> len(ch.simulate_app(100, shocks=[news]).feedback) > 0
    True
    """
    n_users, seed = check_whole("n_users", n_users, least=1), check_whole("seed", seed, least=0)
    if not isinstance(scenario, str) or scenario not in SCENARIOS:
        near = did_you_mean(str(scenario), SCENARIOS)
        raise InputError(f"scenario is one of {', '.join(map(repr, SCENARIOS))}; it is {scenario!r}.{near}")
    world = make_world(
        MODEL,
        SCENARIOS[scenario],
        seed,
        campaigns=tuple_of(Campaign, campaigns, name="campaigns"),
        shocks=tuple_of(Shock, shocks, name="shocks"),
        problems=tuple_of(Problem, problems, name="problems"),
    )
    return SimulatedApp(n_users, seed, scenario, SimulatedTruth(n_users, world), world)
