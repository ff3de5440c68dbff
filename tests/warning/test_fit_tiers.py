"""Tiers from logs: answers worked out by hand, figures recomputed from the gaps one by one, and bad input."""

import json

import numpy as np
import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.errors import InputError
from churnsurv.tables import schema
from churnsurv.warning import Capacity, Precision, Rule, Saving, Value, fit_tiers
from churnsurv.warning.tier_figures import tier_sums
from churnsurv.warning.training import train_on

from .small import log_of

# s falls from day 1 to day 2 a little, then much
FALLS = Saving.from_table({"idle_days": [1, 2, 3], "s": [0.5, 0.45, 0.1]})
#: 30 gaps: 20 end in churn, 6 in a return on day 2, 4 in one on day 3. Still silent on day 1, 2, 3: 30, 24, 20.
PLAIN = [(10, [], 1.0), (6, [2], 1.0), (4, [3], 1.0)]


def fitted(log, objective, **keywords):
    keywords = {"variables": [], "bootstrap": 0} | keywords
    return fit_tiers(log, objective={"high": objective}, **keywords)


@pytest.mark.parametrize(
    ("cost", "rule", "value"),
    [
        # day 1: 10 * .5 * 20 - 30 c; day 2: 10 * .45 * 20 - 24 c; day 3: 10 * .1 * 20 - 20 c
        (0.0, "idle_days > 0", 100 / 30),
        (1.0, "idle_days > 0", 70 / 30),
        (2.0, "idle_days > 1", 42 / 30),
        (3.74, "idle_days > 1", 0.24 / 30),
        (3.76, "contact nobody", 0.0),
    ],
)
def test_the_best_day_by_hand(cost, rule, value):
    scheme = fitted(log_of(PLAIN), Value(saved_value=10, contact_cost=cost, saving=FALLS))
    assert str(scheme.tiers[0].rule) == rule
    row = scheme.table.iloc[0]
    assert row["value"] == pytest.approx(1000 * value, abs=1e-9)
    if rule == "idle_days > 1":
        assert (row["alerts"], row["precision"], row["recall"]) == (24, pytest.approx(20 / 24), 1.0)
        assert row["lead_recall"] == pytest.approx(2 / 4)
        assert row["lead_days"] == 2.0
        assert row["alerts_per_day"] == pytest.approx(24 / scheme.n_days)


def test_a_tie_goes_to_the_rule_with_fewer_alerts():
    # at a cost of 10 / 6 days 1 and 2 are worth the same: 100 - 30 c = 90 - 24 c
    scheme = fitted(log_of(PLAIN), Value(saved_value=10, contact_cost=10 / 6, saving=FALLS), round=False)
    assert str(scheme.tiers[0].rule) == "idle_days > 1"


def test_precision_by_hand():
    log = log_of([(n * 40, gaps, score) for n, gaps, score in PLAIN])
    # precision 20/30, 20/24 and 1 from day 1, 2, 3 on; 1200 gaps
    assert str(fitted(log, Precision(target=0.6)).tiers[0].rule) == "idle_days > 0"
    assert str(fitted(log, Precision(target=0.8)).tiers[0].rule) == "idle_days > 1"
    assert str(fitted(log, Precision(target=0.9)).tiers[0].rule) == "idle_days > 2"


def test_sides_of_a_split_have_days_of_their_own():
    # low scores: nobody returns after day 1, so that day 1 is best; high scores: half return on day 3
    lives = [(10, [], 1.0), (20, [2], 9.0), (20, [3], 9.0)]
    saving = Saving.from_table({"idle_days": [1, 2, 3], "s": [0.5, 0.4, 0.35]})
    log = log_of(lives)
    # low: 10 churn of 10. high: 40 churn, 20 return on day 2, 20 on day 3: silent 80, 60, 40
    # c = 4, V = 20: low day 1: 100 - 40; high: day 1 400 - 320, day 2 320 - 240, day 3 280 - 160
    scheme = fitted(
        log, Value(saved_value=20, contact_cost=4, saving=saving), variables=["score"], grids={"score": [5]}
    )
    assert str(scheme.tiers[0].rule) == "(idle_days > 0 and score < 5) or (idle_days > 2 and score >= 5)"
    assert scheme.table["value"].tolist() == pytest.approx([1000 * (60 + 120) / 90])


