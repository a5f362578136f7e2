"""Input units: what a config names, in what order, under which identity."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from pipeline.input_unit import InputConfig, InputUnit, list_units


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.warc.gz", "b.warc.gz", "sub/a.warc.gz", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def units(folder: Path, *paths: str, **options: object) -> list[InputUnit]:
    return list_units([InputConfig(name="crawl", paths=paths, **options)], str(folder))


def test_units_are_sorted_whatever_the_order_of_paths(folder: Path) -> None:
    found = units(folder, "*.warc.gz")
    assert [unit.warc_file for unit in found] == ["a.warc.gz", "b.warc.gz"]
    assert found == units(folder, "b.warc.gz", "a.warc.gz") == units(folder, "a.warc.gz", "b.*", "*.warc.gz")


def test_the_identity_does_not_depend_on_where_the_folder_lies(folder: Path, tmp_path_factory) -> None:
    other = tmp_path_factory.mktemp("elsewhere")
    (other / "a.warc.gz").write_bytes(b"a.warc.gz")
    here, there = units(folder, "a.*")[0], units(other, "a.*")[0]
    assert here.identity() == there.identity()
    assert here.unit == there.unit
    assert here.location != there.location


def test_relative_and_absolute_paths_name_the_same(folder: Path) -> None:
    assert units(folder, "**/*.gz") == units(Path("/"), f"{folder}/**/*.gz")
    assert units(folder / "sub", "../*.warc.gz") == units(folder, "*.warc.gz")


def test_fields(folder: Path) -> None:
    (unit,) = list_units([InputConfig(name="crawl", domain="web", paths=("sub/*",))], str(folder))
    assert (unit.source, unit.domain, unit.warc_file, unit.size_bytes) == ("crawl", "web", "a.warc.gz", 13)
    assert unit.unit.startswith("a.warc.gz-")
    assert Path(unit.location) == folder / "sub" / "a.warc.gz"
    assert units(folder, "sub/*")[0].domain == "crawl"
    assert InputUnit.model_validate(json.loads(json.dumps(unit.model_dump(mode="json")))) == unit


def test_unit_names_are_safe_and_distinct(folder: Path) -> None:
    (folder / "a b.warc.gz").write_bytes(b"")
    (folder / "a-b.warc.gz").write_bytes(b"")
    (folder / "дом.warc.gz").write_bytes(b"")
    names = [unit.unit for unit in units(folder, "**/*.gz")]
    assert len(set(names)) == len(names) == 6
    assert all(character.isascii() and (character.isalnum() or character in ".-") for character in "".join(names))


def test_exclude(folder: Path) -> None:
    assert [unit.warc_file for unit in units(folder, "**", exclude=("*.txt", "sub/*"))] == ["a.warc.gz", "b.warc.gz"]
    with pytest.raises(ConfigError, match="matches no file that exclude"):
        units(folder, "*.txt", exclude=("*.txt",))


@pytest.mark.parametrize("pattern", ["missing.warc.gz", "*.parquet", "nowhere/*"])
def test_a_path_that_matches_nothing(folder: Path, pattern: str) -> None:
    with pytest.raises(ConfigError, match=r"'crawl'.*matches no file.*correct the path"):
        units(folder, "a.warc.gz", pattern)


def test_a_folder_is_not_a_file(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"sub' is a folder, expected files"):
        units(folder, "sub")


def test_two_files_of_one_name_in_one_source(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"two files are named 'a.warc.gz' in source 'crawl'"):
        units(folder, "*.warc.gz", "sub/*.warc.gz")
    other = InputConfig(name="other", paths=("sub/*",))
    assert len(list_units([InputConfig(name="crawl", paths=("*.warc.gz",)), other], str(folder))) == 3


def test_one_file_under_two_names(folder: Path) -> None:
    with pytest.raises(ConfigError, match="is named twice"):
        other = InputConfig(name="other", paths=("sub/*",))
        list_units([InputConfig(name="crawl", paths=("**/*.gz",)), other], str(folder))


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("x.warc", b"", "warc"),
        ("x.warc.gz", b"", "warc"),
        ("x.warc.wet.gz", b"", "warc"),
        ("x.warc.zst", b"", "warc"),
        ("x.arc.gz", b"", "arc"),
        ("x.jsonl", b"", "jsonl"),
        ("x.JSON.gz", b"", "jsonl"),
        ("x.ndjson.zst", b"", "jsonl"),
        ("x.parquet", b"", "parquet"),
        ("x.warc.gz.bad", gzip.compress(b"WARC/1.0", mtime=0), "warc"),
        ("x", b"PAR1....", "parquet"),
        ("x", b'{"text": "a"}', "jsonl"),
        ("x.paths.gz", gzip.compress(b"crawl-data/", mtime=0), "warc"),
        ("LICENSE", b"Apache License", "warc"),
    ],
)
def test_auto_format(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    (tmp_path / name).write_bytes(content)
    (unit,) = units(tmp_path, name)
    assert unit.format == expected
    assert unit.is_archive == (expected in ("warc", "arc"))
    assert units(tmp_path, name, format="jsonl")[0].format == "jsonl"
