"""One Spark for all tests of a worker: a local session, started at its first use and left to the end of the process."""

from __future__ import annotations

import os
import shutil
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

__all__ = ["NO_SPARK", "needs_spark", "on_spark", "spark"]


def _missing() -> str:
    """Why there is no Spark here; empty where there is."""
    try:
        import pyspark  # noqa: F401
        import sqlglot  # noqa: F401
    except ImportError as error:
        return f"{error.name} is not installed; pip install 'churnsurv[spark]'"
    home = os.environ.get("JAVA_HOME")
    if shutil.which("java") is None and not (home and (Path(home) / "bin" / "java").exists()):
        return "there is no Java; Spark needs a JRE of version 17 or later"
    return ""


NO_SPARK = _missing()
#: On tests that start Spark. The bridge to the JVM of pyspark 4.0 leaves sockets for the garbage collector to close.
needs_spark = [
    pytest.mark.spark,
    pytest.mark.skipif(bool(NO_SPARK), reason=NO_SPARK),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def on_spark(test: Any) -> Any:
    """Mark one test that starts Spark."""
    for mark in needs_spark:
        test = mark(test)
    return test


@cache
def _session() -> Any:
    from pyspark.sql import SparkSession

    # Workers must be of the same Python as the tests, which is not always the first on the path.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "2g",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.session.timeZone": "America/New_York",  # no result may depend on it
        # Small tables: planning and compiling cost more than running.
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.sql.adaptive.enabled": "false",
        "spark.log.level": "ERROR",
    }
    builder = SparkSession.builder.master("local[1]").appName("churnsurv tests")
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


@pytest.fixture(scope="session")
def spark() -> Any:
    """A local Spark session in another time zone than UTC."""
    return _session()
