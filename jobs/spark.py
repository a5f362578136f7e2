"""The Spark session: embedded by default, or whatever cluster ``master`` names."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from pipeline.config import Config
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


_LOG_CONFIG = Path(__file__).parent / "templates" / "log4j2.properties"

_JAVA_OPTIONS = (
    f"-Dlog4j2.configurationFile={_LOG_CONFIG.as_uri()}",
    # C2 compiles a method after ten times as many calls and loops as by Java's defaults. Where text stays in Python the
    # JVM only starts tasks and collects small rows; yet within a few jobs each method that deserialises a task crosses
    # 5,000 calls, and C2 took two thirds of all that the JVM did. A shuffle makes 50,000 calls in milliseconds, so what
    # is hot is not compiled noticeably later.
    "-XX:Tier4InvocationThreshold=50000",
    "-XX:Tier4MinInvocationThreshold=6000",
    "-XX:Tier4CompileThreshold=150000",
    "-XX:Tier4BackEdgeThreshold=400000",
)


class SparkConfig(Config):
    """How a run is executed. Nothing here can change what it produces, so nothing here is in a fingerprint.

    Args:
        master: Spark master URL; None takes what ``spark-submit`` or ``SPARK_MASTER`` set, else ``local[*]``.
        driver_memory: JVM heap of the driver (in local mode: of everything).
        partitions: Spark partitions of a pass over files; None for one task per file.
        shuffle_partitions: partitions of shuffles of ids and numbers.
        conf: further Spark properties, as they are.
    """

    master: str | None = None
    driver_memory: str = Field(default="2g", pattern=r"^[1-9][0-9]*[mg]$")
    partitions: int | None = Field(default=None, ge=1)
    shuffle_partitions: int = Field(default=8, ge=1)
    conf: dict[str, str | int | bool] = {}


def start_spark(config: SparkConfig, *, preload_models: tuple[str, ...] = ()) -> SparkSession:
    """Start or join a session.

    Args:
        preload_models: model files that the worker daemon loads once, so that forked workers share them.

    Raises:
        ConfigError: if no Java can be started.
    """
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName("chaffinch")
    master = config.master or os.environ.get("SPARK_MASTER") or "local[*]"
    if config.master is not None or "SPARK_ENV_LOADED" not in os.environ:
        builder = builder.master(master)
    for key, value in _properties(config, preload_models).items():
        builder = builder.config(key, value)
    try:
        session = builder.getOrCreate()
    except PySparkException as error:
        raise ConfigError(
            f"Spark did not start ({error.getErrorClass() or error}); expected Java 17 or newer: run `chaffinch doctor`"
        ) from None
    session.sparkContext.setLogLevel("ERROR")
    return session


def _properties(config: SparkConfig, preload_models: tuple[str, ...]) -> dict[str, str]:
    properties = {
        "spark.driver.memory": config.driver_memory,
        "spark.driver.defaultJavaOptions": " ".join(_JAVA_OPTIONS),  # extraJavaOptions, left to users, come after them
        "spark.sql.shuffle.partitions": str(config.shuffle_partitions),
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "4096",
        "spark.python.daemon.module": "jobs.worker_daemon",
        "spark.executorEnv.CHAFFINCH_PRELOAD_MODELS": os.pathsep.join(preload_models),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    os.environ["CHAFFINCH_PRELOAD_MODELS"] = os.pathsep.join(preload_models)  # local mode: no executor environment
    properties.update({key: str(value) for key, value in config.conf.items()})
    return properties
