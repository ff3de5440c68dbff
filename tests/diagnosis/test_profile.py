"""Churned against retained users: a log worked by hand, what may not be looked at, and a world without effects."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep

import churnsurv as ch
from churnsurv.diagnosis.profile import ChurnProfile, SpellProfile, churn_profile
from churnsurv.diagnosis.profile_cuts import default_cuts
from churnsurv.errors import FollowUpError, InputError
from churnsurv.tables import schema
from tests.data.test_null_world import world

RULE = ch.ChurnRule(idle_days=10)
DAY = np.datetime64("2024-01-01")
TAKEN = {"window": 10, "horizon": 60}


def events_of(user: str, days: list[int], invests: int, *, amount: float = 100.0) -> list[dict[str, Any]]:
    """Logins on these days after 1 January, and so many investments on the first of them."""
    rows = [{"user_id": user, "event_at": DAY + day, "kind": "login", "amount": None, "product": None} for day in days]
    plain = {"user_id": user, "event_at": DAY + days[0], "kind": "invest", "amount": amount, "product": "plain"}
    return rows + [plain] * invests


def by_hand(later: list[dict[str, Any]] | None = None, *, order: int = 0) -> ch.ActivityLog:
    """Forty users of day 0, in the window active on days 3 and 9: 16 churn (last active on day 25), 24 stay.

    Of the churned 12 invest once, 4 five times; of the retained 8 once, 16 five times. Six are left out.
    """
    rows: list[dict[str, Any]] = []
    users = []
    for i in range(40):
        gone = i < 16
        few = i < 12 or 16 <= i < 24
        days = [3, 9, 15, 25] if gone else [3, 9, *range(15, 121, 5)]
        rows += events_of(f"u{i:02}", days, 1 if few else 5, amount=50.0 if few else 200.0)
        users.append((f"u{i:02}", DAY, "left" if i % 2 else "right"))
    rows += events_of("v_quick", [2], 1) + events_of("v_edge", [5, 10], 1)  # churn on days 12 and 20
    users += [("v_quick", DAY, "left"), ("v_edge", DAY, "rare")]
    for name, day in (("w_late1", 61), ("w_late2", 110)):
        rows += events_of(name, list(range(day, 121, 4)), 3)
        users.append((name, DAY + day, "left"))
    for name in ("x_old1", "x_old2"):
        rows += events_of(name, list(range(1, 121, 4)), 3)
        users.append((name, DAY - 5, "left"))
    rng = np.random.default_rng(order)
    table = pd.DataFrame(rows + (later or [])).sample(frac=1, random_state=order)
    people = pd.DataFrame(users, columns=["user_id", "registered_at", "side"]).iloc[rng.permutation(len(users))]
    return ch.ActivityLog(table, people, rule=RULE, observed_from=DAY.astype(object), observed_until="2024-04-30")


def row_of(profile: ChurnProfile, variable: str, cut: float) -> pd.Series:
    table = profile.table
    return table[(table["variable"] == variable) & (table["cut"] == cut)].iloc[0]


@pytest.fixture(scope="module")
def profile() -> ChurnProfile:
    return churn_profile(by_hand(), **TAKEN)


def test_users_are_compared_or_left_out_for_a_reason(profile: ChurnProfile) -> None:
    assert profile.counts == {
        "users": 46,
        "churned": 16,
        "retained": 24,
        "immature": 2,  # registered on days 61 and 110 of 120
        "churned_before": 2,  # also the one who churned on day 20 itself
        "life_not_observed": 2,
    }
    assert sum(n for reason, n in profile.counts.items() if reason != "users") == 46
    assert "2 users registered less than 60 days before the end of the log, 2 no longer alive" in profile.notes[0]


def test_the_table_worked_by_hand(profile: ChurnProfile) -> None:
    row = row_of(profile, "n_investments", 1)
    assert (row["n_churned"], row["n_retained"]) == (16, 24)
    assert (row["share_churned"], row["share_retained"]) == (12 / 16, 8 / 24)
    assert row["difference"] == pytest.approx(12 / 16 - 8 / 24)
    assert (row["risk_below"], row["risk_above"]) == (12 / 20, 4 / 20)
    assert row["risk_ratio"] == pytest.approx(3.0, abs=1e-12)
    assert row["statistic"] == pytest.approx(4 * np.sqrt(13 / 32), abs=1e-12)
    # All cuts part the users alike, so that the limits of all are those of one.
    limits = confint_proportions_2indep(12, 20, 4, 20, compare="ratio", method="score", correction=True)
    assert (row["lower"], row["upper"]) == pytest.approx(limits, rel=1e-3)
    wilson = stats.binomtest(12, 16).proportion_ci(method="wilson")
    assert (row["churned_lower"], row["churned_upper"]) == pytest.approx((wilson.low, wilson.high), abs=1e-12)


def test_cuts_that_part_users_alike_are_one_search(profile: ChurnProfile) -> None:
    table = profile.table[profile.table["variable"] == "n_investments"]
    assert table["cut"].tolist() == [1, 2, 3]
    assert len(set(table["p_value"])) == 1
    assert table["search_p_value"].to_numpy() == pytest.approx(table["p_value"].to_numpy(), rel=1e-9)
    assert table["suggested"].tolist() == [True, False, False]
    best = profile.table[profile.table["suggested"]]
    assert best["variable"].tolist() == ["n_investments", "max_amount", "balance"]
    # Holm over three variables whose tables are the same.
    assert best["adjusted_p_value"].to_numpy() == pytest.approx(3 * best["p_value"].to_numpy(), rel=1e-9)
    assert profile.table["adjusted_p_value"].notna().sum() == 3


def test_sentences_say_the_cut_and_the_headline_the_ratio(profile: ChurnProfile) -> None:
    assert profile.sentences == (
        "at most 1 investment: 75 % of churned, 33 % of retained",
        "never more than 50 invested at once: 75 % of churned, 33 % of retained",
        "a balance of at most 50: 75 % of churned, 33 % of retained",
    )
    assert "40 users followed from day 10 to day 60, 40 % churned; at most 1 investment" in repr(profile)
    assert "risk ratio 3 at or below the cut" in repr(profile)
    assert all(word not in " ".join((*profile.notes, *profile.sentences)) for word in ("because", "causes", "leads to"))


def test_variables_without_a_cut_are_named(profile: ChurnProfile) -> None:
    assert set(profile.variables) == {
        "n_investments", "max_amount", "ever_boosted", "boosted_share", "login_interval", "balance",
    }  # fmt: skip
    flat = next(note for note in profile.notes if note.startswith("Without a cut"))
    assert "login_interval" in flat
    one = profile.table_one.set_index(["variable", "statistic"])
    assert one.loc[("login_interval", "mean"), ["churned", "retained"]].tolist() == [4.5, 4.5]  # days 0, 3 and 9
    assert one.loc[("login_interval", "mean"), "standardised_difference"] == 0


def test_table_one_by_its_formulas(profile: ChurnProfile) -> None:
    one = profile.table_one.set_index(["variable", "statistic"])
    assert one.loc[("(users)", "users"), ["churned", "retained"]].tolist() == [16, 24]
    a, b = np.r_[np.full(12, 1.0), np.full(4, 5.0)], np.r_[np.full(8, 1.0), np.full(16, 5.0)]
    mean = one.loc[("n_investments", "mean")]
    assert mean[["churned", "retained"]].tolist() == [a.mean(), b.mean()]
    d = (a.mean() - b.mean()) / np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2)
    assert mean["standardised_difference"] == pytest.approx(d, abs=1e-12)
    half = 1.959963984540054 * np.sqrt(40 / (16 * 24) + d**2 / 80)
    assert (mean["lower"], mean["upper"]) == pytest.approx((d - half, d + half), abs=1e-12)
    assert one.loc[("n_investments", "median"), ["churned", "retained"]].tolist() == [1, 5]
    assert one.loc[("ever_boosted", "share yes"), "standardised_difference"] == 0


def test_nothing_after_the_window_is_looked_at(profile: ChurnProfile) -> None:
    later = [row for i in range(40) for row in events_of(f"u{i:02}", [15], 7, amount=9_999.0)]
    again = churn_profile(by_hand(later), **TAKEN)
    pd.testing.assert_frame_equal(again.table, profile.table)
    pd.testing.assert_frame_equal(again.table_one, profile.table_one)
    on_the_day = [row for i in range(16) for row in events_of(f"u{i:02}", [10], 7)]
    assert row_of(churn_profile(by_hand(on_the_day), **TAKEN), "n_investments", 1)["share_churned"] == 0


def test_churn_after_the_horizon_is_none() -> None:
    # The sixteen churn on day 35: with a horizon of 34 days everybody stays, and there is nothing to compare.
    assert churn_profile(by_hand(), window=10, horizon=35).counts["churned"] == 16
    with pytest.raises(InputError, match="nobody churned by day 34"):
        churn_profile(by_hand(), window=10, horizon=34)


def test_the_order_of_rows_changes_nothing(profile: ChurnProfile) -> None:
    again = churn_profile(by_hand(order=5), **TAKEN)
    pd.testing.assert_frame_equal(again.table, profile.table, rtol=1e-9)
    assert again.sentences == profile.sentences


def test_the_table_follows_its_schema(profile: ChurnProfile) -> None:
    assert tuple(profile.table.columns) == schema("churn_profile").names
    assert tuple(profile.table_one.columns) == schema("table_one").names
    told = json.loads(profile.to_json())
    assert told["schema"]["name"] == "churn_profile"
    assert told["facts"]["counts"]["immature"] == 2
    assert len(told["facts"]["table_one"]) == len(profile.table_one)


# ------------------------------------------------------------------------------------------------- over the spell


def test_the_form_over_spells_has_neither_p_values_nor_ratios() -> None:
    spell = churn_profile(by_hand(), form="spell", variables=["n_investments", "login_interval"])
    assert isinstance(spell, SpellProfile)
    assert tuple(spell.table.columns) == schema("churn_profile_spell").names
    assert not {"p_value", "risk_ratio", "lower", "upper", "suggested"} & set(spell.table.columns)
    assert spell.table_one[["lower", "upper"]].isna().all(axis=None)
    assert "Descriptive" in spell.notes[0]
    assert "descriptive" in repr(spell)
    assert "p_value" not in spell.to_json()
    # The two quick ones are churned, the two late ones still live; those registered before the log are left out.
    assert dict(spell.counts) == {"users": 46, "churned": 18, "retained": 26, "life_not_observed": 2}
    row = row_of(spell, "n_investments", 1)
    assert (row["share_churned"], row["share_retained"]) == (14 / 18, 8 / 26)
    intervals = spell.table_one.set_index(["variable", "statistic"]).loc[("login_interval", "mean")]
    each = [25 / 4] * 16 + [2.0, 5.0]  # days 0, 3, 9, 15, 25; 0 and 2; 0, 5 and 10
    assert intervals["churned"] == pytest.approx(np.mean(each), abs=1e-12)


def test_over_spells_a_world_without_effects_looks_full_of_them_and_over_a_window_it_does_not() -> None:
    log = ch.ActivityLog(*world())
    names = ["n_investments", "max_amount", "ever_boosted", "login_interval"]
    spell = churn_profile(log, form="spell", variables=names)
    assert spell.table["difference"].abs().max() > 0.2
    early = churn_profile(log, variables=names)
    assert early.counts["churned"] > 500
    assert (early.table["adjusted_p_value"].dropna() > 0.05).all()
    assert early.table["difference"].abs().max() < 0.06
    known = early.table.dropna(subset="risk_ratio")
    assert ((known["lower"] <= 1) & (known["upper"] >= 1)).all()
    assert all(sentence.endswith("(no clear difference)") for sentence in early.sentences)


# --------------------------------------------------------------------------------------------------- groups, cuts


def test_groups_are_profiles_of_their_own_and_small_ones_are_pooled() -> None:
    split = churn_profile(
        by_hand(), **TAKEN, by="side", variables=["n_investments"], cuts={"n_investments": 2}, min_users=1
    )
    assert split.groups == ("left", "right")
    table = split.table.set_index("group")
    assert table["side"].tolist() == ["left", "right"]
    assert table.loc["left", ["n_churned", "n_retained"]].tolist() == [8, 12]
    assert set(split.table_one["group"]) == {"left", "right"}
    assert table["risk_ratio"].isna().all()  # 4 users expected in a cell
    assert any("2 cuts are shown without a comparison" in note for note in split.notes)
    assert split.sentences == ()
    pooled = churn_profile(by_hand(), **TAKEN, by=["side"], variables=["n_investments"])
    assert pooled.groups == ("other",)
    assert "Pooled as 'other', being small: left, right." in pooled.notes
    whole = churn_profile(by_hand(), **TAKEN, variables=["n_investments"])
    assert pooled.table["risk_ratio"].tolist() == whole.table["risk_ratio"].tolist()


def test_the_stage_is_that_of_the_end_of_the_window() -> None:
    split = churn_profile(by_hand(), **TAKEN, by="stage", variables=["max_amount"], min_users=1)
    assert split.groups == ("new", "growth")  # from three investments on
    sizes = split.table_one.query("variable == '(users)'")
    assert sizes[["churned", "retained"]].to_numpy().tolist() == [[12, 8], [4, 16]]


def test_own_features_and_own_cuts() -> None:
    logins = ch.Feature("logins", agg="count", kind="login")
    made = churn_profile(
        by_hand(), **TAKEN, variables=[logins, "max_amount"], cuts={"max_amount": [50, 500], "logins": (2,)}
    )
    assert made.table["cut"].tolist() == [2, 50, 500]
    row = row_of(made, "max_amount", 500)
    assert (row["share_churned"], row["share_retained"]) == (1, 1)
    assert np.isnan(row["risk_above"])
    assert np.isnan(row["risk_ratio"])


def test_limits_hold_together_only_where_the_adjustment_does() -> None:
    narrow, wide = (churn_profile(by_hand(), **TAKEN, adjust=adjust) for adjust in ("none", "holm"))
    assert (narrow.limits, wide.limits) == ("each alone", "simultaneous")
    one, other = (row_of(each, "n_investments", 1) for each in (narrow, wide))
    assert one["adjusted_p_value"] == pytest.approx(other["adjusted_p_value"] / 3)
    assert one["lower"] >= other["lower"] > 1
    assert one["upper"] <= other["upper"]


def test_default_cuts_keep_the_values_that_many_users_share() -> None:
    many = np.repeat([0.0, 1 / 3, 0.5, 1.0], [50, 20, 20, 10])
    assert default_cuts("share", many).tolist() == [0, 0.34, 0.5]
    assert default_cuts("amount", np.array([np.nan, 3.0, 3.0])).tolist() == []
    near = default_cuts("amount", 1_000 + np.arange(100) / 100)
    assert len(near) == 9
    assert default_cuts("count", np.array([0.0, 250.0])).tolist() == [0, 1, 2, 3, 5, 10, 20, 30, 50, 100, 200]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"form": "late"}, "form is 'early' or 'spell'"),
        ({"window": 10, "horizon": 20}, "horizon must be later than day 20"),
        ({"window": 0}, "window must be a whole number of days, 1 or more"),
        ({"variables": ["n_investment"]}, "Did you mean 'n_investments'"),
        ({"variables": []}, "variables is a list"),
        ({"variables": ["stage"]}, "by='stage'"),
        ({"variables": ["balance", "balance"]}, "there twice"),
        ({"variables": ["login_interval"] * 2}, "there twice"),
        ({"cuts": {"max_amuont": [1]}}, "Did you mean 'max_amount'"),
        ({"cuts": {"max_amount": [float("nan")]}}, "must be finite numbers"),
        ({"cuts": [1]}, "cuts maps variables"),
        ({"by": "sied"}, "Did you mean 'side'"),
        ({"by": "tenure"}, "no attribute 'tenure'"),
        ({"adjust": "holms"}, "Did you mean 'holm'"),
        ({"min_users": 0}, "min_users"),
        ({"level": 95}, "level must lie between"),
    ],
)
def test_what_is_not_understood_is_said(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        churn_profile(by_hand(), **{**TAKEN, **settings})


def test_over_spells_an_unknown_group_leaves_nothing_behind() -> None:
    log = by_hand()
    with pytest.raises(InputError, match="Did you mean 'side'"):
        churn_profile(log, form="spell", by="sied")
    assert churn_profile(log, form="spell", by="side", min_users=21).groups == ("left", "other")


def test_a_horizon_beyond_the_log_is_refused() -> None:
    with pytest.raises(FollowUpError, match="nobody is followed to day 121"):
        churn_profile(by_hand(), window=10, horizon=121)


def test_no_warning_reaches_the_reader() -> None:
    assert churn_profile(by_hand(), **TAKEN, by="side", min_users=1).groups == ("left", "right")


# ----------------------------------------------------------------------------------- found by trying to break it


@pytest.mark.parametrize("form", ["early", "spell"])
def test_a_channel_of_a_single_user_is_pooled_as_other_and_said(form: str) -> None:
    log = by_hand()
    users = log._reading.data["users"].copy()  # type: ignore[attr-defined]
    users.loc[users["user_id"] == "u00", "side"] = "one of a kind"
    single = ch.ActivityLog(log._reading.data["events"], users, rule=RULE, observed_from="2024-01-01",
                            observed_until="2024-04-30")  # fmt: skip
    found = churn_profile(single, **TAKEN, form=form, by="side", min_users=5)  # type: ignore[arg-type]
    assert found.groups[:2] == ("left", "right")
    assert found.groups[-1] == "other"
    assert any(note.startswith("Pooled as 'other', being small: one of a kind") for note in found.notes)
    assert any(note.startswith("Nothing to compare, since all or none churned: other") for note in found.notes)
    one = found.table_one.query("group == 'other'")
    assert one.loc[one["variable"] == "(users)", ["churned", "retained"]].sum(axis=1).tolist() == [
        1 if form == "early" else 2
    ]


def test_groups_without_a_value_on_one_side_have_no_share_of_it() -> None:
    """Over spells: the only user of a group has one active day, and so no interval."""
    start = ["2024-01-01", "2024-01-25", "2024-01-01"]
    users = pd.DataFrame({"user_id": ["a", "b", "c"], "registered_at": start, "side": ["x", "x", "y"]})
    events = pd.DataFrame(
        {"user_id": ["a", "a", "b"], "event_at": ["2024-01-03", "2024-01-05", "2024-01-30"], "kind": "login"}
    )
    log = ch.ActivityLog(events, users, rule=RULE)
    found = churn_profile(log, form="spell", by="side", variables=["login_interval"], min_users=1)
    row = found.table_one.query("group == 'y' and statistic == 'share without a value'").iloc[0]
    assert row["churned"] == 1
    assert np.isnan(row["retained"])
    assert np.isnan(row["standardised_difference"])


def test_negative_amounts_are_said_where_they_count() -> None:
    log = by_hand()
    events = log._reading.data["events"].assign(amount=lambda table: -table["amount"])  # type: ignore[union-attr]
    turned = ch.ActivityLog(events, log._reading.data["users"], rule=RULE, observed_from="2024-01-01",
                            observed_until="2024-04-30")  # fmt: skip
    n = int((events["amount"] < 0).sum())
    found = churn_profile(turned, **TAKEN, variables=["n_investments", "balance"])
    assert any(note.startswith(f"{n} investments and redemptions have a negative amount") for note in found.notes)
    counted = churn_profile(turned, **TAKEN, variables=["n_investments"])
    assert not any("negative amount" in note for note in counted.notes)
