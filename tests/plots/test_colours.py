from __future__ import annotations

import itertools

import numpy as np
import pytest

from churnsurv.plots.colours import DARK, FAINT, INK, MUTED, PAPER, SERIES, TIER, _oklab, _rgb, ramp
from churnsurv.plots.shades import tier_shade

# Machado, Oliveira and Fernandes (2009), table for severity 1, on linear RGB.
SIGHT = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
DARK_SERIES = tuple(DARK[colour] for colour in SERIES)


def distance(first: str, second: str, sight: np.ndarray) -> float:
    labs = [_oklab(np.clip(sight @ _rgb(colour), 0, 1)) for colour in (first, second)]
    return float(100 * np.linalg.norm(labs[0] - labs[1]))


def contrast(first: str, second: str) -> float:
    weights = np.array([0.2126, 0.7152, 0.0722])
    low, high = sorted(float(_rgb(colour) @ weights) for colour in (first, second))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize(("series", "least"), [(SERIES, 8.0), (DARK_SERIES, 5.9)])
def test_series_stay_apart_for_every_kind_of_sight(sight: str, series: tuple[str, ...], least: float) -> None:
    matrix = np.asarray(SIGHT[sight])
    nearest = min((distance(a, b, matrix), a, b) for a, b in itertools.combinations(series, 2))
    assert nearest[0] >= least, nearest


@pytest.mark.parametrize(("series", "paper"), [(SERIES, PAPER), (DARK_SERIES, DARK[PAPER]), (ramp(24), PAPER)])
def test_lines_are_seen_on_their_paper(series: tuple[str, ...], paper: str) -> None:
    assert min(contrast(colour, paper) for colour in series) >= (2.0 if len(series) == 24 else 2.6)


@pytest.mark.parametrize("dark", [False, True])
def test_text_is_read_on_its_paper(dark: bool) -> None:
    ink, muted, faint, paper = (DARK[c] if dark else c for c in (INK, MUTED, FAINT, PAPER))
    assert contrast(ink, paper) >= 12
    assert contrast(muted, paper) >= 4.5
    assert contrast(faint, paper) >= 1.6


@pytest.mark.parametrize("dark", [False, True])
def test_names_on_tiers_are_read_and_edges_of_light_ones_are_seen(dark: bool) -> None:
    ink, paper, tier, edge = (DARK[c] if dark else c for c in (INK, PAPER, TIER, SERIES[1]))
    for place in range(3):
        shade = tier_shade(place, 3)
        own = [round(shade * int(tier[i : i + 2], 16) + (1 - shade) * int(paper[i : i + 2], 16)) for i in (1, 3, 5)]
        assert contrast(ink, "#" + "".join(f"{each:02x}" for each in own)) >= 4.5
    assert contrast(edge, paper) >= 3


def test_the_ramp_rises_in_lightness_and_is_seen_on_dark_paper() -> None:
    colours = ramp(24)
    lightness = [float(_oklab(_rgb(colour))[0]) for colour in colours]
    assert np.all(np.diff(lightness) > 0)
    assert min(contrast(colour, DARK[PAPER]) for colour in colours) >= 2.4
    assert len(set(colours)) == 24
    assert ramp(1) == colours[:1]
    assert ramp(0) == []
