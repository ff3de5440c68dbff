"""Days of change: found where they are, in groups and clusters, and refused where there are none."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.errors import InputError
from churnsurv.simulation import simulate_app
from churnsurv.tables import schema
from churnsurv.warning import ChangePoints, change_points


def table(n: int = 3000, seed: int = 0, *, late: float = 0.01) -> pd.DataFrame:
    """A fifth churns on day 30, then 3 % a day to day 60, then `late`; followed for 40 to 120 days."""
    rng = np.random.default_rng(seed)
    spike = rng.random(n) < 0.2
    early, after = 30 + rng.geometric(0.03, n), 60 + rng.geometric(late, n)
    life = np.where(spike, 30, np.where(early <= 60, early, after))
    end = rng.integers(40, 121, n)
    return pd.DataFrame(
        {
            "duration": np.minimum(life, end),
            "churned": life <= end,
            "channel": np.where(np.arange(n) % 3, "paid", "organic"),
        }
    )


@pytest.fixture(scope="module")
def found() -> ChangePoints:
    return change_points(table(), bootstrap=40)


def test_segments_are_found_where_they_are(found: ChangePoints) -> None:
    rows = found.table
    assert rows["first_day"].tolist()[:2] == [30, 31]
    assert len(rows) == 3
    assert rows["change_lower"].iloc[2] <= 61 <= rows["change_upper"].iloc[2]
    for truth, row in zip([0.2, 0.03, 0.01], rows.itertuples(), strict=True):
        assert row.lower < truth < row.upper
    assert (rows["frequency"].iloc[1:] > 0.5).all()
    assert rows["frequency"].isna().iloc[0]


def test_counts_are_those_of_the_table(found: ChangePoints) -> None:
    data = table()
    days = found.days.set_index("day")
    for day in (30, 45, 61, 119):
        assert days.loc[day, "n_at_risk"] == (data["duration"] >= day).sum()
        assert days.loc[day, "n_events"] == (data["churned"] & (data["duration"] == day)).sum()
    assert found.table["n_events"].sum() == data["churned"].sum()
    rows = found.table
    np.testing.assert_allclose(rows["hazard"], rows["n_events"] / rows["person_days"])
    middle = rows.iloc[1]
    assert (days.loc[middle["first_day"] : middle["last_day"], "fitted"] == middle["hazard"]).all()
    assert rows["first_day"].iloc[1:].tolist() == (rows["last_day"].iloc[:-1] + 1).tolist()


def test_the_number_of_segments_has_the_lowest_criterion(found: ChangePoints) -> None:
    criteria = found.criteria
    assert criteria["chosen"].sum() == 1
    assert criteria.loc[criteria["chosen"], "n_segments"].item() == 3
    assert criteria["bic"].idxmin() == criteria["chosen"].idxmax()
    k, events = criteria["n_segments"], table()["churned"].sum()
    np.testing.assert_allclose(criteria["bic"], -2 * criteria["log_likelihood"] + (2 * k - 1) * np.log(events))


def test_the_result_shows_what_it_found(found: ChangePoints) -> None:
    for shown, name in ((found.table, "change_points"), (found.days, "change_points_days"),
                        (found.criteria, "change_points_criterion")):  # fmt: skip
        assert list(shown.columns) == list(schema(name).names)
    assert "changing on day 31 (31 to 31), 6" in repr(found)
    assert json.loads(found.to_json())["facts"]["dispersion"] == {"all": 1.0}


def test_no_change_is_an_answer() -> None:
    rng = np.random.default_rng(1)
    life = 29 + rng.geometric(0.02, 2000)
    found = change_points(pd.DataFrame({"duration": np.minimum(life, 100), "churned": life <= 100}), from_day=30)
    assert len(found.table) == 1
    assert "no change; hazard 0.02" in repr(found)


def test_groups_have_their_own_segments() -> None:
    data = pd.concat([table(seed=1).assign(channel="paid"), table(seed=2, late=0.03).assign(channel="organic")])
    found = change_points(data, by="channel", bootstrap=5)
    assert found.groups == ("organic", "paid")
    assert found.table.groupby("group").size().to_dict() == {"organic": 2, "paid": 3}
    assert (found.table["channel"] == found.table["group"]).all()
    alone = change_points(data[data["channel"] == "paid"], from_day=30, bootstrap=5)
    mine = found.table[found.table["group"] == "paid"].reset_index(drop=True)
    same = ["first_day", "last_day", "hazard", "lower", "upper", "change_lower", "frequency"]
    pd.testing.assert_frame_equal(mine[same], alone.table[same])


def test_neither_order_nor_repetition_changes_anything() -> None:
    data, plain = table(500), {"bootstrap": 0}
    same = ["first_day", "last_day", "n_events", "hazard", "lower", "upper", "change_lower", "change_upper"]
    here = change_points(data, **plain).table[same]
    pd.testing.assert_frame_equal(change_points(data.sample(frac=1, random_state=0), **plain).table[same], here)
    times = np.random.default_rng(0).integers(1, 4, len(data))
    once = change_points(data.assign(n=times), weights="n", weights_kind="frequency", **plain)
    pd.testing.assert_frame_equal(once.table, change_points(data.loc[data.index.repeat(times)], **plain).table)


def test_late_entries_and_a_last_day() -> None:
    data = table().assign(entry=0)
    late = data[data["duration"] > 45].assign(entry=45)
    found = change_points(late, entry="entry", until_day=80, from_day=40, bootstrap=0)
    assert found.first_day == 40
    assert found.table["first_day"].iloc[0] == found.days["day"].min() == 46  # nobody is at risk before
    assert found.table["last_day"].iloc[-1] == 80
    assert found.days.set_index("day").loc[80, "n_at_risk"] == (late["duration"] >= 80).sum()


def test_doubled_rows_of_clusters_say_no_more_than_single_ones() -> None:
    data = table(1500)
    doubled = pd.concat([data, data]).assign(user=np.tile(np.arange(1500), 2))
    found = change_points(doubled, cluster="user", bootstrap=20)
    assert found.dispersion["all"] == pytest.approx(2, rel=0.15)
    naive = change_points(doubled, cluster=None, bootstrap=0)
    single = change_points(data, bootstrap=0).table
    wide = found.table["upper"] - found.table["lower"]
    assert (wide > (naive.table["upper"] - naive.table["lower"]).iloc[: len(wide)]).all()
    np.testing.assert_allclose(wide, single["upper"] - single["lower"], rtol=0.15)
    assert any("vary" in note for note in found.notes)


@pytest.fixture(scope="module")
def log() -> ch.ActivityLog:
    return simulate_app(600, seed=3).log


def test_our_own_tables_choose_the_scale_and_the_days(log: ch.ActivityLog) -> None:
    tenure = change_points(log.churn_spells(), bootstrap=0)
    assert (tenure.scale, tenure.first_day, tenure.cluster) == ("tenure", 30, None)
    assert tenure.table["first_day"].iloc[1] == 31  # those who left at registration all churn on day 30
    idle = change_points(log.gaps(), bootstrap=3)
    assert (idle.scale, idle.first_day, idle.last_day, idle.cluster) == ("idle", 1, 30, "user_id")
    gaps = log.gaps().table
    assert idle.table["n_events"].sum() == (gaps["returned"] & (gaps["duration"] <= 30)).sum()
    assert "changing on idle day" in repr(idle)


def test_a_relation_gives_the_same_segments(log: ch.ActivityLog) -> None:
    inside = change_points(log.relation("spells"), bootstrap=0)
    pd.testing.assert_frame_equal(inside.table, change_points(log.churn_spells(), bootstrap=0).table)
    assert inside.first_day == 30


class TestRefused:
    @pytest.mark.parametrize(
        ("way", "message"),
        [
            ({"scale": "calendar"}, "scale must be 'tenure' or 'idle'"),
            ({"criterion": "aic"}, "criterion must be 'bic'"),
            ({"max_segments": 0}, "max_segments must be a whole number from 1 to 20"),
            ({"bootstrap": -1}, "bootstrap must be a whole number"),
            ({"level": 1.0}, "level must lie between 0 and 1"),
            ({"from_day": 500}, "leave nothing to cut"),
        ],
    )
    def test_arguments_that_make_no_sense(self, way: dict[str, object], message: str) -> None:
        with pytest.raises(InputError, match=message):
            change_points(table(100), **way)  # type: ignore[arg-type]

    def test_the_scale_of_another_table(self, log: ch.ActivityLog) -> None:
        with pytest.raises(InputError, match=r"gaps have the scale 'idle', not 'tenure'. Take log.churn_spells"):
            change_points(log.gaps(), scale="tenure")

    def test_days_that_are_not_whole(self) -> None:
        with pytest.raises(InputError, match=r"duration must be whole days; row 0 has 30.5"):
            change_points(pd.DataFrame({"duration": [30.5, 31], "churned": [True, True]}))

    def test_nobody_churned(self) -> None:
        with pytest.raises(InputError, match="nobody had the event"):
            change_points(table(50).assign(churned=False))
        quiet = table(200)
        quiet.loc[quiet["channel"] == "paid", "churned"] = False
        with pytest.raises(InputError, match="group 'paid' has no event"):
            change_points(quiet, by="channel")

    def test_more_days_than_can_be_cut(self) -> None:
        with pytest.raises(InputError, match="days are more than 3,000"):
            change_points(pd.DataFrame({"duration": [1, 9000], "churned": [True, True]}))


def test_all_segments_used_is_said() -> None:
    full = change_points(table(), max_segments=2, bootstrap=0)
    assert any("as many segments as max_segments allows" in note for note in full.notes)


def test_the_plot(found: ChangePoints) -> None:
    from matplotlib.figure import Figure

    ax = found.plot(Figure().add_subplot())
    assert any("single days" in text.get_text() for text in ax.texts)
