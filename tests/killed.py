"""Writers that are killed in the middle, for real: a script of its own, since a test process should not fork itself.

    python -m tests.killed [report | first report | app] FOLDER

forks a child for every moment at which the writer touches the file system, kills it with SIGKILL exactly there, looks
at what is left, and prints one line of JSON: how many moments there were, and the states that were found.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from churnsurv import simulate_app
from churnsurv.report import build, folder, write

#: What Python tells its audit hooks before it touches the file system.
TOUCHES = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.link", "os.symlink", "os.truncate")
CALLS = ("ctypes.call_function", "fcntl.flock")


def die_at(moment: int) -> Callable[[], int]:
    """Kill this process just before its file system event number `moment`; return a counter of the events so far."""
    seen = 0

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if event in TOUCHES or event in CALLS:
            seen += 1
            if seen == moment:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    return lambda: seen


def killed(moment: int, work: Callable[[], object]) -> bool:
    """Do the work in a child that is killed at this moment; whether it was, or came to its end before."""
    child = os.fork()
    if child == 0:
        die_at(moment)
        work()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit(f"the writer failed by itself, at moment {moment}")
    return os.WIFSIGNALED(status)


def content(root: Path) -> str:
    """One word for all files of a folder, their names and bytes."""
    if not root.exists():
        return "nothing"
    state = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        state.update(path.relative_to(root).as_posix().encode() + (path.read_bytes() if path.is_file() else b"/"))
    return state.hexdigest()[:12]


def every_moment(old: Callable[[], object], new: Callable[[], object], look: Callable[[], str]) -> dict[str, object]:
    """What is found after a kill at each moment, old and new output by name."""
    new()
    before = {look(): "new"}
    old()
    before[look()] = "old"
    before["nothing"] = "nothing"
    found, moment = {}, 0
    while True:
        moment += 1
        if not killed(moment, new):
            break
        state = before.get(look(), "half")
        found[state] = found.get(state, 0) + 1
        old()
    return {"moments": moment - 1, "found": found, "at_the_end": before.get(look(), "half")}


def reports(target: Path, *, first: bool) -> dict[str, object]:
    made = {title: build(title=title) for title in ("old", "new")}
    # What takes time is the drawing, and no figure is needed to see whether all files are there.
    files = {f"figures/{n}.csv": b"x" * 1000 for n in range(5)}
    of_report = folder._files
    folder._files = lambda *given: of_report(*given) | files

    def old() -> None:
        if first:
            shutil.rmtree(target, ignore_errors=True)
        else:
            write(made["old"], target)

    answer = every_moment(old, lambda: write(made["new"], target), lambda: content(target))
    write(made["new"], target)
    return answer | {"beside": sorted(path.name for path in target.parent.iterdir())}


def apps(target: Path) -> dict[str, object]:
    made = {"old": simulate_app(50, seed=1), "new": simulate_app(60, seed=2)}
    owners = {}
    for name, app in made.items():
        folder = app.write(target.parent / name)
        owners |= {(file.name, file.read_bytes()): name for file in folder.iterdir()}
        shutil.rmtree(folder)
    files = {file for file, _ in owners}

    def look() -> str:
        there = [path for path in target.iterdir() if path.name in files] if target.exists() else []
        seen = {owners[path.name, path.read_bytes()] for path in there}
        # Too few files are no app; those that are there must be of the same one.
        return "mixed" if len(seen) > 1 else seen.pop() if len(there) == len(files) else "nothing"

    answer = every_moment(lambda: made["old"].write(target), lambda: made["new"].write(target), look)
    return answer | {"beside": sorted(path.name for path in target.iterdir())}


WRITERS = {"report": partial(reports, first=False), "first report": partial(reports, first=True), "app": apps}

if __name__ == "__main__":
    what, place = sys.argv[1:]
    sys.stdout.write(json.dumps(WRITERS[what](Path(place))))
