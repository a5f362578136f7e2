"""Globs, atomic writes, and errors of the storage layer."""

from __future__ import annotations

import pytest

from pipeline import storage
from pipeline.errors import ConfigError


@pytest.fixture
def tree(tmp_path):
    for name in ("a/one.warc.gz", "a/two.warc.gz", "a/notes.txt", "b/c/three.warc.gz", "top.warc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "root", "names"),
    [
        ("a/*.warc.gz", "a", ["one.warc.gz", "two.warc.gz"]),
        ("**/*.warc.gz", "", ["a/one.warc.gz", "a/two.warc.gz", "b/c/three.warc.gz"]),
        ("**", "", ["a/notes.txt", "a/one.warc.gz", "a/two.warc.gz", "b/c/three.warc.gz", "top.warc"]),
        ("a/t?o.warc.gz", "a", ["two.warc.gz"]),
        ("a/[on]*", "a", ["notes.txt", "one.warc.gz"]),
        ("*/*.gz", "", ["a/one.warc.gz", "a/two.warc.gz"]),
        ("top.warc", "", ["top.warc"]),
        ("absent.warc", "", []),
        ("absent/*.warc", "absent", []),
    ],
)
def test_a_glob_gives_the_files_relative_to_its_fixed_part(tree, pattern, root, names):
    found_root, found = storage.expand_glob(f"{tree}/{pattern}")
    assert found == names
    assert found_root.rstrip("/") == f"{tree}/{root}".rstrip("/")


def test_a_glob_relative_to_the_current_folder(tree, monkeypatch):
    monkeypatch.chdir(tree)
    assert storage.expand_glob("a/*.txt") == ("a", ["notes.txt"])
    assert storage.expand_glob("*.warc") == (".", ["top.warc"])
    assert storage.expand_glob("./*.warc") == (".", ["top.warc"])


def test_written_bytes_are_read_back_and_leave_no_temporary_file(tmp_path):
    location = str(tmp_path / "new" / "folder" / "value.json")
    storage.write_json(location, {"b": 1, "a": "ü"})
    assert storage.read_bytes(location) == '{\n  "a": "ü",\n  "b": 1\n}\n'.encode()
    assert storage.list_files(str(tmp_path)) == ["new/folder/value.json"]


def test_an_unknown_scheme_is_a_config_error():
    with pytest.raises(ConfigError, match=r"cannot open 'carrier-pigeon://x/y'.*expected a path or an s3, gs or hdfs"):
        storage.resolve("carrier-pigeon://x/y")


def test_sha256_of_a_file_larger_than_a_chunk(tmp_path):
    import hashlib

    data = bytes(range(256)) * 9000
    (tmp_path / "data").write_bytes(data)
    assert storage.sha256_of(str(tmp_path / "data")) == hashlib.sha256(data).hexdigest()


def test_spark_knows_s3_by_another_scheme():
    assert storage.for_spark("s3://bucket/s3://odd") == "s3a://bucket/s3://odd"
    assert storage.for_spark("/runs/demo") == "/runs/demo"
    assert storage.for_spark("hdfs://host/runs") == "hdfs://host/runs"
