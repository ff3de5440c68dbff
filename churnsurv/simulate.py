"""A simulated investment app whose truth is known: who churns when is drawn from a stated law.

The law. Day 0 is the registration (later: the return). The day of formal churn under the 30-day rule is

    T = 30 + ceil(E),   P(E > e) = exp(-HR * leavers * (1 - exp(-e / pace))),

with HR the product of the user's hazard ratios: a proportional-hazards law in continuous time, grouped to whole days.
A share exp(-HR * leavers) of the users never churns. Nobody can churn before day 31. A grouped fit (complementary
log-log) therefore estimates exactly these hazard ratios; Cox's partial likelihood with Efron's ties does to within the
sampling error, because no day takes more than a few percent of its risk set.

Activity fills the days from 0 to T - 30 with gaps of at most 30 days and ends exactly on day T - 30. Part of the
churned users return after more than 30 idle days; a later spell follows the same law. Amounts, products and the
rhythm of visits have nothing to do with churn, so the app is a null world for every feature of behaviour.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from churnsurv.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data import ActivityLog

__all__ = ["SimulatedApp", "simulate_app"]

IDLE_DAYS = 30
WINDOW_DAYS = 540
REGISTRATION_DAYS = 365
FIRST_DAY = date(2024, 1, 1)
LAST_DAY = date(2025, 6, 23)
CAMPAIGN_WEEK = (140, 147)  # days of the window: 20 to 26 May 2024

LEAVERS = 1.6  # cumulative hazard of a reference user in the long run
PACE = 45.0  # days; most of the hazard acts in the first two months
RETURN_SHARE = 0.3
RETURN_MEAN_DAYS = 80.0

# channel: (share of users, hazard ratio, share of its users won by the campaign)
CHANNELS: Mapping[str, tuple[float, float, float]] = MappingProxyType(
    {
        "organic": (0.28, 1.0, 0.02),
        "advertising": (0.12, 1.25, 0.10),
        "distribution": (0.27, 1.8, 0.25),
        "invitation": (0.21, 1.4, 0.06),
        "wealth_supermarket": (0.12, 2.6, 0.12),
    }
)
CAMPAIGNS: Mapping[str, float] = MappingProxyType({"none": 1.0, "spring": 1.5})
DEVICES: Mapping[str, tuple[float, float]] = MappingProxyType({"android": (0.7, 1.0), "ios": (0.3, 1.0)})

# Rhythm of visits: gaps in days are 1 + floor(gamma with shape 3 and this mean), folded into 1 to 30.
GAP_MEANS = np.array([7.0, 9.0, 12.0, 15.0, 19.0])
GAP_SHARES = np.array([0.15, 0.25, 0.25, 0.2, 0.15])

FIRST_DAY_USE = 0.85  # share of users with an event on the day they register
INVEST_SHARE = 0.22  # share of active days with an investment
REDEEM_SHARE = 0.3  # share of investments that are taken back on the next active day
BOOSTED_SHARE = 0.25
KINDS = ("login", "invest", "redeem")
PRODUCTS = ("plain", "boosted")

_DAY = 86_400
_CHUNK = 50_000


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SimulatedApp:
    """The logs of a simulated app and the truth behind them. Made by `simulate_app`; tables are made when asked for.

    Attributes
    ----------
    n_users : int
    seed : int
    """

    n_users: int
    seed: int
    _made: dict[str, Any] = field(default_factory=dict)

    @property
    def users(self) -> pd.DataFrame:
        """Users: `user_id, registered_at` (UTC), `channel, campaign, device`."""
        users: pd.DataFrame = self._tables()["users"]
        return users.copy()

    @property
    def events(self) -> pd.DataFrame:
        """Events: `user_id, event_at` (UTC), `kind` (login, invest, redeem), `amount, product` (plain, boosted)."""
        events: pd.DataFrame = self._tables()["events"]
        return events.copy()

    @property
    def balances(self) -> pd.DataFrame:
        """Balance at the end of each day on which money moved: `user_id, date, balance`."""
        return _balances(self._tables()["events"])

    @property
    def log(self) -> ActivityLog:
        """The `ActivityLog` of these tables, with the window of the simulation and the 30-day rule."""
        if "log" not in self._made:
            from churnsurv.data import ActivityLog

            tables = self._tables()
            self._made["log"] = ActivityLog(
                tables["events"], tables["users"], observed_from=FIRST_DAY, observed_until=LAST_DAY
            )
        log: ActivityLog = self._made["log"]
        return log

    @property
    def truth(self) -> Mapping[str, Any]:
        """What the logs were drawn from.

        `hazard_ratios` by model term (continuous time, for the formula `channel + campaign + device`), `reference`
        categories, `survival_90` by channel, `return_share` (in the long run) and the law's parameters.
        """
        return MappingProxyType(_truth())

    def true_survival(self, times: Sequence[float]) -> pd.DataFrame:
        """P(T > time) by channel, exactly.

        Parameters
        ----------
        times : sequence of float
            Days since registration.

        Returns
        -------
        pandas.DataFrame
            `group` (the channel), `time`, `survival`.

        Examples
        --------
        >>> simulate_app(10).true_survival([30]).survival.unique()
        array([1.])
        """
        import pandas as pd

        rows = [
            {"group": channel, "time": time, "survival": _true_survival(channel, time)}
            for channel in CHANNELS
            for time in times
        ]
        return pd.DataFrame(rows, columns=["group", "time", "survival"])

    def write(self, folder: str | Path, *, progress: bool = False) -> Path:
        """Write `users.parquet` and `events.parquet`, part by part; the same app gives the same bytes.

        Parameters
        ----------
        folder : str or Path
            Made where it is not there. Files of these names in it are replaced when the new ones are complete.
        progress : bool
            Show a progress bar on a terminal.

        Returns
        -------
        Path
            The folder.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        _write_parts(self._parts(progress=progress), folder)
        return folder

    def _parts(self, *, progress: bool = False) -> Iterator[tuple[pa.Table, pa.Table]]:
        starts = range(0, self.n_users, _CHUNK)
        if progress:
            from tqdm import tqdm

            starts = tqdm(starts, desc="simulate", unit="part", disable=None, delay=1)
        for start in starts:
            rng = np.random.default_rng([self.seed, start // _CHUNK])
            yield _simulate_part(rng, start + 1, min(_CHUNK, self.n_users - start))

    def _tables(self) -> dict[str, Any]:
        if "events" not in self._made:
            users, events = zip(*self._parts(), strict=True)
            self._made["users"] = pa.concat_tables(users).to_pandas()
            self._made["events"] = pa.concat_tables(events).to_pandas()
        return self._made

    def __repr__(self) -> str:
        return (
            f"<SimulatedApp: {self.n_users:,} users, seed {self.seed}, "
            f"{FIRST_DAY} to {LAST_DAY} (UTC), churn after {IDLE_DAYS} idle days>"
        )


def simulate_app(n_users: int = 20_000, seed: int = 0) -> SimulatedApp:
    """Simulate an investment app with known hazard ratios.

    Parameters
    ----------
    n_users : int
        Number of registered users, about 11 events each.
    seed : int
        The same number of users and seed give the same tables.

    Returns
    -------
    SimulatedApp
        `.users`, `.events`, `.balances`, `.log`, `.truth`, `.write(folder)`.

    Raises
    ------
    InputError
        If `n_users` is below 1 or `seed` below 0.

    Examples
    --------
    >>> app = simulate_app(1_000, seed=1)
    >>> app.truth["hazard_ratios"]["channel: invitation"]
    1.4
    >>> len(app.users)
    1000
    """
    for name, value, lowest in (("n_users", n_users, 1), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < lowest:
            raise InputError(f"{name} must be a whole number of at least {lowest}; it is {value!r}.")
    return SimulatedApp(int(n_users), int(seed))


def _campaign_shares(channel: str) -> dict[str, float]:
    won = CHANNELS[channel][2]
    return {"none": 1.0 - won, "spring": won}


def _true_survival(channel: str, time: float) -> float:
    """P(T > time) in a channel: the mixture over the users won by the campaign and the others."""
    days = max(float(np.floor(time)) - IDLE_DAYS, 0.0)
    hazard = LEAVERS * -np.expm1(-days / PACE) * CHANNELS[channel][1]
    return float(sum(share * np.exp(-hazard * CAMPAIGNS[name]) for name, share in _campaign_shares(channel).items()))


def _truth() -> dict[str, Any]:
    ratios = {f"channel: {name}": values[1] for name, values in CHANNELS.items()}
    ratios |= {f"campaign: {name}": ratio for name, ratio in CAMPAIGNS.items()}
    ratios |= {f"device: {name}": values[1] for name, values in DEVICES.items()}
    reference = {"channel": "organic", "campaign": "none", "device": "android"}
    for variable, category in reference.items():
        del ratios[f"{variable}: {category}"]
    return {
        "law": f"P(T > t) = exp(-HR * leavers * (1 - exp(-(t - {IDLE_DAYS}) / pace))), T in whole days",
        "idle_days": IDLE_DAYS,
        "leavers": LEAVERS,
        "pace": PACE,
        "formula": "channel + campaign + device",
        "reference": reference,
        "hazard_ratios": ratios,
        "survival_90": {name: _true_survival(name, 90) for name in CHANNELS},
        "return_share": RETURN_SHARE,
        "return_mean_days": RETURN_MEAN_DAYS,
    }


@dataclass(frozen=True, slots=True, eq=False)
class _People:
    """Users of one part: codes (n,) int, registration day (n,) and second of it (n,), hazard ratio (n,)."""

    channel: NDArray[np.int64]
    campaign: NDArray[np.int64]
    device: NDArray[np.int64]
    day: NDArray[np.int64]
    second: NDArray[np.int64]
    hazard_ratio: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class _ActiveDays:
    """Active days in order of user and day: index of the user (m,), day of the window (m,), registration day or not."""

    user: NDArray[np.int64]
    day: NDArray[np.int64]
    first: NDArray[np.bool_]


def _simulate_part(rng: np.random.Generator, first_id: int, n: int) -> tuple[pa.Table, pa.Table]:
    people = _draw_people(rng, n)
    active = _draw_active_days(rng, people)
    ids = np.arange(first_id, first_id + n)
    users = pa.table(
        {
            "user_id": ids,
            "registered_at": _timestamps(people.day * _DAY + people.second),
            "channel": _words(people.channel, tuple(CHANNELS)).cast(pa.string()),
            "campaign": _words(people.campaign, tuple(CAMPAIGNS)).cast(pa.string()),
            "device": _words(people.device, tuple(DEVICES)).cast(pa.string()),
        }
    )
    return users, _draw_events(rng, ids, people, active)


def _draw_people(rng: np.random.Generator, n: int) -> _People:
    shares = np.array([values[0] for values in CHANNELS.values()])
    channel = rng.choice(len(CHANNELS), size=n, p=shares)
    won = np.array([values[2] for values in CHANNELS.values()])
    campaign = (rng.random(n) < won[channel]).astype(np.int64)
    device = rng.choice(len(DEVICES), size=n, p=np.array([values[0] for values in DEVICES.values()]))
    day = np.where(campaign == 1, rng.integers(*CAMPAIGN_WEEK, size=n), rng.integers(0, REGISTRATION_DAYS, size=n))
    ratio = (
        np.array([values[1] for values in CHANNELS.values()])[channel]
        * np.array(list(CAMPAIGNS.values()))[campaign]
        * np.array([values[1] for values in DEVICES.values()])[device]
    )
    return _People(channel, campaign, device, day, rng.integers(6 * 3600, 21 * 3600, size=n), ratio)


def _draw_active_days(rng: np.random.Generator, people: _People) -> _ActiveDays:
    """Active days of all spells, round by round: first spells, then the spells after a return, and so on."""
    n = len(people.day)
    gap_mean = rng.choice(GAP_MEANS, size=n, p=GAP_SHARES)
    user, origin = np.arange(n), people.day
    users, days = [user], [origin]
    while user.size:
        last = origin + _draw_active_length(rng, people.hazard_ratio[user])
        visits = _fill_spell(rng, user, origin, last, gap_mean)
        users.append(visits[0])
        days.append(visits[1])
        returns = rng.random(user.size) < RETURN_SHARE
        pause = 1 + np.floor(rng.exponential(RETURN_MEAN_DAYS, size=user.size)).astype(np.int64)
        origin = last + IDLE_DAYS + pause
        keep = returns & (origin < WINDOW_DAYS)
        user, origin = user[keep], origin[keep]
        users.append(user)
        days.append(origin)
    all_users, all_days = np.concatenate(users), np.concatenate(days)
    order = np.argsort(all_users * (2 * WINDOW_DAYS) + all_days)
    all_users, all_days = all_users[order], all_days[order]
    return _ActiveDays(all_users, all_days, all_days == people.day[all_users])


def _draw_active_length(rng: np.random.Generator, hazard_ratio: NDArray[np.float64]) -> NDArray[np.int64]:
    """Days from origin to the last activity, T - 30 = ceil(E) >= 1; those who never churn outlive any window.

    Inverse of the cumulative hazard: HR * leavers * (1 - exp(-E / pace)) is a standard exponential where it can be.
    """
    used = np.minimum(rng.exponential(size=hazard_ratio.size) / (hazard_ratio * LEAVERS), 1.0)
    with np.errstate(divide="ignore"):
        length = np.ceil(-PACE * np.log1p(-used))
    return np.clip(length, 1, 2 * WINDOW_DAYS).astype(np.int64)


def _fill_spell(
    rng: np.random.Generator,
    user: NDArray[np.int64],
    origin: NDArray[np.int64],
    last: NDArray[np.int64],
    gap_mean: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Visits after the origin with gaps of 1 to 30 days, ending exactly on `last` or at the end of the window.

    Walking on until a gap would pass `last` and then going to `last` itself makes no gap longer than 30 days.
    """
    ends = last < WINDOW_DAYS
    users, days = [user[ends]], [last[ends]]
    at, position, until = user, origin, np.minimum(last, WINDOW_DAYS)
    while at.size:
        gap = 1 + np.floor(rng.gamma(3.0, (gap_mean[at] - 0.5) / 3.0)).astype(np.int64)
        position = position + 1 + (gap - 1) % IDLE_DAYS
        going = position < until
        at, position, until = at[going], position[going], until[going]
        users.append(at)
        days.append(position)
    return np.concatenate(users), np.concatenate(days)


def _draw_events(rng: np.random.Generator, ids: NDArray[np.int64], people: _People, active: _ActiveDays) -> pa.Table:
    """A login on each active day, some investments, and some of those redeemed on the next active day."""
    m = active.user.size
    used = ~active.first | (rng.random(m) < FIRST_DAY_USE)
    start = np.where(active.first, people.second[active.user], rng.integers(6 * 3600, 23 * 3600, size=m))
    login_at = active.day * _DAY + start + np.where(active.first, rng.integers(1, 3600, size=m), 0)
    invests = used & (rng.random(m) < INVEST_SHARE)
    amount = np.round(np.maximum(rng.lognormal(np.log(3_000.0), 1.2, size=m), 100.0), 2)
    same_user = np.concatenate([[False], active.user[1:] == active.user[:-1]])
    before = np.concatenate([[False], invests[:-1]])
    redeems = same_user & before & (rng.random(m) < REDEEM_SHARE)
    boosted = (rng.random(m) < BOOSTED_SHARE).astype(np.int64)

    where = np.concatenate([np.flatnonzero(used), np.flatnonzero(invests), np.flatnonzero(redeems)])
    kind = np.repeat(np.arange(3), [used.sum(), invests.sum(), redeems.sum()])
    redeemed = np.concatenate([[0.0], amount[:-1]])
    value = np.where(kind == 2, redeemed[where], amount[where])
    # Redemptions come first after the login, investments in the half hour after that.
    at = login_at[where] + (kind == 2) * 60 + (kind == 1) * rng.integers(120, 1800, size=kind.size)
    order = np.argsort(active.user[where] * (2 * WINDOW_DAYS * _DAY) + at, kind="stable")
    where, kind, value, at = where[order], kind[order], value[order], at[order]
    return pa.table(
        {
            "user_id": ids[active.user[where]],
            "event_at": _timestamps(at),
            "kind": _words(kind, KINDS),
            "amount": pa.array(value, mask=kind == 0),
            "product": _words(boosted[where], PRODUCTS, missing=kind != 1),
        }
    )


def _timestamps(seconds: NDArray[np.int64]) -> pa.Array:
    return pa.array(np.datetime64(FIRST_DAY, "us") + seconds.astype("timedelta64[s]"))


def _words(
    codes: NDArray[np.int64], words: tuple[str, ...], *, missing: NDArray[np.bool_] | None = None
) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int8), mask=missing), pa.array(list(words)))


def _balances(events: pd.DataFrame) -> pd.DataFrame:
    moves = events.loc[events["kind"] != "login", ["user_id", "event_at", "kind", "amount"]]
    signed = np.where(moves["kind"] == "redeem", -moves["amount"], moves["amount"])
    table = moves[["user_id"]].assign(date=moves["event_at"].dt.normalize(), balance=signed)
    table["balance"] = table.groupby("user_id")["balance"].cumsum().round(2)
    return table.drop_duplicates(["user_id", "date"], keep="last").reset_index(drop=True)


def _write_parts(parts: Iterator[tuple[pa.Table, pa.Table]], folder: Path) -> None:
    """Write to names ending in `.part`, and rename when both files are complete."""
    import pyarrow.parquet as pq

    names = ("users.parquet", "events.parquet")
    drafts = [folder / f"{name}.part" for name in names]
    writers: list[pq.ParquetWriter] = []
    try:
        for tables in parts:
            if not writers:
                writers = [
                    pq.ParquetWriter(draft, table.schema, compression="zstd")
                    for draft, table in zip(drafts, tables, strict=True)
                ]
            for writer, table in zip(writers, tables, strict=True):
                writer.write_table(table)
        for writer in writers:
            writer.close()
        # A run stopped between the two renames leaves a folder without events, never users of one app with another's.
        (folder / "events.parquet").unlink(missing_ok=True)
        for draft, name in zip(drafts, names, strict=True):
            draft.replace(folder / name)
    finally:
        for draft in drafts:
            draft.unlink(missing_ok=True)
