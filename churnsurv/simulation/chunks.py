"""The work in chunks of users. A chunk is what its users are, so its size changes nothing but memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pyarrow as pa

from churnsurv.simulation.effects import arm_sums
from churnsurv.simulation.events import balance_table, event_table
from churnsurv.simulation.paths import Paths, walk
from churnsurv.simulation.people import People, draw_people
from churnsurv.simulation.records import campaign_table, feedback_table, gap_table, user_table
from churnsurv.simulation.world import World

__all__ = ["TABLES", "Part", "parts_of"]

#: Users that are simulated together: about 200 MB of memory.
CHUNK = 25_000


def _users(world: World, paths: Paths) -> pa.Table:
    return user_table(world, paths.people)


#: The tables that are made from lives, chunk by chunk.
TABLES: Mapping[str, Callable[[World, Paths], pa.Table]] = MappingProxyType(
    {
        "events": event_table,
        "users": _users,
        "balances": balance_table,
        "campaigns": campaign_table,
        "feedback": feedback_table,
        "gaps": gap_table,
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What came of one chunk: the tables asked for, the users, and the lives behind them."""

    tables: Mapping[str, pa.Table]
    people: People
    world: World
    paths: Paths

    def arm_sums(self, horizon: int) -> list[tuple[int, int, int, float]]:
        """As `churnsurv.simulation.effects.arm_sums`."""
        return arm_sums(self.world, self.paths, horizon)


def parts_of(world: World, n_users: int, *, wanted: Sequence[str], progress: bool = False) -> Iterator[Part]:
    """Simulate users 1 ... n_users, chunk by chunk.

    Parameters
    ----------
    world : World
    n_users : int
    wanted : sequence of str
        Which of `TABLES` to make.
    progress : bool
        Show a progress bar on a terminal.
    """
    starts = range(0, n_users, CHUNK)
    if progress:
        from tqdm import tqdm

        starts = tqdm(starts, desc="simulate", unit="part", disable=None, delay=1)
    for start in starts:
        people = draw_people(world, np.arange(start + 1, min(start + CHUNK, n_users) + 1))
        paths = walk(world, people)
        yield Part({name: TABLES[name](world, paths) for name in wanted}, people, world, paths)
