from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from churnsurv.errors import InputError
from churnsurv.report import Report, folder, whole_folder, write
from churnsurv.report.figures import figure_csv
from churnsurv.report.model import Figure


def files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_the_folder_holds_page_result_data_figures_and_manifest(report: Report, tmp_path: Path) -> None:
    page = write(report, tmp_path / "deep" / "er" / "report")
    assert page == (tmp_path / "deep" / "er" / "report" / "report.html").resolve()
    found = files(page.parent)
    assert {"report.html", "result.json", "manifest.json", "figures/survival_channel.csv"} <= set(found)
    assert {name.removesuffix(".svg") for name in found if name.endswith(".svg")} >= {"figures/hazard_ratios"}
    manifest = json.loads(found.pop("manifest.json"))
    assert set(manifest["files"]) == set(found)
    for name, content in found.items():
        assert manifest["files"][name] == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert manifest["versions"]["churnsurv"] == "0.1.0"
    assert manifest["seed"] == 4
    assert manifest["inputs"]["events"]["sha256"] == "ab" * 32
    assert json.loads(found["result.json"])["title"] == report.title
    assert [path.name for path in (tmp_path / "deep" / "er").iterdir()] == ["report"]


def test_the_same_report_has_the_same_bytes(report: Report, tmp_path: Path) -> None:
    first, second = (files(write(report, tmp_path / name).parent) for name in ("a", "b"))
    assert first == second
    assert str(tmp_path).encode() not in b"".join(first.values())


def test_data_of_a_figure_are_its_table(report: Report, study: dict, tmp_path: Path) -> None:
    root = write(report, tmp_path / "r").parent
    rows = list(csv.DictReader(io.StringIO((root / "figures/survival_channel.csv").read_text(encoding="utf-8"))))
    table = study["curves"]["channel"].table
    assert [row["n_at_risk"] for row in rows] == [str(n) for n in table["n_at_risk"]]
    assert [float(row["survival"]) for row in rows] == pytest.approx(table["survival"].tolist(), rel=1e-8)
    groups = {row["group"] for row in rows}
    assert {"分銷", "<script>alert(1)</script>"} <= groups
    assert not [group for group in groups if group.startswith("=")]
    assert [group for group in groups if group.startswith("'=HYPERLINK")]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r=", " ="])
def test_text_that_a_spreadsheet_would_run_gets_an_apostrophe(start: str) -> None:
    text = f"{start}1+1"
    figure = Figure("f", "forest", "", "", "", {text: [text], "x": [-1.5], "n": [-3], "b": [True], "e": [None]})
    (head, row) = csv.reader(io.StringIO(figure_csv(figure)))
    assert head[0] == row[0] == "'" + text.replace("\r", "\n")
    assert row[1:] == ["-1.5", "-3", "true", ""]


def test_an_older_report_is_replaced_whole(small: Callable[..., Report], report: Report, tmp_path: Path) -> None:
    target = tmp_path / "report"
    write(report, target)
    (target / ".DS_Store").write_bytes(b"x")
    write(small(), target)
    assert set(files(target)) == {
        "report.html", "result.json", "manifest.json", "figures/survival_plan.csv", "figures/survival_plan.svg",
    }  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_an_empty_folder_is_taken(small: Callable[..., Report], tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    assert write(small(), tmp_path / "report").exists()


def test_a_folder_of_someone_else_is_left_alone(small: Callable[..., Report], tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="no manifest of a report"):
        write(small(), tmp_path)
    (tmp_path / "manifest.json").write_text('{"kind": "other", "files": {}}')
    with pytest.raises(InputError, match="no manifest of a report"):
        write(small(), tmp_path)
    assert set(files(tmp_path)) == {"notes.txt", "manifest.json"}


def test_files_put_beside_the_report_are_not_deleted(small: Callable[..., Report], tmp_path: Path) -> None:
    target = tmp_path / "report"
    write(small(), target)
    (target / "figures" / "mine.xlsx").write_text("work")
    before = files(target)
    with pytest.raises(InputError, match=r"not of the report: figures/mine\.xlsx\. Move them"):
        write(small(title="New"), target)
    assert files(target) == before


def test_a_file_in_the_way_is_named(small: Callable[..., Report], tmp_path: Path) -> None:
    (tmp_path / "report").write_text("x")
    with pytest.raises(InputError, match="is a file, not a folder"):
        write(small(), tmp_path / "report")
    with pytest.raises(InputError, match="can't be written"):
        write(small(), tmp_path / "report" / "deeper")


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("part", ["render_html", "figure_csv", "_manifest", "_take_the_place"])
def test_a_failure_leaves_everything_as_it_was(
    small: Callable[..., Report], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, there: bool
) -> None:
    target = tmp_path / "report"
    if there:
        write(small(), target)
    before = files(tmp_path)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(whole_folder if part == "_take_the_place" else folder, part, fail)
    with pytest.raises(RuntimeError, match="broken"):
        write(small(title="New"), target)
    assert files(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == (["report"] if there else [])


def test_a_swap_that_fails_puts_the_old_report_back(
    small: Callable[..., Report], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "report"
    write(small(), target)
    before = files(tmp_path)
    rename = Path.rename

    def fail(self: Path, to: Path) -> Path:
        if ".new-" in self.name:
            raise OSError(28, "No space left on device")
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", fail)
    # as on a system that can't swap two folders in one step
    monkeypatch.setattr(whole_folder, "_swap", lambda *_: False)
    with pytest.raises(InputError, match=r"No space left on device\. Check that the disk has room"):
        write(small(title="New"), target)
    monkeypatch.undo()
    assert files(tmp_path) == before


def test_a_link_to_a_folder_is_followed(small: Callable[..., Report], tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert write(small(), tmp_path / "link").parent == tmp_path / "real"
    assert (tmp_path / "link").is_symlink()
