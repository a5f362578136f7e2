"""What ``doctor`` says of machines that lack one thing each."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobs import machine_checks
from jobs.doctor import Check, diagnose, render, something_is_missing
from pipeline.models import REGISTRY

MODEL = "lid.176.ftz"


def fake_java(folder: Path, version_line: str) -> None:
    (folder / "bin").mkdir(parents=True)
    program = folder / "bin" / "java"
    program.write_text(f"#!/bin/sh\necho '{version_line}' >&2\n")
    program.chmod(0o755)


@pytest.mark.parametrize(
    ("version_line", "found", "ok"),
    [
        ('openjdk version "17.0.11" 2024-04-16', "17", True),
        ('openjdk version "21" 2023-09-19', "21", True),
        ('openjdk version "11.0.2" 2019-01-15', "11", False),
        ('java version "1.8.0_202"', "8", False),
    ],
)
def test_java_version_is_read_from_java_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version_line: str, found: str, ok: bool
) -> None:
    fake_java(tmp_path / "jdk", version_line)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk"))
    check = machine_checks.check_java()
    assert (check.ok, check.found) == (ok, f"{found} ({tmp_path}/jdk/bin/java)")


def test_absent_and_broken_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    check = machine_checks.check_java()
    assert (check.ok, check.needed, check.found) == (False, True, "none on PATH, JAVA_HOME not set")
    assert "openjdk-17-jre-headless" in (check.mend or "")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "nowhere"))
    assert "does not start" in machine_checks.check_java().found


@pytest.mark.parametrize(
    ("at_least", "below", "ok"),
    [((1,), None, True), ((1,), (99,), True), ((99,), None, False), ((0, 1), (0, 2), False)],
)
def test_package_bounds(at_least: tuple[int, ...], below: tuple[int, ...] | None, ok: bool) -> None:
    assert machine_checks.check_package("pyarrow", at_least=at_least, below=below).ok is ok


def test_pandas_3_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_checks, "version", lambda name: "3.0.0")
    check = machine_checks.check_package("pandas", at_least=(2, 2), below=(3,))
    assert (check.ok, check.found, check.mend) == (False, "3.0.0", "pip install 'pandas>=2.2,<3'")


def test_absent_package() -> None:
    check = machine_checks.check_package("no_such_package_here", at_least=(1,))
    assert not check.ok and check.found.startswith("does not import: ")


def test_fasttext_overwritten_by_fasttext_predict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine_checks.check_fasttext().ok
    metadata = tmp_path / "fasttext_predict-0.9.2.4.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: fasttext-predict\nVersion: 0.9.2.4\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    check = machine_checks.check_fasttext()
    assert not check.ok and "overwritten by fasttext-predict 0.9.2.4" in check.found
    assert (check.mend or "").startswith("pip uninstall -y fasttext-predict")


def test_fasttext_module_that_cannot_train(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_checks.importlib, "import_module", lambda name: object())
    check = machine_checks.check_fasttext()
    assert not check.ok and "cannot train" in check.found


def test_model_absent_then_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAFFINCH_MODELS", str(tmp_path))
    absent = machine_checks.check_model(MODEL)
    assert not absent.ok and str(tmp_path / MODEL) in absent.found
    assert absent.mend == f"chaffinch models fetch {MODEL}"
    (tmp_path / MODEL).write_bytes(b"not the model")
    damaged = machine_checks.check_model(MODEL)
    assert not damaged.ok and "SHA-256" in damaged.found


def test_compiler_is_advice_where_fasttext_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    check = machine_checks.check_compiler()
    assert (check.ok, check.needed, check.found) == (False, False, "none on PATH")
    monkeypatch.setattr(machine_checks, "is_installed", lambda name: False)
    assert machine_checks.check_compiler().needed


def test_numba_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    assert machine_checks.check_numba_cache().ok
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file" / "cache"))
    check = machine_checks.check_numba_cache()
    assert not check.ok and "not writable" in check.found


def test_disk_memory_and_cores_follow_their_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = (("MIN_DISK_BYTES", "check_disk"), ("MIN_MEMORY_BYTES", "check_memory"), ("MIN_CORES", "check_cores"))
    for bound, name in looked_at:
        for limit, ok in ((1, True), (1 << 60, False)):
            monkeypatch.setattr(machine_checks, bound, limit)
            check = getattr(machine_checks, name)()
            assert (check.ok, check.needed) == (ok, False)
    assert 0 < machine_checks.memory_bytes() <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_only_what_is_needed_decides() -> None:
    fine = Check(name="a", ok=True, found="1", expected="1")
    advice = Check(name="b", ok=False, needed=False, found="1", expected="2", mend="buy more")
    missing = Check(name="c", ok=False, found="none", expected="one", mend="install it")
    assert not something_is_missing([fine, advice])
    assert something_is_missing([fine, missing])
    shown = render([fine, advice, missing], width_columns=100)
    assert [line.split()[0] for line in shown.splitlines()[1:4]] == ["ok", "advice", "MISSING"]
    assert "b: buy more" in shown and "c: install it" in shown and "a: " not in shown


def test_diagnose_looks_at_everything_once() -> None:
    checks = diagnose()
    names = [check.name for check in checks]
    assert len(set(names)) == len(names)
    assert {"Java", "pyspark", "pandas", "tokenizers", "torch", "fasttext", "disk", "memory", "cores"} <= set(names)
    assert {f"model {name}" for name in REGISTRY} <= set(names)
    assert all(check.ok or check.mend for check in checks)
