"""Lists of paths and releases of Common Crawl: what is read, what is drawn, under which names."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import pytest
import zstandard
from pydantic import ValidationError

from jobs.config import load_run_config
from pipeline import http_files, storage
from pipeline.errors import ConfigError, RetryableError
from pipeline.input_unit import InputConfig, InputUnit, list_units
from pipeline.path_list import draw, read_path_list

RELEASE = "CC-MAIN-2024-10"
EXAMPLE = Path(__file__).parents[3] / "examples/common_crawl.toml"
SHARED_LIST = Path(__file__).parents[4] / "shared/data/warc/whirlwind/CC-MAIN-2024-22.warc.paths.gz"


def archive_lines(kind: str, count: int) -> list[str]:
    segment = f"crawl-data/{RELEASE}/segments/1707947473347.0"
    suffix = {"warc": "warc.gz", "wet": "warc.wet.gz", "wat": "warc.wat.gz"}[kind]
    return [f"{segment}/{kind}/CC-MAIN-20240220211055-20240221001055-{number:05d}.{suffix}" for number in range(count)]


def release_files(count: int = 20) -> dict[str, bytes]:
    """A release of ``count`` archives of each kind, by path below its base."""
    files = {}
    for kind in ("warc", "wet", "wat"):
        lines = archive_lines(kind, count)
        files |= {line: line.encode() for line in lines}
        files[f"crawl-data/{RELEASE}/{kind}.paths.gz"] = gzip.compress("\n".join([*lines, ""]).encode())
    return files


def release(base: str, paths: int | str = "all", **options: Any) -> list[InputUnit]:
    config = InputConfig(source="commoncrawl", release=RELEASE, base=base, paths=paths, **options)
    return list_units([config], "/")


def in_folder(folder: Path) -> str:
    for path, content in release_files().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return str(folder)


def on_server(web_server: Any) -> str:
    for path, content in release_files().items():
        web_server.put(path, content)
    return web_server.url


def test_a_release_over_http_is_the_release_in_a_folder(web_server: Any, tmp_path: Path) -> None:
    near, far = release(in_folder(tmp_path)), release(on_server(web_server))
    assert [unit.warc_file for unit in far] == archive_lines("warc", 20)
    assert [unit.location for unit in far] == [f"{web_server.url}/{line}" for line in archive_lines("warc", 20)]
    assert [unit.identity() for unit in near] == [unit.identity() for unit in far]
    assert [unit.unit for unit in near] == [unit.unit for unit in far]
    assert [unit.size_bytes for unit in near] == [unit.size_bytes for unit in far]
    assert all(unit.content_tag for unit in far)
    assert {(unit.source, unit.domain, unit.format) for unit in far} == {(RELEASE, RELEASE, "warc")}


@pytest.fixture
def s3(web_server: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The web server under the name of Amazon's: a bucket is a folder."""
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_REGION")
    for name in names:
        monkeypatch.setenv(name, "us-east-1" if "REGION" in name else "key")
    monkeypatch.setenv("AWS_ENDPOINT_URL", web_server.url)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return web_server


def test_a_release_over_s3(s3: Any) -> None:
    for path, content in release_files().items():
        s3.put(f"commoncrawl/{path}", content)
    far = release("s3://commoncrawl", 3, seed=1)
    assert [unit.location for unit in far] == [f"s3://commoncrawl/{unit.warc_file}" for unit in far]
    assert [storage.read_bytes(unit.location).decode() for unit in far] == [unit.warc_file for unit in far]
    assert [unit.size_bytes for unit in far] == [len(unit.warc_file) for unit in far]


def test_a_release_that_is_not_there_over_s3(s3: Any) -> None:
    s3.put("commoncrawl/other", b"")
    with pytest.raises(ConfigError, match=r"cannot read the list of paths s3://commoncrawl/crawl-data/.*warc.paths.gz"):
        release("s3://commoncrawl")


@pytest.mark.parametrize(("kind", "format_"), [("warc", "warc"), ("wet", "warc"), ("wat", "wat")])
def test_the_kind_of_archives(tmp_path: Path, kind: str, format_: str) -> None:
    units = release(in_folder(tmp_path), kind=kind, name="web")
    assert [unit.warc_file for unit in units] == archive_lines(kind, 20)
    assert {(unit.source, unit.format) for unit in units} == {("web", format_)}


def test_a_sample_is_drawn_by_its_seed(tmp_path: Path) -> None:
    base = in_folder(tmp_path)
    five = [unit.warc_file for unit in release(base, 5, seed=1)]
    assert len(set(five)) == 5
    assert five == [unit.warc_file for unit in release(base, 5, seed=1)]
    assert set(five) < {unit.warc_file for unit in release(base, 6, seed=1)}
    assert five != [unit.warc_file for unit in release(base, 5, seed=2)]
    assert len(release(base, 20)) == 20


def test_the_kinds_of_a_release_are_drawn_alike(tmp_path: Path) -> None:
    base = in_folder(tmp_path)
    drawn = [
        [re.search(r"-(\d{5})\.", unit.warc_file).group(1) for unit in release(base, 4, kind=kind, seed=3)]
        for kind in ("warc", "wet", "wat")
    ]
    assert drawn[0] == drawn[1] == drawn[2]


def test_what_is_drawn_does_not_depend_on_the_order_of_the_list() -> None:
    lines = archive_lines("warc", 50)
    assert draw(lines, 7, 3) == draw(reversed(lines), 7, 3)
    assert draw(lines, 50, 3) == lines


