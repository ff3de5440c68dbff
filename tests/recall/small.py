"""A campaign of six users whose every day, return and sum is worked out by hand.

The rule is 3 idle days; the log ends on 2024-03-10; the horizon is 4 days. u is the day since the assignment, the day
of assignment being 1; C the days followed.

    user arm   assigned  C   activity on u          money on u           last before  live on u
    1    sms   03-01     10  2, 4 (6 is too late)   2: +100, 3: -30      02-20        2, 3, 4
    2    sms   03-08      3  1, 3                   3: +50               02-01        1, 2, 3
    3    sms   03-09      2  -                      -                    02-01        -
    4    none  03-01     10  -                      -                    02-28        1
    5    none  03-01     10  3, 4                   -                    02-01        3, 4
    6    none  03-10      1  1                      -                    02-01        1

Followed to u = 1 ... 4: sms 3, 3, 2, 1; none 3, 2, 2, 2. So 1 / G(u-): sms 1, 1, 3/2, 3; none 1, 3/2, 3/2, 3/2.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from churnsurv.data import ActivityLog, ChurnRule

HORIZON = 4
SMS, NONE = (1, 0), (0, 0)  # (arm, stratum): arms are in alphabetical order
#: 1 / G(u-) by (arm, stratum).
WEIGHTS = {SMS: [1, 1, 1.5, 3], NONE: [1, 1.5, 1.5, 1.5]}
TIME = [2, 1, 2, 4, 3, 1]
RETURNED = [True, True, False, False, True, True]
FOLLOWED = [10, 3, 2, 10, 10, 1]
W = {
    "active_days": [1 + 3, 1 + 1.5, 0, 0, 1.5 + 1.5, 1],
    "reinvested": [100 - 30 * 1.5, 50 * 1.5, 0, 0, 0, 0],
    "invested": [100, 50 * 1.5, 0, 0, 0, 0],
    "days_live": [1 + 1.5 + 3, 1 + 1 + 1.5, 0, 1, 1.5 + 1.5, 1],
    # delivered on u = 1, u = 2 (weight 1) and never (then on the day of assignment)
    "cost": [0.08, 0.08, 0.08, 0, 0, 0],
    # 10 released on u = 3; 5 and 20 still open, of which user 2 is not followed to the horizon; 7 expired on u = 4
    "rewards": [10 * 1.5, 0, 0, 0, 0, 0],
    "liability": [5 * 3, 0, 0, 0, 0, 0],
}
#: The mean of each day over the rows followed to it.
BY_DAY = {
    "active_days": {SMS: [1 / 3, 1 / 3, 1 / 2, 1], NONE: [1 / 3, 0, 1 / 2, 1 / 2]},
    "reinvested": {SMS: [0, 100 / 3, (50 - 30) / 2, 0], NONE: [0, 0, 0, 0]},
    "days_live": {SMS: [1 / 3, 2 / 3, 2 / 2, 1], NONE: [2 / 3, 0, 1 / 2, 1 / 2]},
    "rewards": {SMS: [0, 0, 5, 0], NONE: [0, 0, 0, 0]},
    "liability": {SMS: [0, 0, 0, 5], NONE: [0, 0, 0, 0]},
}
IDLE = [10, 36, 37, 2, 29, 38]  # days from the last activity to the assignment


def users() -> pd.DataFrame:
    return pd.DataFrame(
        {"user_id": range(1, 7), "registered_at": "2024-01-01", "channel": ["a", "b", "a", "b", "a", "b"]}
    )


def events() -> pd.DataFrame:
    rows = [
        (1, "2024-02-20", "invest", 40.0),
        (1, "2024-03-02", "invest", 100.0),
        (1, "2024-03-03", "redeem", 30.0),
        (1, "2024-03-04", "login", None),
        (1, "2024-03-06", "login", None),
        (2, "2024-03-08", "login", None),
        (2, "2024-03-10", "invest", 50.0),
        (4, "2024-02-28", "login", None),
        (5, "2024-03-03", "login", None),
        (5, "2024-03-04", "login", None),
        (6, "2024-03-10", "login", None),
        *((user, "2024-02-01", "login", None) for user in (2, 3, 5, 6)),
    ]
    return pd.DataFrame(rows, columns=["user_id", "event_at", "kind", "amount"])


def assignments() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "user_id": [1, 2, 3, 4, 5, 6],
            "campaign": "spring",
            "arm": ["sms"] * 3 + ["none"] * 3,
            "assigned_at": ["2024-03-01", "2024-03-08", "2024-03-09", "2024-03-01", "2024-03-01", "2024-03-10"],
            "delivered_at": ["2024-03-01", "2024-03-09", None, None, None, None],
            "cost": [0.08, 0.08, 0.08, None, 0.0, None],
        }
    )


def rewards() -> pd.DataFrame:
    rows = [
        (1, 10.0, "2024-03-20", "2024-03-03"),
        (1, 5.0, "2024-03-30", None),
        (1, 7.0, "2024-03-04", None),
        (2, 20.0, "2024-03-30", None),
    ]
    frame = pd.DataFrame(rows, columns=["user_id", "amount", "promised_until", "released_at"])
    return frame.assign(campaign="spring")


def log(table: pd.DataFrame | None = None, **settings: Any) -> ActivityLog:
    return ActivityLog(
        events() if table is None else table,
        users(),
        rule=ChurnRule(idle_days=3),
        observed_until="2024-03-10",
        **settings,
    )
