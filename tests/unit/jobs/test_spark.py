"""What the JVM is started with."""

from __future__ import annotations

import re
import subprocess

import pytest

from jobs import machine_checks
from jobs.spark import _JAVA_OPTIONS, SparkConfig, _properties


def flags(*options: str) -> dict[str, str]:
    """Thresholds of C2, as the machine's Java reports them."""
    check = machine_checks.check_java()
    program = re.search(r"\((.+)\)$", check.found)
    if not check.ok or program is None:
        pytest.skip(f"no Java: {check.found}")
    command = [program.group(1), *options, "-XX:+PrintFlagsFinal", "-version"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return dict(re.findall(r"\b(Tier4\w+Threshold) += (\d+)", shown))


def test_java_takes_the_options_as_ten_times_its_thresholds():
    by_default = {name: int(value) for name, value in flags().items()}
    ours = {name: int(value) for name, value in flags(*_JAVA_OPTIONS).items()}
    assert len(ours) == 4
    assert ours == {name: 10 * value for name, value in by_default.items()}


def test_java_options_of_the_user_come_beside_ours():
    properties = _properties(SparkConfig(conf={"spark.driver.extraJavaOptions": "-Xint"}), ())
    assert properties["spark.driver.extraJavaOptions"] == "-Xint"
    assert properties["spark.driver.defaultJavaOptions"].split() == list(_JAVA_OPTIONS)
