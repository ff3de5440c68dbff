"""The recall list, the forecast of rewards and the returned are the same on Spark."""

from typing import Any

import pandas as pd

import churnsurv as ch
from tests.data.spark import on_spark, spark  # noqa: F401


@on_spark
def test_spark_gives_the_same_tables(spark: Any) -> None:  # noqa: F811
    app = ch.simulate_app(120, seed=3)
    given = {"events": app.events, "users": app.users, "balances": app.balances, "observed_until": "2025-06-29"}
    with ch.connect(spark=spark) as engine:
        logs = (ch.ActivityLog(**given), ch.ActivityLog(**given, engine=engine))
        one, other = (
            ch.recall_list(log, as_of="2025-03-01", feedback=app.feedback, min_probability=0.1) for log in logs
        )
        pd.testing.assert_frame_equal(one.table, other.table)
        one, other = (ch.RewardRule().forecast(log, as_of="2025-03-01", margin=2_000) for log in logs)
        pd.testing.assert_frame_equal(one.table, other.table)
        one, other = (ch.monitor_recalled(log, app.campaigns) for log in logs)
        pd.testing.assert_frame_equal(one.table, other.table)
        assert dict(one.counts) == dict(other.counts)
