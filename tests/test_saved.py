"""Saved results of every kind by one door, and files written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.errors import InputError
from churnsurv.tables import saved
from churnsurv.tables.saved import READERS, load, write_text
from tests.warning.schemes import THREE, scheme


def fit() -> ch.CoxFit:
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"duration": np.arange(1, 51), "churned": np.arange(50) < 40, "x": rng.normal(size=50)})
    return ch.cox("x", data)


def test_one_door_reads_every_kind(tmp_path: Path) -> None:
    made = {"CoxFit": fit(), "TierScheme": scheme(THREE)}
    assert set(made) == set(READERS)
    for kind, result in made.items():
        path = tmp_path / f"{kind}.json"
        path.write_text(result.to_json(), encoding="utf-8")
        for given in (path, str(path)):
            again = load(given)
            assert type(again) is type(result)
            assert again.to_json() == result.to_json()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", r"'.*f\.json' is no JSON"),
        ("[]", "a JSON list, not an object"),
        ("{}", "holds something else, not a saved one"),
        ('{"kind": "Lift"}', "holds the result of a Lift, not a saved one: it has no 'format'"),
        ('{"format": {"kind": 3}}', "something else"),
        ('{"format": {"kind": "CoxFitt"}}', r"this version reads CoxFit and TierScheme. Did you mean 'CoxFit'"),
        ('{"format": {"kind": "TierScheme"}}', "format version is None"),
        ('{"format": {"kind": "CoxFit"}}', "format version is None"),
    ],
)
def test_what_holds_no_saved_result(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        load(path)


def test_no_such_file(tmp_path: Path) -> None:
    write_text(tmp_path / "tiers.json", "{}")
    with pytest.raises(InputError, match=r"no file .*Did you mean 'tiers\.json'"):
        load(tmp_path / "tier.json")
    with pytest.raises(InputError, match="there is no file"):
        load(tmp_path / "no" / "tier.json")
    with pytest.raises(InputError, match="cannot be read"):
        load(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is no text"):
        load(tmp_path / "binary")


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tiers.json"
    before = '{"format": {"kind": "TierScheme"}}'
    write_text(path, before)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="cannot be written: No space left on device"):
        write_text(path, before * 2)
    monkeypatch.undo()
    assert path.read_text(encoding="utf-8") == before
    assert [each.name for each in tmp_path.iterdir()] == ["tiers.json"]

    def stopped(handle: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", stopped)
    with pytest.raises(KeyboardInterrupt):
        write_text(tmp_path / "new.json", before)
    assert [each.name for each in tmp_path.iterdir()] == ["tiers.json"]


def test_what_is_not_ours_is_not_replaced(tmp_path: Path) -> None:
    other = tmp_path / "events.csv"
    for content in (b"user_id,event_at\n", b"{}", b'{"format": 3}', b"\xff\xfe"):
        other.write_bytes(content)
        with pytest.raises(InputError, match="holds no saved result, so it is not replaced"):
            write_text(other, "{}")
        assert other.read_bytes() == content
    with pytest.raises(InputError, match="is a folder"):
        write_text(tmp_path, "{}")
    with pytest.raises(InputError, match="there is no folder"):
        write_text(tmp_path / "no" / "a.json", "{}")
    with pytest.raises(InputError, match="half a character"):
        write_text(tmp_path / "b.json", "\ud800")


def test_a_link_keeps_being_one(tmp_path: Path) -> None:
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    write_text(real, '{"format": {"kind": "TierScheme"}}')
    link.symlink_to(real)
    write_text(link, "{}")
    assert link.is_symlink()
    assert real.read_text(encoding="utf-8") == "{}"


def test_the_room_of_tables_loads_no_other_room_by_itself() -> None:
    source = Path(saved.__file__).read_text(encoding="utf-8")
    assert "import churnsurv.survival" not in source
    assert all(module.startswith("churnsurv.") for module, _ in READERS.values())