def test_a_missing_value_fulfils_no_condition_unless_something_stands_in():
    lives = [(10, [], None), (10, [], 1.0), (20, [2], 9.0), (20, [3], 9.0)]
    asked = {"variables": ["score"], "grids": {"score": [5]}}
    worth = Value(saved_value=20, contact_cost=6.5, saving=FALLS)
    plain = fitted(log_of(lives), worth, **asked)
    assert str(plain.tiers[0].rule) == "idle_days > 0 and score < 5"
    assert plain.table["alerts"].tolist() == [10]
    assert any("10 gaps (10.0%) began without a value" in note for note in plain.notes)
    filled = fitted(log_of(lives), worth, missing={"score": 0}, **asked)
    assert filled.table["alerts"].tolist() == [20]
    assert filled.filled(pd.DataFrame({"score": [None, 7.0]}))["score"].tolist() == [0.0, 7.0]
    assert filled.data_hash != plain.data_hash


def test_a_monotone_rule_warns_users_with_less_no_later():
    lives = [(10, [], 9.0), (20, [2], 1.0), (20, [3], 1.0)]
    worth = Value(saved_value=20, contact_cost=4, saving=FALLS)
    free = fitted(log_of(lives), worth, variables=["score"], grids={"score": [5]})
    assert str(free.tiers[0].rule) == "(idle_days > 1 and score < 5) or (idle_days > 0 and score >= 5)"
    held = fitted(log_of(lives), worth, variables=["score"], grids={"score": [5]}, monotone={"score": "decreasing"})
    assert held.table["value"].iloc[0] < free.table["value"].iloc[0]
    days = [c.threshold for each in held.tiers[0].rule.alternatives for c in each if c.variable == "idle_days"]
    assert days == sorted(days)


@pytest.fixture(scope="module")
def app():
    return ch.simulate_app(1_500, seed=3)


@pytest.fixture(scope="module")
def log(app):
    return app.log


WORTH = Value(saved_value=100, contact_cost=5, saving=Saving.plateau(top=0.3, middle=20, width=3))
THREE = {"high": Precision(target=0.6), "medium": WORTH, "low": Capacity(per_day=4)}


@pytest.fixture(scope="module")
def scheme(log):
    return fit_tiers(log, objective=THREE, missing={"balance": 0}, bootstrap=40, seed=1)


def first_alert(rule: Rule, gaps: pd.DataFrame, idle_days: int) -> np.ndarray:
    """The first idle day from 1 on which a rule holds, day by day; idle_days for never."""
    found = np.full(len(gaps), idle_days)
    for day in range(idle_days - 1, 0, -1):
        found[rule.holds(gaps.assign(idle_days=day))] = day
    return found


def test_figures_are_those_of_the_gaps_one_by_one(log, scheme):
    gaps = log.gaps(features=["balance", "n_investments"]).table
    gaps = gaps[gaps["start_date"] <= pd.Timestamp(log.observed_until) - pd.Timedelta(days=30)]
    gaps = scheme.filled(gaps.assign(balance=gaps["balance"].astype("float64")))
    churned = ~gaps["returned"].to_numpy(bool) | (gaps["duration"].to_numpy() > 30)
    assert (scheme.n_gaps, scheme.n_churned) == (len(gaps), churned.sum())
    taken = np.full(len(gaps), 30)
    # alerts of a capacity wait for each other: test_capacity.py
    for tier, (_, row) in zip(scheme.tiers[:2], scheme.table[:2].iterrows(), strict=True):
        day = first_alert(tier.rule, gaps, 30)
        alerted = (day < 30) & (day < taken) & (gaps["duration"].to_numpy() > day)
        hit = alerted & churned
        assert row["alerts"] == alerted.sum()
        assert row["precision"] == pytest.approx(hit.sum() / alerted.sum())
        assert row["recall"] == pytest.approx(hit.sum() / churned.sum())
        assert row["lead_recall"] == pytest.approx(((30 - day)[hit] / 30).sum() / churned.sum())
        assert row["lead_days"] == pytest.approx((30 - day)[hit].mean())
        assert row["alerts_per_day"] == pytest.approx(alerted.sum() / scheme.n_days)
        if tier.name == "medium":
            worth = 100 * WORTH.saving.at(day) * hit - 5.0 * alerted
            assert row["value"] == pytest.approx(1000 * worth.sum() / len(gaps))
            assert row["value_lower"] < row["value"] < row["value_upper"]
        else:
            assert np.isnan(row["value"])
        taken = np.minimum(taken, day)


