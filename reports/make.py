"""Make the sample report in `reports/sample` again: ``python reports/make.py``; the same code gives the same bytes.

With a folder, ``python reports/make.py FOLDER``, it is made there.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from churnsurv.report import Report, write

SAMPLE = Path(__file__).parent / "sample"


def main(target: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "churnsurv", "demo", folder + "/demo", "--users", "5000", "--seed", "0"]
        subprocess.run(command, check=True)
        made = (Path(folder) / "demo/report/result.json").read_text(encoding="utf-8")
    # The report is whole in its JSON, so that no study runs twice for the PDF.
    write(Report.from_json(made), target, ("html", "pdf"))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLE)
