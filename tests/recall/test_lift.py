"""The lift of campaigns: by hand, against the plain formulas, strata, clusters, several arms, subgroups, bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri
from statsmodels.stats.proportion import confint_proportions_2indep

import churnsurv as ch
from churnsurv.errors import FollowUpError, InputError
from churnsurv.recall.lift import ALL_CAMPAIGNS, campaign_lift, lift_of_rows
from churnsurv.recall.lift_arms import campaign_arms
from churnsurv.recall.lift_request import Asked, with_groups
from churnsurv.recall.lift_tables import UNITS
from churnsurv.tables import schema

from . import small
from .campaign import drawn_rows, made_rows

RETURNS = ("return_probability", "risk_ratio", "users_per_return", "days_to_return", "hazard_ratio")


def asked(outcomes=None, **changed):
    return Asked.of(outcomes, **{"level": 0.95, "adjust": "holm", "seed": 0, "margin": 1.0, **changed})


def of(rows, outcomes=None, covariates=(), control="holdout", clustered=True, **changed):
    return lift_of_rows(rows, asked(outcomes, **changed), control=control, covariates=covariates, clustered=clustered)


def row(lift, outcome, *, arm="sms", adjusted=False, campaign=None):
    table = lift.table
    found = table[(table["outcome"] == outcome) & (table["arm"] == arm) & (table["adjusted"] == adjusted)]
    return (found if campaign is None else found[found["campaign"] == campaign]).iloc[0]


@pytest.fixture(scope="module")
def censored():
    return drawn_rows(3, n=(400, 600))


@pytest.fixture(scope="module")
def lift(censored):
    return of(censored, covariates=("x", "noise"), margin=0.1)


def test_six_users_by_hand():
    """Two days of `small`: of three sms users one returns on day 1, one on day 2; of the others one of three."""
    found = campaign_lift(
        small.assignments(), small.log(), horizon=2, control="none", covariates=(), outcomes=["return_probability"]
    )
    arm = row(found, "return_probability")
    # sms: 2/3 stay after day 1, half of them after day 2; none: 2 of 3
    assert arm["arm_value"] == pytest.approx(1000 * (1 - 2 / 3 * 1 / 2), abs=1e-9)
    assert arm["control_value"] == pytest.approx(1000 / 3, abs=1e-9)
    # Greenwood: S^2 (1 / (3 x 2) + 1 / (2 x 1)) and p (1 - p) / 3
    assert arm["std_error"] == pytest.approx(1000 * np.sqrt(1 / 9 * (1 / 6 + 1 / 2) + 2 / 27), abs=1e-9)
    assert (arm["n_arm"], arm["n_control"]) == (3, 3)


def test_nobody_silent_followed_so_long_is_an_error():
    with pytest.raises(FollowUpError, match=r"spring, arm 'sms': nobody who has not returned was followed for 4 days"):
        campaign_lift(small.assignments(), small.log(), horizon=4, control="none", covariates=())


def test_without_censoring_it_is_the_plain_difference():
    rows = drawn_rows(1, n=(150, 450), censored=0.0)
    found = of(rows, level=0.9)
    back = np.bincount(rows.arm, rows.returned)
    low, high = confint_proportions_2indep(back[1], 450, back[0], 150, method="wald", alpha=0.1)
    of_risk = row(found, "return_probability")
    np.testing.assert_allclose(of_risk[["lower", "upper"]].astype(float) / 1000, [low, high], rtol=1e-10)
    ratio = row(found, "risk_ratio")
    error = np.sqrt(1 / back[1] - 1 / 450 + 1 / back[0] - 1 / 150)
    assert ratio["std_error"] == pytest.approx(error, rel=1e-10)
    z = ndtri(0.95)
    wanted = back[1] / 450 / (back[0] / 150) * np.exp([-z * error, z * error])
    np.testing.assert_allclose(ratio[["lower", "upper"]].astype(float), wanted, rtol=1e-10)
    for name in ("active_days", "reinvested"):
        values = [getattr(rows, name)[rows.arm == a] for a in (0, 1)]
        one = row(found, name)
        assert one["estimate"] == pytest.approx(1000 * (values[1].mean() - values[0].mean()), rel=1e-10)
        assert one["std_error"] == pytest.approx(1000 * np.sqrt(sum(v.var() / v.size for v in values)), rel=1e-10)


def test_curves_are_kaplan_meiers_and_end_in_the_table(censored, lift):
    frame = pd.DataFrame({"duration": censored.time, "churned": censored.returned, "arm": censored.arm})
    for code, arm in enumerate(censored.arms):
        theirs = ch.kaplan_meier(frame[frame["arm"] == code]).at(list(range(1, 31)))
        mine = lift.curves[lift.curves["arm"] == arm]
        np.testing.assert_allclose(mine["returned"], 1 - theirs["survival"], rtol=1e-12)
        np.testing.assert_allclose(mine["lower"], 1 - theirs["upper"], rtol=1e-9)
        np.testing.assert_allclose(mine["upper"], 1 - theirs["lower"], rtol=1e-9)
        at_risk = [(censored.time[censored.arm == code] >= day).sum() for day in range(1, 31)]
        assert mine["at_risk"].tolist() == at_risk
    last = lift.over_time.iloc[-1]
    assert (last["difference"], last["lower"], last["upper"]) == pytest.approx(
        tuple(row(lift, "return_probability")[["estimate", "lower", "upper"]]), rel=1e-10
    )
    table = lift.over_time
    assert (table["band_lower"] <= table["lower"]).all()
    assert (table["band_upper"] >= table["upper"]).all()


def test_net_value_is_made_of_its_parts(censored, lift):
    parts = {name: row(lift, name)["estimate"] for name in ("reinvested", "net_value")}
    cost = [censored.cost[censored.arm == a].mean() for a in (0, 1)]
    assert parts["net_value"] == pytest.approx(0.1 * parts["reinvested"] - 1000 * (cost[1] - cost[0]), rel=1e-10)


def test_users_per_return_only_where_there_is_a_difference(lift):
    risk, users = row(lift, "return_probability"), row(lift, "users_per_return")
    assert risk["lower"] > 0
    assert users[["estimate", "lower", "upper"]].tolist() == pytest.approx(
        [1000 / risk[name] for name in ("estimate", "upper", "lower")]
    )
    none = of(drawn_rows(5, n=(200, 200), ratio=1.0), RETURNS)
    assert np.isnan(row(none, "users_per_return")["estimate"])


def test_covariates_sharpen_and_leave_the_estimand(lift):
    gain = lift.gain.set_index("outcome")["variance_ratio"]
    assert (gain < 1).all()
    for outcome in ("return_probability", "days_to_return", "active_days"):
        plain, better = row(lift, outcome), row(lift, outcome, adjusted=True)
        apart = abs(plain["estimate"] - better["estimate"])
        assert apart < 3 * np.sqrt(plain["std_error"] ** 2 - better["std_error"] ** 2)
        ratio = (better["std_error"] / plain["std_error"]) ** 2
        assert ratio == pytest.approx(gain[outcome], rel=1e-9)


def test_useless_covariates_do_no_harm():
    found = of(drawn_rows(6, n=(100, 900), effect=0.0), RETURNS, covariates=("noise",))
    ratio = found.gain["variance_ratio"]
    assert ratio.between(0.9, 1.03).all()


def test_equal_strata_weight_their_own_differences():
    """Every user twice, in two strata with other names: the same estimate, its variance halved.

    But for the small numbers of strata: u / (u - 1) (1 - 1 / 400 + 1 / 800) for the u users of an arm, and 400 / 399.
    """
    once = drawn_rows(7, n=(150, 250))
    fields = {name: np.tile(getattr(once, name), 2) for name in ("time", "returned", "followed", "arm")}
    twice = made_rows(**fields, horizon=30, stratum=np.repeat([0, 1], once.n), given={"amount"})
    for outcome in ("return_probability", "days_to_return", "hazard_ratio"):
        one, two = (row(of(rows, RETURNS), outcome) for rows in (once, twice))
        assert one["estimate"] == pytest.approx(two["estimate"], rel=1e-9)
        ratio = 2 * two["std_error"] ** 2 / one["std_error"] ** 2
        if outcome == "hazard_ratio":
            assert ratio == pytest.approx(400 / 399, rel=1e-9)
        else:
            strata = 1 - 1 / 400 + 1 / 800
            assert 250 / 249 * strata < ratio < 150 / 149 * strata


def test_small_strata_have_the_variance_of_their_pairs():
    """Without censoring: s^2 / n of each arm with n - 1, and of the strata what is not noise of their estimates."""
    rng = np.random.default_rng(10)
    S, k = 40, 2
    stratum, arm = np.repeat(np.arange(S), 2 * k), np.tile(np.repeat([0, 1], k), S)
    returned = rng.random(arm.size) < 0.4 + 0.1 * arm
    fields = {"time": np.where(returned, 3, 9), "returned": returned, "followed": np.full(arm.size, 9), "arm": arm}
    found = row(of(made_rows(**fields, horizon=5, stratum=stratum), RETURNS), "return_probability")
    y = returned.reshape(S, 2, k).astype(float)
    within = y.var(axis=2, ddof=1).sum(axis=1) / k
    apart = y.mean(axis=2) @ [-1, 1]
    unbiased = within.sum() / S**2 * (1 - 1 / (2 * k) + 1 / arm.size) + apart.var() / arm.size
    assert found["std_error"] == pytest.approx(1000 * np.sqrt(unbiased), rel=1e-10)
    # which is the variance of a difference of means, whose strata say nothing here
    assert found["std_error"] == pytest.approx(1000 * np.sqrt((0.24 + 0.25) / (S * k)), rel=0.1)
    thrice = {name: np.repeat(values, 3) for name, values in fields.items()}
    clusters = made_rows(**thrice, horizon=5, stratum=np.repeat(stratum, 3), cluster=np.repeat(np.arange(arm.size), 3))
    of_clusters = of(clusters, RETURNS)
    assert row(of_clusters, "return_probability")["std_error"] == pytest.approx(found["std_error"], rel=1e-9)
    last = of_clusters.over_time.iloc[-1]
    assert last["upper"] == pytest.approx(row(of_clusters, "return_probability")["upper"], rel=1e-9)


def test_a_stratum_of_one_user_an_arm_is_refused():
    fields = {"time": [3, 9] * 4, "returned": [True, False] * 4, "followed": [9] * 8, "arm": [0, 1, 0, 1, 0, 0, 1, 1]}
    pairs = made_rows(**fields, horizon=5, stratum=[0, 0, 0, 0, 1, 1, 1, 1])
    assert row(of(pairs, RETURNS), "return_probability")["std_error"] > 0
    with pytest.raises(InputError, match=r"4 of 6 pairs of arm and stratum have a single user, first in stratum 's0'"):
        of(made_rows(**fields, horizon=5, stratum=[0, 0, 1, 1, 2, 2, 2, 2]), RETURNS)
    with pytest.raises(InputError, match=r"2 of 4 pairs .*a single cluster, first in stratum 's1'.*Merge strata"):
        of(made_rows(**fields, horizon=5, stratum=[0, 0, 0, 0, 1, 1, 1, 1], cluster=[0, 1, 2, 3, 4, 4, 5, 5]), RETURNS)


def test_a_stratum_that_decides_who_is_in_which_arm_is_no_effect():
    """Half of one stratum and nine tenths of the other are contacted; only strata differ in return."""
    rng = np.random.default_rng(8)
    stratum = rng.integers(0, 2, 4000)
    arm = (rng.random(4000) < np.where(stratum, 0.9, 0.5)).astype(int)
    returned = rng.random(4000) < np.where(stratum, 0.6, 0.2)
    common = {"time": rng.integers(1, 5, 4000), "returned": returned, "followed": np.full(4000, 9), "arm": arm}
    split = row(of(made_rows(**common, horizon=5, stratum=stratum), RETURNS), "return_probability")
    pooled = row(of(made_rows(**common, horizon=5), RETURNS), "return_probability")
    assert abs(split["estimate"]) < 3 * split["std_error"]
    assert pooled["estimate"] > 6 * pooled["std_error"]


def test_clusters_of_copies_have_the_variance_of_one():
    once = drawn_rows(9, n=(120, 240))
    fields = {name: np.tile(getattr(once, name), 3) for name in ("time", "returned", "followed", "arm")}
    cluster = np.tile(np.arange(once.n), 3)
    thrice = made_rows(**fields, horizon=30, cluster=cluster)
    plain = of(once, RETURNS)
    clustered, alone = of(thrice, RETURNS), of(thrice, RETURNS, clustered=False)
    for outcome in ("return_probability", "risk_ratio", "days_to_return", "hazard_ratio"):
        one = row(plain, outcome)["std_error"]
        assert row(clustered, outcome)["std_error"] == pytest.approx(one, rel=1e-8)
        assert row(alone, outcome)["std_error"] == pytest.approx(one / np.sqrt(3), rel=1e-8)
    for name in ("lower", "band_upper"):
        np.testing.assert_allclose(clustered.over_time[name], plain.over_time[name], rtol=1e-7, atol=1e-7)


def three_arms(seed=2):
    rng = np.random.default_rng(seed)
    arm = np.repeat([0, 1, 2], [300, 300, 600])
    time = np.ceil(rng.exponential(1, 1200) * np.array([60, 40, 55])[arm])
    return made_rows(
        time=time, returned=time > 0, followed=rng.integers(12, 40, 1200), arm=arm, arms=("none", "push", "sms"),
        horizon=20, pre={"x": rng.standard_normal(1200)},
    )  # fmt: skip


def test_several_arms_share_a_control():
    rows = three_arms()
    found = {name: of(rows, RETURNS, control="none", adjust=name) for name in ("none", "dunnett", "bonferroni", "holm")}
    p = {name: each.table.set_index(["outcome", "arm"])["adjusted_p_value"].dropna() for name, each in found.items()}
    assert (p["none"] <= p["dunnett"] + 1e-12).all()
    assert (p["dunnett"] <= p["bonferroni"] + 1e-12).all()
    one = {name: row(each, "return_probability", arm="push") for name, each in found.items()}
    width = {name: each["upper"] - each["lower"] for name, each in one.items()}
    assert width["none"] < width["dunnett"] < width["bonferroni"] == pytest.approx(width["holm"])
    # comparisons with one control move together by the variance of the control, and arms apart from that do not
    arms = campaign_arms(rows, control="none", sums={}, covariates=(), clustered=True, name="spring")
    V = arms.plain.covariance[:, 0, :, 0]
    assert (V[~np.eye(3, dtype=bool)] == 0).all()


def test_each_comparison_is_the_one_of_two_arms():
    """A third arm changes neither estimate nor error of the first two, but where covariates bring more balance."""
    rows = three_arms()
    two = rows.arm < 2
    fields = {name: getattr(rows, name)[two] for name in ("time", "returned", "followed", "arm")}
    pair = made_rows(**fields, arms=("none", "push"), horizon=20)
    for outcome in ("return_probability", "risk_ratio", "days_to_return", "hazard_ratio"):
        one, other = (row(of(each, RETURNS, control="none"), outcome, arm="push") for each in (rows, pair))
        assert (one["estimate"], one["std_error"]) == pytest.approx((other["estimate"], other["std_error"]), rel=1e-9)


@settings(max_examples=5)
@given(st.integers(0, 10_000), st.sampled_from([1, 2]))
def test_order_of_rows_and_names_of_arms_change_nothing(seed, strata):
    rows = drawn_rows(seed, n=(60, 90), strata=strata, censored=0.3)
    order = np.random.default_rng(seed).permutation(rows.n)
    fields = {name: getattr(rows, name)[order] for name in ("time", "returned", "followed", "stratum")}
    mixed = made_rows(
        **fields, arm=1 - rows.arm[order], arms=("sms", "holdout"), horizon=30, pre={"x": rows.pre["x"][order]}
    )  # fmt: skip
    one, two = (of(each, RETURNS, covariates=("x",)).table for each in (rows, mixed))
    numbers = ["estimate", "lower", "upper", "std_error", "p_value", "arm_value"]
    np.testing.assert_allclose(one[numbers], two[numbers], rtol=1e-7, atol=1e-10)


def test_nobody_returned_in_an_arm_is_told_and_not_invented():
    rows = made_rows(
        time=[3] * 40 + [9] * 40, returned=[True] * 10 + [False] * 70, followed=[9] * 80,
        arm=[0] * 40 + [1] * 40, horizon=9,
    )  # fmt: skip
    found = of(rows, RETURNS)
    assert row(found, "return_probability")["estimate"] == -250
    assert np.isnan(row(found, "risk_ratio")["estimate"])
    assert np.isnan(row(found, "hazard_ratio")["estimate"])
    assert any("nobody of the arm returned" in note for note in found.notes)


@pytest.fixture(scope="module")
def app():
    return ch.simulate_app(1500, seed=5)


@pytest.fixture(scope="module")
def simulated(app):
    return campaign_lift(
        app.campaigns, app.log, control="none", by="channel", cluster="auto",
        outcomes=["return_probability", "days_to_return", "reinvested"],
    )  # fmt: skip


def test_the_simulated_campaigns_agree_with_their_truth(app, simulated):
    truth = app.truth.campaign_effects(horizon=30).set_index(["campaign", "arm"])["effect"]
    table = simulated.table[(simulated.table["outcome"] == "return_probability") & ~simulated.table["adjusted"]]
    found = table[table["campaign"] != ALL_CAMPAIGNS].set_index(["campaign", "arm"])
    z = (found["estimate"] / 1000 - truth.loc[found.index]) / (found["std_error"] / 1000)
    assert len(z) == 8
    assert z.abs().max() < 2.7  # one in eighteen such sets of eight lies further out
    assert simulated.n_users == len(app.campaigns)


def test_all_campaigns_together_are_strata(simulated):
    """The pooled estimate is that of the campaigns, weighted by their users."""
    part = simulated.table.query("outcome == 'return_probability' and not adjusted and arm == 'sms'")
    by = part.set_index("campaign")["estimate"]
    n = simulated.table.query("outcome == 'return_probability' and not adjusted").groupby("campaign")
    users = n["n_arm"].sum() + n["n_control"].first()
    weights = users.drop(ALL_CAMPAIGNS)
    assert by[ALL_CAMPAIGNS] == pytest.approx(np.average(by[weights.index], weights=weights), rel=1e-10)


def test_subgroups_are_the_lift_of_their_users(app, simulated):
    groups = simulated.subgroups
    channel = app.users.set_index("user_id")["channel"]
    mine = app.campaigns[app.campaigns["user_id"].map(channel) == "invitation"]
    alone = campaign_lift(
        mine, app.log, control="none", campaign="recall", covariates=(), outcomes=["return_probability", "reinvested"]
    )
    found = groups.query("group == 'invitation' and campaign == 'recall' and outcome != 'days_to_return'")
    columns = ["estimate", "std_error", "p_value"]
    theirs = alone.table.set_index(["outcome", "arm"])[columns]
    np.testing.assert_allclose(
        found.set_index(["outcome", "arm"]).loc[theirs.index, columns], theirs, rtol=1e-8, atol=1e-12
    )
    assert (groups["adjusted_p_value"].fillna(1) >= groups["p_value"].fillna(0)).all()
    assert groups["heterogeneity_p_value"].dropna().between(0, 1).all()
    assert groups["group"].nunique() == 5


def test_every_table_has_its_layout(simulated):
    for table, name in (
        (simulated.table, "lift"), (simulated.curves, "return_curves"), (simulated.over_time, "lift_over_time"),
        (simulated.subgroups, "lift_subgroups"), (simulated.gain, "lift_gain"), (simulated.checks, "lift_checks"),
        (simulated.balance, "lift_balance"),
    ):  # fmt: skip
        assert tuple(table.columns) == schema(name).names, name
        assert len(table), name
    for table, name in (
        (simulated.compliers, "lift_compliers"), (simulated.overlap, "lift_overlap"),
        (simulated.e_values, "lift_e_values"),
    ):  # fmt: skip
        assert tuple(table.columns) == schema(name).names, name
        assert table.empty, name
    simulated.table["estimate"] = 0
    assert simulated.table["estimate"].ne(0).all()
    assert '"kind": "Lift"' in simulated.to_json()
    assert repr(simulated).startswith("<Lift: ")
    assert set(simulated.table["outcome"]) <= set(UNITS)


def test_the_return_curves_are_drawn(simulated):
    from matplotlib.figure import Figure

    axes = simulated.plot(Figure().add_subplot(), campaign="recall")
    assert axes.lines or axes.collections
    with pytest.raises(InputError, match="choose one with campaign="):
        simulated.plot(Figure().add_subplot())


def test_those_reached_stand_beside_all_assigned(app):
    sent = app.campaigns[app.campaigns["campaign"] == "recall"]
    reached = (sent["user_id"].rank() % 3 > 0) & (sent["arm"] != "none")
    sent = sent.assign(delivered_at=sent["assigned_at"].where(reached))
    found = campaign_lift(sent, app.log, control="none", exposure="delivered", outcomes=["return_probability"])
    table = found.compliers
    assert tuple(table.columns) == schema("lift_compliers").names
    assert set(table["arm"]) == set(found.arms)
    assert any("differ in much else" in note for note in found.notes)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"control": "holdot"}, "holdot"),
        ({"outcomes": ["days_to_retrun"]}, "Did you mean 'days_to_return'"),
        ({"outcomes": []}, "outcomes is empty"),
        ({"outcomes": ["days_live"]}, "needs a horizon of 60 days"),
        ({"adjust": "dunnet"}, "Did you mean 'dunnett'"),
        ({"design": "random"}, "design must be 'randomised'"),
        ({"exposure": "delivery"}, "exposure must be 'delivered'"),
        ({"margin": float("nan")}, "margin must be a finite number"),
        ({"covariates": "device"}, "write covariates="),
        ({"by": "chanel"}, "Did you mean 'channel'"),
        ({"level": 95}, "level"),
        ({"strata": []}, "strata is empty"),
        ({"control": 0}, "such as '0', not 0"),
        ({"control": None}, "control must be the name of an arm"),
        ({"shares": {"sms": "1x"}}, "that of 'sms' is no number: '1x'"),
        ({"shares": [0.5]}, "shares must map"),
        ({"outcomes": 5}, "outcomes must be a sequence"),
        ({"seed": None}, "seed must be a whole number"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"margin": True}, "margin must be a finite number"),
        ({"by": 5}, "by must be the name of a column"),
        ({"design": "observational", "by": "channel"}, "by compares arms without covariates"),
        ({"design": "observational", "shares": {"sms": 1}}, "shares are those that arms were drawn with"),
        ({"design": "observational", "exposure": "opened"}, "exposure needs arms that were drawn"),
    ],
)
def test_bad_arguments_are_named(app, wrong, match):
    with pytest.raises(InputError, match=match):
        campaign_lift(app.campaigns, app.log, **{"control": "none", "campaign": "recall", **wrong})


def test_chances_that_differ_within_a_stratum_are_refused(app):
    sent = app.campaigns[app.campaigns["campaign"] == "recall"]
    uneven = sent.assign(propensity=np.where(sent["user_id"].rank() % 2 == 0, 0.3, 0.5))
    with pytest.raises(InputError, match=r"propensity: within stratum 'all'.*runs from 0.3 to 0.5"):
        campaign_lift(uneven, app.log, control="none")


def test_numbers_of_other_libraries_are_numbers():
    found = Asked.of(None, level=0.95, adjust="holm", seed=np.int64(3), margin=np.int64(1))
    assert (found.seed, found.margin) == (3, 1.0)


def test_groups_of_users_whose_ids_are_written_otherwise():
    """One missing id makes the ids of the assignments floats; users have whole numbers."""
    sent = small.assignments()
    floats = pd.concat([sent, sent.iloc[:1].assign(user_id=np.nan)], ignore_index=True)
    assert floats["user_id"].dtype == float
    table, mapping = with_groups(small.log(), floats, {"assignments": {}}, "channel")
    assert table["stratum"].tolist() == ["a", "b", "a", "b", "a", "b", "missing"]
    texts = with_groups(small.log(), sent.assign(user_id=sent["user_id"].astype(str)), mapping, "channel")[0]
    assert texts["stratum"].tolist() == ["a", "b", "a", "b", "a", "b"]


def test_groups_known_only_later_are_refused():
    for by, words in (
        ("duration", "none of the users"), ("churned", "none of the users"), ("arm", "or after it"),
        ("delivered_at", "or after it"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=f"by: '{by}' is .*{words}"):
            with_groups(small.log(), small.assignments(), {}, by)
    with pytest.raises(InputError, match="'sent' is settled by the assignment or after it"):
        with_groups(small.log(), small.assignments(), {"assignments": {"delivered_at": "sent"}}, "sent")


def test_groups_that_were_not_followed_so_long_are_named():
    sent = small.assignments().assign(late=["no", "yes", "yes", "no", "no", "yes"], stratum="north")
    with pytest.raises(FollowUpError, match=r"by='late': .*in stratum 'yes \| north' was .* Or leave by='late' out"):
        campaign_lift(sent, small.log(), horizon=2, control="none", by="late", outcomes=["return_probability"])


def test_users_for_a_return_need_nothing_else(censored, lift):
    alone = of(censored, ["users_per_return"])
    assert alone.table["outcome"].tolist() == ["users_per_return"]
    assert row(alone, "users_per_return")["estimate"] == row(lift, "users_per_return")["estimate"]


def test_what_is_left_out_is_listed_and_assignments_are_no_users():
    sent = small.assignments()
    both = pd.concat([sent, sent.assign(campaign="winter"), sent.iloc[:1].assign(user_id=99)], ignore_index=True)
    rewards = pd.concat([small.rewards(), small.rewards().iloc[:1].assign(campaign="autumn")], ignore_index=True)
    found = campaign_lift(
        both, small.log(), horizon=2, control="none", covariates=(), outcomes=["net_value"], rewards=rewards
    )
    assert tuple(found.problems.columns) == schema("assignment_problems").names
    assert found.problems[["table", "reason"]].values.tolist() == [
        ["assignments", "unknown_user"],
        ["rewards", "no_assignment"],
    ]
    assert "rewards: 1 row is left out; .problems lists them with their reasons." in found.notes
    assert repr(found).startswith("<Lift: 12 assignments, ")