def test_a_gap_that_a_higher_tier_has_taken_over_is_no_alert_of_a_lower_one():
    training = train_on(log_of(PLAIN), [], grids=None, monotone=None, missing=None, until=None, blocks=10)
    day = np.full(training.counts.n.size, 2)
    for taken, alerts in ((1, 0), (2, 0), (3, 24), (4, 24)):
        sums = tier_sums(training, Precision(target=0.5), day, np.full(day.size, taken))
        assert sums.alerts.sum() == alerts
        assert training.alert_counts(np.full(day.size, taken))[0].alerts.sum(axis=(0, 1, 2))[1] == alerts


def test_limits_are_kept_and_tables_have_their_layouts(scheme):
    table = scheme.table.set_index("tier")
    assert list(table.index) == ["high", "medium", "low"]
    assert table.loc["high", "precision_lower"] >= 0.57 < table.loc["high", "precision"] - 0.02
    assert table.loc["low", "alerts_per_day"] <= 4
    layouts = {"tier_rules": scheme.table, "tier_thresholds": scheme.thresholds}
    layouts |= {"tier_confidence_set": scheme.alternatives, "tier_sensitivity": scheme.sensitivity}
    for name, found in layouts.items():
        assert tuple(found.columns) == schema(name).names
        assert len(found)
    plain = json.loads(scheme.to_json())
    assert plain["facts"]["data_hash"] == scheme.data_hash
    assert [Rule.from_plain(each["rule"]) for each in plain["facts"]["tiers"]] == [t.rule for t in scheme.tiers]
    assert str(scheme.tiers[0].rule) in repr(scheme)


def test_thresholds_tell_how_often_resamples_agree(scheme):
    found = scheme.thresholds
    assert found["frequency"].between(0, 1).all()
    assert (found["frequency"] <= found["form_frequency"]).all()
    assert found["frequency"].max() > 0.2
    known = found.dropna(subset=["range_lower"])
    assert (known["range_lower"] <= known["range_upper"]).all()
    for tier in scheme.tiers:
        mine = found[found["tier"] == tier.name]
        assert [str(c) for each in tier.rule.alternatives for c in each] == [
            f"{row.variable} {row.sign} {row.threshold:,.12g}" for row in mine.itertuples()
        ]
        fits = [c.threshold for each in tier.fitted.alternatives for c in each]
        assert mine["fitted"].tolist() == fits


def test_the_confidence_set_holds_the_best_rule_and_no_better_one(scheme):
    found = scheme.alternatives
    assert set(found["tier"]) == {"medium"}
    assert found["difference"].max() == 0
    assert (found["first_day"] <= found["last_day"]).all()
    best = found.loc[found["difference"].idxmax()]
    assert best["rule"] == str(scheme.tiers[1].fitted) or best["value"] >= scheme.table["value"].iloc[1]
    assert not found["form"].duplicated().any()


def test_other_savings_have_rules_of_their_own(scheme):
    found = scheme.sensitivity
    assert found["saving"].tolist() == ["as stated", "top 0.225", "top 0.375", "middle 17", "middle 23"]
    assert (found["chosen_value"] <= found["value"] + 1e-9).all()
    stated = found.iloc[0]
    assert stated["chosen_value"] == pytest.approx(scheme.table["value"].iloc[1])
    assert 0 <= stated["loss"] < 0.01


