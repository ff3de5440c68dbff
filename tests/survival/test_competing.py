"""The door to cumulative incidence: causes as users hold them, tables, questions on days, bounds, bad input."""

import json

import numpy as np
import pandas as pd
import pytest

from churnsurv.errors import ChurnsurvWarning, FollowUpError, InputError, SchemaError
from churnsurv.survival import kaplan_meier
from churnsurv.survival.competing import cumulative_incidence
from churnsurv.tables import schema

WHY = ("price", "moved", "service")


def users(n: int = 300, seed: int = 0, known: float = 1.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    life, end = 30 + rng.geometric(0.02, n), rng.integers(35, 150, n)
    why = np.array(WHY, dtype=object)[rng.integers(0, 3, n)]
    why[rng.random(n) > known] = None
    return pd.DataFrame(
        {
            "user_id": np.arange(n) // 2,
            "duration": np.minimum(life, end),
            "churned": life <= end,
            "why": np.where(life <= end, why, None),
            "channel": np.array(["ads", "friend"], dtype=object)[rng.integers(0, 2, n)],
        }
    )


def test_the_table_has_its_schema_and_sums_to_one():
    found = cumulative_incidence(users(known=0.8), cause="why", by="channel")
    table = found.table
    assert tuple(table.columns) == (*schema("cumulative_incidence").names, "channel")
    assert found.causes == ("moved", "price", "service", "unknown")
    total = table.groupby(["group", "time"])["incidence"].sum()
    km = kaplan_meier(users(known=0.8), by="channel").table.set_index(["group", "time"])["survival"]
    np.testing.assert_allclose(total + km, 1, atol=1e-13)
    assert (table.groupby(["group", "cause"])["n_events"].sum() > 0).all()
    start = table[table["time"] == 0]
    assert (start[["incidence", "std_error", "lower", "upper"]] == 0).all(axis=None)


def test_one_cause_is_one_minus_kaplan_and_meier():
    data = users().assign(why="any")
    found, km = cumulative_incidence(data, cause="why").table, kaplan_meier(data).table.set_index("time")
    km = km.loc[found["time"]]
    np.testing.assert_allclose(found["incidence"], 1 - km["survival"], atol=1e-14)
    np.testing.assert_allclose(found["std_error"], km["std_error"], rtol=1e-8, atol=1e-15)
    np.testing.assert_allclose(found["lower"][1:], 1 - km["upper"][1:], rtol=1e-8)
    np.testing.assert_array_equal(found["n_at_risk"], km["n_at_risk"])


@pytest.mark.parametrize("form", ["object", "category", "integer", "float"])
def test_causes_of_any_type(form):
    data = users(known=0.7)
    expected = cumulative_incidence(data, cause="why")
    numbers = data["why"].map({"moved": 1, "price": 2, "service": 3})
    forms = {
        "object": data["why"],
        "category": data["why"].astype(pd.CategoricalDtype(["moved", "price", "service"])),
        "integer": numbers.astype("Int64"),
        "float": numbers.astype(float),
    }
    found = cumulative_incidence(data.assign(why=forms[form]), cause="why")
    names = ("1", "2", "3") if form in ("integer", "float") else expected.causes[:3]
    assert found.causes == (*names, "unknown")
    np.testing.assert_array_equal(found.table["incidence"], expected.table["incidence"])


def test_a_cause_called_unknown_is_the_unknown_one():
    data = users(known=0.7)
    named = data.assign(why=data["why"].where(~(data["churned"] & data["why"].isna()), "unknown"))
    half = named.assign(why=named["why"].where(named.index % 2 == 0, data["why"]))
    for one in (named, half):
        pd.testing.assert_frame_equal(
            cumulative_incidence(one, cause="why").table, cumulative_incidence(data, cause="why").table
        )


def test_reasons_of_users_who_did_not_churn_are_not_read():
    data = users()
    data.loc[~data["churned"], "why"] = "never seen"
    found = cumulative_incidence(data, cause="why")
    assert found.causes == ("moved", "price", "service")
    assert "no churn has the 'why' 'never seen': no curve for it." in found.notes


def test_at_days():
    found = cumulative_incidence(users(), cause="why", by="channel")
    day = found.at([40, 40.5])
    assert len(day) == 2 * 3 * 2
    table = found.table
    for _, row in day.iterrows():
        before = table[
            (table["group"] == row["group"]) & (table["cause"] == row["cause"]) & (table["time"] <= row["time"])
        ]
        assert row["incidence"] == before["incidence"].iloc[-1]
        assert row["upper"] == before["upper"].iloc[-1]
    assert (day.loc[day["time"] == 40.5, "n_events"] == 0).all()
    with pytest.raises(FollowUpError, match=r"'ads' \d+, 'friend' \d+"):
        found.at(500)
    with pytest.raises(InputError, match="times must be finite"):
        found.at(-1)


def test_late_entry_and_the_first_day():
    data = users().assign(entry=lambda t: np.minimum(np.arange(len(t)) % 33, t["duration"]))
    found = cumulative_incidence(data, cause="why", entry="entry").table
    start = found[found["time"] == 0]
    assert (start["n_at_risk"] == (data["entry"] == 0).sum()).all()
    row = found[(found["time"] == 31)].iloc[0]
    assert row["n_at_risk"] == ((data["entry"] < 31) & (data["duration"] >= 31)).sum()


def test_weights_and_clusters_change_what_they_should():
    data = users().assign(w=lambda t: 1 + t.index % 3)
    plain = cumulative_incidence(data, cause="why", cluster=None).at(60)
    clustered = cumulative_incidence(data, cause="why", cluster="user_id").at(60)
    sampled = cumulative_incidence(data, cause="why", weights="w", weights_kind="sampling").at(60)
    counted = cumulative_incidence(data, cause="why", weights="w", weights_kind="frequency").at(60)
    np.testing.assert_array_equal(plain["incidence"], clustered["incidence"])
    assert not np.allclose(plain["std_error"], clustered["std_error"], rtol=1e-4)
    np.testing.assert_allclose(sampled["incidence"], counted["incidence"], rtol=1e-12)
    assert (sampled["std_error"] > counted["std_error"]).all()
    assert (sampled["n_at_risk"] == plain["n_at_risk"]).all()
    assert (counted["n_at_risk"] == data.loc[data["duration"] >= 60, "w"].sum()).all()


def test_bounds_hold_what_the_hidden_causes_were():
    full = users(600, seed=3)
    rng = np.random.default_rng(4)
    known = full.assign(why=full["why"].where(rng.random(600) < 0.6))
    found = cumulative_incidence(known, cause="why", by="channel")
    truth = cumulative_incidence(full, cause="why", by="channel").table
    for cause in WHY:
        bounds = found.bounds(cause)
        assert tuple(bounds.columns) == (*schema("incidence_bounds").names, "channel")
        true = truth.loc[truth["cause"] == cause, "incidence"].to_numpy()
        assert (bounds["lowest"] <= true + 1e-14).all()
        assert (true <= bounds["highest"] + 1e-14).all()
        assert (bounds["lowest"] <= bounds["missing_at_random"] + 1e-14).all()
        assert (bounds["missing_at_random"] <= bounds["highest"] + 1e-14).all()
        inner = bounds[bounds["lowest"] > 0]
        assert (inner["lower"] < inner["lowest"]).all()
        assert (inner["highest"] < inner["upper"]).all()
    everything = sum(found.bounds(cause)["missing_at_random"] for cause in WHY)
    all_causes = found.table.groupby(["group", "time"], sort=False)["incidence"].sum()
    np.testing.assert_allclose(everything, all_causes, atol=1e-13)


@pytest.mark.parametrize("more", [{"entry": "entry"}, {"cluster": "user_id"}, {"entry": "entry", "by": "channel"}])
def test_bounds_with_entries_and_clusters(more):
    data = users(known=0.5).assign(entry=lambda t: np.arange(len(t)) % 29)
    bounds = cumulative_incidence(data, cause="why", **more).bounds("price", 100)
    assert (bounds["std_error"] > 0).all()
    assert (bounds["mar_lower"] < bounds["missing_at_random"]).all()


def test_bounds_without_unknown_causes_are_the_curve():
    bounds = cumulative_incidence(users(), cause="why").bounds("price")
    np.testing.assert_array_equal(bounds["lowest"], bounds["highest"])
    np.testing.assert_array_equal(bounds["lowest"], bounds["missing_at_random"])


def test_bounds_of_no_cause():
    found = cumulative_incidence(users(known=0.5), cause="why")
    with pytest.raises(InputError, match="Did you mean 'price'"):
        found.bounds("prize")
    with pytest.raises(InputError, match="'unknown' is what the bounds are about"):
        found.bounds("unknown")
    with pytest.raises(FollowUpError, match="nobody was followed to day 900"):
        found.bounds("price", 900)


def test_groups_without_churn_and_all_churn_on_day_zero():
    data = users()
    data.loc[data["channel"] == "ads", "churned"] = False
    table = cumulative_incidence(data, cause="why", by="channel").table
    quiet = table[(table["group"] == "ads") & (table["time"] > 0)]
    assert (quiet[["incidence", "std_error"]] == 0).all(axis=None)
    assert quiet[["lower", "upper"]].isna().all(axis=None)
    at_once = pd.DataFrame({"duration": [0, 0, 0], "churned": [1, 1, 0], "why": ["a", "b", None]})
    table = cumulative_incidence(at_once, cause="why").table
    assert table["incidence"].tolist() == [1 / 3, 1 / 3]
    assert (table["lower"] > 0).all()
    one = pd.DataFrame({"duration": [4], "churned": [True], "why": ["a"]})
    assert cumulative_incidence(one, cause="why").table["incidence"].tolist() == [0, 1]


def test_a_group_never_at_risk_is_named():
    data = users().assign(entry=lambda t: np.where(t["channel"] == "ads", t["duration"], 0))
    data.loc[data["channel"] == "ads", "churned"] = False
    with pytest.warns(ChurnsurvWarning, match="no curve for 'ads'"):
        found = cumulative_incidence(data, cause="why", by="channel", entry="entry")
    assert found.groups == ("friend",)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"cause": "reason"}, SchemaError, "'reason' is missing"),
        ({"variance": "gray"}, InputError, "variance must be 'jackknife' or 'delta'"),
        ({"ci": "log"}, InputError, "ci must be 'log-log' or 'plain'"),
        ({"variance": "delta", "cluster": "user_id"}, InputError, "takes no clusters"),
        ({"variance": "delta", "weights": "duration", "weights_kind": "sampling"}, InputError, "no sampling weights"),
        ({"level": 95}, InputError, "level must lie between 0 and 1"),
    ],
)
def test_bad_options(change, error, says):
    with pytest.raises(error, match=says):
        cumulative_incidence(users(), **{"cause": "why", **change})


def test_nobody_churned():
    with pytest.raises(InputError, match="nobody churned"):
        cumulative_incidence(users().assign(churned=False), cause="why")


def test_causes_that_read_the_same():
    data = users()
    data["why"] = pd.Series(["1" if i % 2 else 1 for i in range(len(data))], dtype=object)
    with pytest.raises(InputError, match="two values of 'why' read '1'"):
        cumulative_incidence(data, cause="why")


def test_json_and_repr():
    found = cumulative_incidence(users(known=0.9), cause="why")
    plain = json.loads(found.to_json())
    assert plain["schema"]["name"] == "cumulative_incidence"
    assert plain["facts"]["causes"] == ["moved", "price", "service", "unknown"]
    assert "no known 'why'" in plain["facts"]["notes"][0]
    assert repr(found).startswith("<CumulativeIncidence: 300 rows, ")


def test_the_users_table_does_not_change():
    data = users(known=0.5).assign(entry=0)
    before = data.copy()
    found = cumulative_incidence(data, cause="why", entry="entry")
    first = found.bounds("price")
    data["duration"] = 1
    pd.testing.assert_frame_equal(found.bounds("price"), first)
    pd.testing.assert_frame_equal(data.assign(duration=before["duration"]), before)
