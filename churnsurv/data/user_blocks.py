"""The random groups of users over which variances are taken, by user: the same in which `gap_counts` counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.gap_counts_sql import blocks_sql

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data.log import ActivityLog

__all__ = ["blocks_of_users"]


def blocks_of_users(log: ActivityLog, users: pd.Series[Any], *, blocks: int = 1000) -> NDArray[np.int64]:
    """The block of each of some users, 0 ... blocks - 1; with fewer users each is a block of its own.

    Parameters
    ----------
    log : ActivityLog
    users : Series
        Ids as in the log's own tables, any number of times.
    blocks : int

    Raises
    ------
    KeyError
        If one of them is no user of the log.

    Examples
    --------
    >>> import pandas as pd
    >>> from churnsurv.data import ActivityLog
    >>> users = pd.DataFrame({"user_id": ["b", "a"], "registered_at": "2024-01-01"})
    >>> events = pd.DataFrame({"user_id": ["a"], "event_at": ["2024-01-05"], "kind": ["login"]})
    >>> blocks_of_users(ActivityLog(events, users), pd.Series(["a", "a", "b"])).tolist()
    [0, 0, 1]
    """
    import pandas as pd

    reading = log._reading
    n_blocks = min(blocks, reading.n_users)
    known = blocks_sql(reading.users, blocks=n_blocks, n_users=reading.n_users)
    found = reading.engine.arrow(f"SELECT user_id, block FROM ({known}) AS u").to_pandas()
    block = pd.Series(found["block"].to_numpy(dtype=np.int64), index=found["user_id"])
    codes, distinct = pd.factorize(users)
    return np.asarray(block.loc[distinct].to_numpy()[codes], dtype=np.int64)