def test_rounding_costs_less_than_a_hundredth_under_every_saving_and_is_told(log):
    raw = fit_tiers(log, objective={"high": WORTH}, bootstrap=0, round=False)
    rounded = fit_tiers(log, objective={"high": WORTH}, bootstrap=0)
    assert raw.tiers[0].rule == raw.tiers[0].fitted == rounded.tiers[0].fitted
    lost = raw.sensitivity["chosen_value"] - rounded.sensitivity["chosen_value"]
    assert (lost <= 0.01 * raw.table["value"].iloc[0]).all()
    changed = raw.tiers[0].rule != rounded.tiers[0].rule
    assert changed == any("thresholds are rounded" in note for note in rounded.notes)


def test_a_threshold_moves_to_the_nearest_round_day_where_that_costs_nothing():
    # the returns come on day 13, and s hardly falls before day 20: day 13 is best, later ones nearly as good
    log = log_of([(20, [], 1.0), (40, [13], 1.0)], idle_days=30)
    saving = Saving.from_table({"idle_days": [1, 20, 29], "s": [0.3, 0.2999, 0.1]})
    worth = Value(saved_value=100, contact_cost=5, saving=saving)
    scheme = fitted(log, worth)
    assert str(scheme.tiers[0].fitted) == "idle_days > 12"
    assert str(scheme.tiers[0].rule) == "idle_days > 14"
    assert scheme.thresholds[["threshold", "fitted"]].to_numpy().tolist() == [[14.0, 12.0]]
    assert "the best rule was idle_days > 12" in scheme.notes[-1]
    assert str(fitted(log, worth, round=False).tiers[0].rule) == "idle_days > 12"


def test_the_same_seed_gives_the_same_scheme_and_until_is_the_log_as_of_that_day(log):
    keywords = {"objective": {"high": WORTH}, "variables": ["n_investments"], "bootstrap": 20}
    one, two = (fit_tiers(log, until="2024-12-31", seed=7, **keywords) for _ in range(2))
    assert one.to_json() == two.to_json()
    known = fit_tiers(log.as_of("2024-12-31"), seed=7, **keywords)
    assert known.to_json() == one.to_json()
    assert one.known_until == pd.Timestamp("2024-12-31").date()
    assert one.window[1] == pd.Timestamp("2024-12-01").date()


def test_nothing_after_until_changes_the_scheme(app, log):
    events, users = app.events, app.users
    cut = pd.Timestamp("2024-06-30", tz="UTC")
    future = events[pd.to_datetime(events["event_at"], utc=True) > cut].sample(frac=0.5, random_state=0)
    changed = ch.ActivityLog(
        events.drop(future.index), users, observed_from=log.observed_from, observed_until=log.observed_until
    )
    whole = ch.ActivityLog(events, users, observed_from=log.observed_from, observed_until=log.observed_until)
    keywords = {"objective": {"high": WORTH}, "variables": ["n_investments"], "until": "2024-06-30", "bootstrap": 10}
    assert fit_tiers(changed, **keywords).to_json() == fit_tiers(whole, **keywords).to_json()


def test_other_variables_get_deciles_with_two_digits(log):
    scheme = fit_tiers(log, objective={"high": WORTH}, variables=["max_amount"], bootstrap=0)
    cuts = scheme.grids["max_amount"]
    assert 2 <= len(cuts) <= 9
    assert [float(f"{cut:.2g}") for cut in cuts] == list(cuts)
    values = log.gaps(features=["max_amount"]).table["max_amount"].astype(float)
    shares = [(values < cut).mean() for cut in cuts]
    assert shares == sorted(shares)
    assert 0.8 < shares[-1] < 0.97


def test_a_feature_of_the_user_s_own_can_be_looked_at(log):
    boosted = ch.Feature("n_boosted", agg="count", kind="invest", column="product", equals="boosted")
    scheme = fit_tiers(log, objective={"high": WORTH}, variables=[boosted], grids={"n_boosted": [1, 3]}, bootstrap=0)
    assert scheme.features == ([boosted] if "n_boosted" in scheme.tiers[0].rule.variables else [])


