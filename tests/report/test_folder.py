from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from churnsurv.errors import InputError
from churnsurv.report import Report, folder, whole_folder, write
from churnsurv.report.figures import figure_csv
from churnsurv.report.model import Figure, Section, Sentence, Table


def files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def written(report: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a report, in a folder that was not there; not to be changed."""
    folder_ = tmp_path_factory.mktemp("written") / "deep" / "er" / "report"
    page = write(report, folder_)
    assert page == (folder_ / "report.html").resolve()
    return page


def test_the_folder_holds_page_result_data_figures_and_manifest(report: Report, written: Path) -> None:
    found = files(written.parent)
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
    assert [path.name for path in written.parents[1].iterdir()] == ["report"]


def test_the_same_report_has_the_same_bytes(report: Report, written: Path, tmp_path: Path) -> None:
    first, second = files(written.parent), files(write(report, tmp_path / "b").parent)
    assert first == second
    for root in (written.parent, tmp_path):
        assert str(root).encode() not in b"".join(first.values())


def test_data_of_a_figure_are_its_table(study: dict, written: Path) -> None:
    root = written.parent
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


FIGURE = Figure("f", "forest", "", "", "", {})


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ((Section("a", "", ()), Section("a", "", ())), "Two sections of the report have the id 'a'"),
        ((Section("a", "", (FIGURE, FIGURE)),), "Two figures of the report have the name 'f'"),
        ((Section("a", "", (replace(FIGURE, name="../f"),)),), "must be letters, digits and _ alone"),
        ((Section("a", "", (Table("t", (), (), ()),)),), "'t' in section 'a' has no columns"),
        ((Section("a", "", (Table("t", ("x",), (("1",), ("1", "2")), (True,)),)),), "its row 1 has 2 texts"),
        ((Section("a", "", (Table("t", ("x",), (("1",),), ()),)),), "says of 0 whether they are numeric"),
    ],
)
def test_parts_that_do_not_fit_are_refused(tmp_path: Path, sections: tuple[Section, ...], said: str) -> None:
    report = Report("Hand-made", "en", Sentence(()), (), (), sections, {}, {}, {})
    with pytest.raises(InputError, match=said):
        write(report, tmp_path / "r")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text",
    ["", "not json", "[]", "{}", '{"kind": "Report", "version": 1}', '{"kind": "Report", "version": 2}'],
)
def test_what_is_no_report_is_not_read(text: str) -> None:
    with pytest.raises(InputError, match=r"no report|not as it was written"):
        Report.from_json(text)


def test_formats_as_a_text_or_none(small: Callable[..., Report], tmp_path: Path) -> None:
    page = write(small(), tmp_path / "r", "html")
    facts = json.loads((page.parent / "manifest.json").read_text(encoding="utf-8"))
    assert (facts["formats"], facts["sections"]) == (["html"], None)
    with pytest.raises(InputError, match="formats must be a list"):
        write(small(), tmp_path / "r", None)


@pytest.mark.usefixtures("few_pictures")
def test_an_older_report_is_replaced_whole(small: Callable[..., Report], written: Path, tmp_path: Path) -> None:
    target = tmp_path / "report"
    shutil.copytree(written.parent, target)
    (target / ".DS_Store").write_bytes(b"x")
    write(small(), target)
    assert set(files(target)) == {
        "report.html", "result.json", "manifest.json", "figures/survival_plan.csv", "figures/survival_plan.svg",
    }  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


@pytest.mark.usefixtures("few_pictures")
def test_an_empty_folder_is_taken(small: Callable[..., Report], tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    assert write(small(), tmp_path / "report").exists()


@pytest.mark.usefixtures("few_pictures")
def test_a_folder_of_someone_else_is_left_alone(small: Callable[..., Report], tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="no manifest of a report"):
        write(small(), tmp_path)
    (tmp_path / "manifest.json").write_text('{"kind": "other", "files": {}}')
    with pytest.raises(InputError, match="no manifest of a report"):
        write(small(), tmp_path)
    assert set(files(tmp_path)) == {"notes.txt", "manifest.json"}


@pytest.mark.usefixtures("few_pictures")
def test_files_put_beside_the_report_are_not_deleted(small: Callable[..., Report], tmp_path: Path) -> None:
    target = tmp_path / "report"
    write(small(), target)
    (target / "figures" / "mine.xlsx").write_text("work")
    before = files(target)
    with pytest.raises(InputError, match=r"not of the report: figures/mine\.xlsx\. Move them"):
        write(small(title="New"), target)
    assert files(target) == before


@pytest.mark.usefixtures("few_pictures")
def test_a_file_in_the_way_is_named(small: Callable[..., Report], tmp_path: Path) -> None:
    (tmp_path / "report").write_text("x")
    with pytest.raises(InputError, match="is a file, not a folder"):
        write(small(), tmp_path / "report")
    with pytest.raises(InputError, match="can't be written"):
        write(small(), tmp_path / "report" / "deeper")


@pytest.mark.usefixtures("few_pictures")
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


@pytest.mark.usefixtures("few_pictures")
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


@pytest.mark.usefixtures("few_pictures")
def test_a_link_to_a_folder_is_followed(small: Callable[..., Report], tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert write(small(), tmp_path / "link").parent == tmp_path / "real"
    assert (tmp_path / "link").is_symlink()
