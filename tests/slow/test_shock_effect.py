"""A small run of the effect of a date in the simulated app."""

from . import shock_effect


def test_the_loss_found_in_an_app_is_near_the_true_one():
    found = {figure.case: figure.value for figure in shock_effect.shock_app(1)}
    for reaches in ("all", "active"):
        assert 0.6 < found[f"reaches {reaches!r}: users lost over truth"] < 1.6
        assert found[f"reaches {reaches!r}: true loss within limits"] == 1.0