def test_a_lower_tier_that_is_left_nothing_says_so():
    log = log_of([(n * 40, gaps, score) for n, gaps, score in PLAIN])
    found = fit_tiers(
        log, objective={"high": Precision(target=0.5), "low": Precision(target=0.5)}, variables=[], bootstrap=5
    )
    assert [str(tier.rule) for tier in found.tiers] == ["idle_days > 0", "contact nobody"]
    assert "low: the tier is empty: higher tiers leave it no gap to alert." in found.notes


def test_a_target_out_of_reach_gives_an_empty_tier_and_the_nearest_one():
    scheme = fitted(log_of(PLAIN), Precision(target=0.99), bootstrap=5)
    assert str(scheme.tiers[0].rule) == "contact nobody"
    assert scheme.table["alerts"].tolist() == [0]
    assert scheme.table["precision"].isna().all()
    # 20 of 20: Wilson's bound
    nearest = 20 / (20 + 1.6448536**2)
    assert f"The nearest target that is met is about {nearest:.3f}, by: idle_days > 2" in scheme.notes[-1]
    assert scheme.thresholds.empty
    assert "contact nobody" in repr(scheme)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"objective": {}}, "objective says what each tier is for"),
        ({"objective": Precision(target=0.5)}, "objective says what each tier is for"),
        ({"objective": {"higher": WORTH}}, "Did you mean 'high'"),
        ({"objective": {"high": 0.6}}, "is a ch.Value, ch.Precision or ch.Capacity"),
        ({"objective": {"high": Capacity(per_day=1501)}}, r"above the number of users \(1,500\)"),
        ({"variables": ["balanc"]}, "Did you mean 'balance'"),
        ({"variables": "balance"}, "variables is a list"),
        ({"variables": ["balance", "balance"]}, "'balance' is there twice"),
        ({"variables": ["idle_days"]}, "idle_days is in every rule"),
        ({"variables": ["channel"]}, "'channel' is no number"),
        ({"variables": ["stage"]}, "'stage' is no number"),
        ({"grids": {"ballance": [1]}}, "Did you mean 'balance'"),
        ({"grids": {"balance": [1e9]}}, "'balance' has no variation"),
        ({"monotone": {"balance": "down"}}, "'decreasing'"),
        ({"monotone": {"amount": "decreasing"}}, "'amount' is not among the variables"),
        ({"missing": {"balance": "none"}}, "stands in for no value"),
        ({"bootstrap": -1}, "bootstrap is a whole number"),
        ({"level": 95}, "level must lie between"),
        ({"tiers": ("high", "high")}, "a name is there twice"),
        ({"until": "2022-07-15"}, "Take a longer log"),
    ],
)
def test_what_cannot_be_fitted_is_refused_with_the_reason(log, keywords, message):
    with pytest.raises(InputError, match=message):
        fit_tiers(log, **({"objective": {"high": WORTH}, "bootstrap": 0} | keywords))


def test_numbers_of_numpy_stand_in_for_no_value(log):
    schemes = [
        fit_tiers(log, objective={"high": WORTH}, variables=["balance"], missing={"balance": zero}, bootstrap=0)
        for zero in (0, np.int64(0))
    ]
    assert schemes[0].to_json() == schemes[1].to_json()


@pytest.mark.parametrize("variables", [["tenure"], ["score"], []])
def test_a_rule_without_a_day_for_a_warning_is_refused(variables):
    log = log_of(PLAIN).with_rule(idle_days=1)
    with pytest.raises(InputError, match="A warning needs days between activity and churn; the rule has 1"):
        fitted(log, Precision(target=0.3), variables=variables)


def test_a_log_without_churn_is_refused():
    with pytest.raises(InputError, match="Nobody churned"):
        fitted(log_of([(5, [3] * 19, 1.0)], until="2024-02-28"), WORTH)