def test_more_files_than_the_release_has(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"paths = 21 of .* lists 20 files .*expected 21 or more; lower the number"):
        release(in_folder(tmp_path), 21)


def test_a_release_that_is_not_there(web_server: Any) -> None:
    with pytest.raises(ConfigError, match=rf"list of paths {web_server.url}/.*warc.paths.gz: .*404.*correct its name"):
        release(web_server.url)


def test_a_listed_file_that_is_not_there(web_server: Any) -> None:
    lines = archive_lines("warc", 2)
    web_server.put(f"crawl-data/{RELEASE}/warc.paths.gz", gzip.compress("\n".join(lines).encode()))
    web_server.put(lines[0], b"")
    with pytest.raises(ConfigError, match=f"{lines[1]}' is listed but not there; .*; correct the list or its base"):
        release(web_server.url)


def test_a_network_that_fails_may_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_files, "_RETRIES", http_files._RETRIES.new(total=0))
    with pytest.raises(RetryableError, match=r"http://127.0.0.1:9/.* cannot be read .*run again"):
        release("http://127.0.0.1:9")


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstandard.compress])
def test_a_list_of_paths_counts_from_its_folder(tmp_path: Path, compress: Any) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.warc.gz", "b[1].warc.gz", "in/c.warc.gz"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "list").write_bytes(compress(b"in/c.warc.gz\r\n\n  a.warc.gz\nb[1].warc.gz\na.warc.gz\n"))
    units = list_units([InputConfig(name="web", path_list="list", paths="all")], str(tmp_path))
    assert [unit.warc_file for unit in units] == ["a.warc.gz", "b[1].warc.gz", "in/c.warc.gz"]
    assert [unit.location for unit in units] == [f"{tmp_path}/{unit.warc_file}" for unit in units]
    (left,) = list_units(
        [InputConfig(name="web", path_list="list", paths="all", exclude=("*].*", "in/*"))], str(tmp_path)
    )
    assert left.warc_file == "a.warc.gz"


def test_absolute_lines_are_named_below_the_base(tmp_path: Path, web_server: Any) -> None:
    web_server.put("crawl/deep/a.warc.gz", b"")
    web_server.put("crawl/deep/b.warc.gz", b"")
    (tmp_path / "c.warc.gz").write_bytes(b"")
    lines = [f"{web_server.url}/crawl/deep/a.warc.gz", f"{tmp_path}/c.warc.gz", "deep/b.warc.gz"]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    config = InputConfig(name="web", path_list="list.txt", base=f"{web_server.url}/crawl", paths="all")
    units = list_units([config], str(tmp_path))
    assert [unit.warc_file for unit in units] == ["c.warc.gz", "deep/a.warc.gz", "deep/b.warc.gz"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; expected one path a line"),
        (b"\n \n", "is empty"),
        (gzip.compress(b"a", mtime=0)[:-4], "is no list of paths"),
        (b"\x28\xb5\x2f\xfd\x00", "is no list of paths"),
        (b"\xff\xfe", "is no list of paths"),
        (None, r"cannot read the list of paths .*correct its name"),
    ],
)
def test_what_is_no_list(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "list").write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_path_list(str(tmp_path / "list"))


@pytest.mark.skipif(not SHARED_LIST.exists(), reason="needs ../shared/data, which is not part of the repository")
def test_a_list_that_common_crawl_published() -> None:
    lines = read_path_list(str(SHARED_LIST))
    assert len(lines) == 300
    assert draw(lines, 300, 9) == sorted(lines)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"source": "commoncrawl", "name": "x", "paths": 5}, "without a release"),
        ({"source": "commoncrawl", "release": RELEASE, "paths": ("a",)}, "beside a list of paths"),
        ({"source": "commoncrawl", "release": RELEASE, "paths": 0}, "expected 1 or more files"),
        ({"source": "commoncrawl", "release": RELEASE, "paths": "all", "path_list": "x"}, "path_list beside a release"),
        ({"source": "commoncrawl", "release": RELEASE, "paths": "all", "seed": 1}, "seed without a sample to draw"),
        ({"source": "commoncrawl", "release": "2024-10", "paths": "all"}, "match pattern"),
        ({"source": "commoncrawl", "release": RELEASE, "paths": "all", "kind": "cdx"}, "'warc', 'wet' or 'wat'"),
        ({"name": "x", "paths": 5}, "without a list to take files from"),
        ({"name": "x", "paths": ()}, "paths is empty"),
        ({"name": "x", "paths": ("a",), "release": RELEASE}, "release without source"),
        ({"name": "x", "paths": ("a",), "kind": "wat"}, "kind without source"),
        ({"name": "x", "paths": ("a",), "base": "b"}, "base without a list"),
        ({"name": "x", "paths": ("a",), "seed": 3}, "seed without a sample"),
    ],
)
def test_keys_that_do_not_fit_together(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        InputConfig(**keys)


def test_other_releases_by_name() -> None:
    for name in ("CC-MAIN-2012", "CC-MAIN-2009-2010", "CC-NEWS/2024/01"):
        assert InputConfig(source="commoncrawl", release=name, paths=1).name == name


def test_the_example_draws_warc_and_wat_alike() -> None:
    config = load_run_config(EXAMPLE)
    warc, wat = config.input
    assert (warc.name, warc.paths, warc.seed) == (RELEASE, wat.paths, wat.seed)
    assert (warc.kind, wat.kind) == (None, "wat")
    assert config.page_metadata is not None
