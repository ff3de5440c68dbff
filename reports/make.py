"""Make the sample report in `reports/sample` again: ``python reports/make.py``; the same code gives the same bytes."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "churnsurv", "demo", folder + "/demo", "--users", "5000", "--seed", "0"]
        subprocess.run(command, check=True)
        shutil.rmtree(HERE / "sample", ignore_errors=True)
        shutil.copytree(Path(folder) / "demo" / "report", HERE / "sample")


if __name__ == "__main__":
    main()
