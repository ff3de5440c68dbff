"""What the README prints is what the code prints."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_tour_prints_what_the_readme_shows() -> None:
    found = re.search(r"```python\n(import churnsurv as ch\n.*?)```\n\n```text\n(.*?)```", README, re.DOTALL)
    assert found is not None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(found[1], "README.md", "exec"), {})  # noqa: S102 - the README's own lines
    assert printed.getvalue() == found[2]


def test_your_own_data_runs_as_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import churnsurv as ch

    app = ch.simulate_app(n_users=3_000, seed=1)
    (tmp_path / "events").mkdir()
    app.events.rename(columns={"event_at": "ts", "kind": "action"}).to_parquet(tmp_path / "events" / "1.parquet")
    app.users.rename(columns={"registered_at": "signup"}).to_csv(tmp_path / "users.csv", index=False)
    monkeypatch.chdir(tmp_path)
    found = re.search(r"```python\n(log = ch.ActivityLog\(.*?)```", README, re.DOTALL)
    assert found is not None
    lines, last = found[1].rstrip().rsplit("\n", 1)
    names: dict[str, object] = {"ch": ch}
    exec(compile(lines, "README.md", "exec"), names)  # noqa: S102 - the README's own lines
    fit = eval(last, names)  # noqa: S307 - the same
    assert isinstance(fit, ch.CoxFit)
    assert "log1p(n_investments)" in set(fit.table["term"])


def test_exactly_two_set_up_commands() -> None:
    assert len(re.findall(r"^python3 -m venv ", README, re.MULTILINE)) == 2


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#]+)\)", README))))
def test_links_lead_somewhere(target: str) -> None:
    assert (Path(__file__).parents[1] / target).exists()
