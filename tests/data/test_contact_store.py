"""The ledger's file: made whole, opened for a moment, held by one writer, and never taken for something else."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from churnsurv.data.contact_store import FORMAT, TABLES, ContactStore
from churnsurv.errors import ChurnsurvError, DataNotReadyError, InputError

ROOT = Path(__file__).parents[2]


def made(folder: Path, name: str = "contacts.duckdb") -> ContactStore:
    store = ContactStore(folder / name)
    with store.writing():
        pass
    return store


@contextmanager
def holder(path: Path, mode: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the file open until it is told to let go."""
    code = (
        "import sys; from pathlib import Path; from churnsurv.data.contact_store import ContactStore\n"
        f"with ContactStore(Path(sys.argv[1])).{mode}():\n"
        "    print('held', flush=True); sys.stdin.readline()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.communicate("go\n", timeout=60)
        assert process.returncode == 0


def test_a_file_that_is_not_there_is_read_as_nothing_and_made_by_the_first_writing(tmp_path: Path) -> None:
    store = ContactStore(tmp_path / "contacts.duckdb")
    with store.reading() as ledger:
        assert ledger is None
    assert list(tmp_path.iterdir()) == []
    with store.writing() as opened:
        assert opened.ids is None
    assert [path.name for path in tmp_path.iterdir()] == ["contacts.duckdb"]
    with store.reading() as ledger:
        assert ledger is not None
        assert ledger.rows("SELECT name, value FROM meta ORDER BY name") == [
            ("format", str(FORMAT)), ("ids", None), ("kind", "churnsurv contact ledger"),
        ]  # fmt: skip
        assert {table for (table,) in ledger.rows("SELECT table_name FROM duckdb_tables()")} > set(TABLES)


def test_an_error_undoes_the_transaction(tmp_path: Path) -> None:
    store = made(tmp_path)

    def half() -> None:
        with store.writing() as ledger:
            ledger.run("INSERT INTO campaigns VALUES ('spring', 'a', 'b')")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    with store.reading() as opened:
        assert opened is not None
        assert opened.rows("SELECT count(*) FROM campaigns") == [(0,)]


def test_the_file_itself_refuses_a_second_contact_with_one_key(tmp_path: Path) -> None:
    store = made(tmp_path)
    row = "INSERT INTO contacts (user_id, campaign, arm, step, date, contact_on, channel) VALUES"
    row += " (7, 'spring', 'a', 1, DATE '2025-04-01', DATE '2025-04-02', 'sms')"
    with pytest.raises(duckdb.ConstraintException), store.writing() as ledger:
        ledger.run(f"{row}; {row}")


@pytest.mark.parametrize("mode", ["writing", "reading"])
def test_a_writer_is_told_who_holds_the_file(tmp_path: Path, mode: str) -> None:
    store = made(tmp_path)
    with holder(store.path, mode) as other:
        found = rf"is held by process {other.pid} \(.*\)\. Nothing was recorded\. Try again"
        with pytest.raises(DataNotReadyError, match=found), store.writing():
            pass
    with store.writing():
        pass


def test_a_reader_waits_for_nobody_but_a_writer(tmp_path: Path) -> None:
    store = made(tmp_path)
    with holder(store.path, "reading"), store.reading() as ledger:
        assert ledger is not None
    with holder(store.path, "writing"), pytest.raises(DataNotReadyError, match="is held by process"), store.reading():
        pass


def test_threads_of_one_process_take_their_turns(tmp_path: Path) -> None:
    store = made(tmp_path)

    def add(n: int) -> None:
        with ContactStore(store.path).writing() as ledger:
            ledger.run("INSERT INTO campaigns VALUES (?, 'draw', 'lots')", [f"c{n}"])

    threads = [threading.Thread(target=add, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.reading() as opened:
        assert opened is not None
        assert opened.rows("SELECT count(*) FROM campaigns") == [(6,)]


def test_a_connection_of_the_caller_is_named_as_what_holds_it(tmp_path: Path) -> None:
    store = made(tmp_path)
    with (
        duckdb.connect(str(store.path)),
        pytest.raises(DataNotReadyError, match="elsewhere in this process"),
        store.reading(),
    ):
        pass


def _text(path: Path) -> None:
    path.write_text("user_id,campaign\n" * 1000)


def _empty(path: Path) -> None:
    path.touch()


def _sqlite(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE contacts (user_id INTEGER)")
    connection.close()


def _other_database(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE contacts (user_id INTEGER)")


def _other_meta(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE meta (x INTEGER)")


@pytest.mark.parametrize("make", [_text, _empty, _sqlite, _other_database, _other_meta])
def test_a_file_that_is_no_ledger_is_refused_and_left_alone(tmp_path: Path, make: object) -> None:
    path = tmp_path / "contacts.duckdb"
    make(path)  # type: ignore[operator]
    before = path.read_bytes()
    for mode in ("reading", "writing"):
        with pytest.raises(InputError, match="no contact ledger"), getattr(ContactStore(path), mode)():
            pass
    assert path.read_bytes() == before


def test_a_ledger_of_another_format_names_both(tmp_path: Path) -> None:
    store = made(tmp_path)
    with duckdb.connect(str(store.path)) as connection:
        connection.execute("UPDATE meta SET value = '7' WHERE name = 'format'")
    found = "has format 7; this version of churnsurv reads and writes format 1"
    with pytest.raises(InputError, match=found), store.writing():
        pass


def test_a_damaged_file_says_so(tmp_path: Path) -> None:
    store = made(tmp_path)
    content = bytearray(store.path.read_bytes())
    content[12_288:] = bytes(len(content) - 12_288)
    store.path.write_bytes(content)
    with pytest.raises(InputError, match=r"cannot be read: .*backup"), store.reading():
        pass


def test_a_folder_that_is_not_there_is_no_empty_ledger(tmp_path: Path) -> None:
    store = ContactStore(tmp_path / "away" / "contacts.duckdb")
    with pytest.raises(InputError, match=r"no folder .*everybody would be contacted again"), store.reading():
        pass


def test_a_ledger_that_left_its_last_changes_behind_is_not_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "contacts.duckdb.wal").touch()
    store = ContactStore(tmp_path / "contacts.duckdb")
    with pytest.raises(InputError, match=r"is gone, but 'contacts\.duckdb\.wal'"), store.writing():
        pass


def test_what_killed_runs_left_is_cleared_and_nothing_else(tmp_path: Path) -> None:
    for name in (
        ".contacts.duckdb.new-0123abcd",
        ".contacts.duckdb.new-0123abcd.wal",
        ".contacts.duckdb.new-x",
        "mine",
    ):
        (tmp_path / name).touch()
    made(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".contacts.duckdb.new-x", "contacts.duckdb", "mine"]


def test_a_ledger_made_meanwhile_by_another_process_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes second with a new file finds the first one's, and writes into that."""
    other = made(tmp_path, "other.duckdb")
    with other.writing() as ledger:
        ledger.run("INSERT INTO campaigns VALUES ('first', 'draw', 'lots')")
    store, link = ContactStore(tmp_path / "contacts.duckdb"), os.link

    def meanwhile(new: Path, place: Path) -> None:
        shutil.copy(other.path, place)
        link(new, place)

    monkeypatch.setattr(os, "link", meanwhile)
    with store.writing() as ledger:
        assert ledger.rows("SELECT campaign FROM campaigns") == [("first",)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["contacts.duckdb", "other.duckdb"]


def test_a_file_system_without_links_is_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    assert made(tmp_path).there()
    assert [path.name for path in tmp_path.iterdir()] == ["contacts.duckdb"]


def test_a_file_that_cannot_be_made_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "link", refused)
    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(InputError, match=r"cannot be made: Permission denied.*Nothing was recorded"):
        made(tmp_path)
    assert list(tmp_path.iterdir()) == []


#: Rights hold for everybody but the superuser; as one, the child becomes somebody else once all is loaded.
READ_ONLY = """
import os, sys
from pathlib import Path
from churnsurv.data.contact_store import ContactStore
from churnsurv.errors import ChurnsurvError
with ContactStore(Path(sys.argv[1], "first.duckdb")).writing(): pass  # everything is loaded now
if os.geteuid() == 0:
    os.seteuid(65534)
for mode, path in (("writing", "new.duckdb"), ("writing", "first.duckdb"), ("reading", "first.duckdb")):
    try:
        with getattr(ContactStore(Path(sys.argv[1], path)), mode)() as ledger:
            if mode == "writing":
                ledger.run("INSERT INTO campaigns VALUES ('c', 'd', 'l')")
            print("read", ledger.rows("SELECT count(*) FROM campaigns"))
    except ChurnsurvError as error:
        print(type(error).__name__, str(error)[:60].replace(sys.argv[1], ""))
"""


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs the rights of a POSIX file system")
def test_in_a_folder_that_is_read_only_a_ledger_is_read_and_not_written() -> None:
    import tempfile

    folder = tempfile.mkdtemp()
    try:
        Path(folder).chmod(0o755)
        code = READ_ONLY.replace("if os.geteuid", "Path(sys.argv[1]).chmod(0o555)\nif os.geteuid")
        done = subprocess.run(
            [sys.executable, "-c", code, folder], capture_output=True, text=True, cwd=ROOT, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        new, first, read = done.stdout.splitlines()
        assert new.startswith("InputError The ledger '/new.duckdb' cannot be made"), done.stdout
        assert first.startswith("InputError The ledger '/first.duckdb' cannot be written"), done.stdout
        assert read == "read [(0,)]"
    finally:
        Path(folder).chmod(0o755)
        shutil.rmtree(folder)


FULL_DISK = """
import resource, sys
from pathlib import Path
from churnsurv.data.contact_store import ContactStore
from churnsurv.errors import InputError
store = ContactStore(Path(sys.argv[1]))
with store.writing() as ledger:
    ledger.run("INSERT INTO campaigns VALUES ('first', 'd', 'l')")
limit = store.path.stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
try:
    with store.writing() as ledger:
        ledger.run("INSERT INTO campaigns SELECT range, repeat('x', 900), md5(CAST(range AS TEXT)) FROM range(100000)")
except InputError as error:
    print("told", "cannot be written" in str(error))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
with store.reading() as ledger:
    print(ledger.rows("SELECT count(*) FROM campaigns"))
with store.writing() as ledger:
    ledger.run("INSERT INTO campaigns VALUES ('second', 'd', 'l')")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits on the size of files")
def test_a_full_disk_leaves_what_was_recorded(tmp_path: Path) -> None:
    code = [sys.executable, "-c", FULL_DISK, str(tmp_path / "contacts.duckdb")]
    done = subprocess.run(code, capture_output=True, text=True, cwd=ROOT, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["told True", "[(1,)]"]
    with ContactStore(tmp_path / "contacts.duckdb").reading() as opened:
        assert opened is not None
        assert opened.rows("SELECT campaign FROM campaigns ORDER BY ALL") == [("first",), ("second",)]


def test_every_refusal_is_one_of_ours() -> None:
    assert issubclass(DataNotReadyError, ChurnsurvError)
    assert DataNotReadyError.exit_code == 3
