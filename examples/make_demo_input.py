"""Write the input of ``make demo``: archives of a hand-written site, of Python's own documentation, and some notes.

    python examples/make_demo_input.py OUTPUT_DIR

Files: ``site.warc.gz`` (``examples/site/``; the right fate of each page is in ``fates.toml`` there),
``site-broken.warc.gz`` (pages of that site with damage between them), ``python-docs-0000?.warc.gz`` (bulk), and
``notes.jsonl.zst`` (documents that come as text). The bytes depend on the sources and on the Python installation
alone. ``input.json`` records both and the files' hashes, so that a second call finds its work done.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import json
import sys
import time
import tomllib
from pathlib import Path

import zstandard
from demo_input.python_docs import render_documentation
from demo_input.site import BROKEN_ARCHIVE, SITE_ARCHIVE, Site
from demo_input.warc import WarcRecord, archive_members, http_response

EXAMPLES = Path(__file__).resolve().parent
DOCUMENTATION_ARCHIVES = tuple(f"python-docs-{number:05d}.warc.gz" for number in range(3))
NOTES = "notes.jsonl.zst"
FILES = (SITE_ARCHIVE, BROKEN_ARCHIVE, *DOCUMENTATION_ARCHIVES, NOTES)
RECEIPT = "input.json"


def main(arguments: list[str] | None = None) -> None:
    """Command line: write the files, or say that they are there already."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("output_dir", type=Path, metavar="OUTPUT_DIR", help="folder for the files; made if absent")
    parser.add_argument("--force", action="store_true", help="write them even if they are present and unchanged")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    sources = sources_fingerprint()
    if not options.force and is_up_to_date(options.output_dir, sources):
        print(f"demo input in {options.output_dir} is present and unchanged: skipped", file=sys.stderr)
        return
    num_bytes = write_input(options.output_dir, sources)
    seconds = time.monotonic() - started
    print(f"demo input: {len(FILES)} files, {num_bytes / 1e6:.1f} MB in {seconds:.1f} s", file=sys.stderr)


def write_input(output_dir: Path, sources: str) -> int:
    """Write all files into ``output_dir``, the receipt last.

    Args:
        output_dir: made if absent; a file of an earlier call is replaced.
        sources: what ``sources_fingerprint`` said, for the receipt.

    Returns:
        Bytes written, the receipt not counted.
    """
    output_dir.mkdir(parents=True, exist_ok=True)
    (output_dir / RECEIPT).unlink(missing_ok=True)
    site = Site(EXAMPLES / "site")
    contents = {
        SITE_ARCHIVE: site.archive(),
        BROKEN_ARCHIVE: site.broken_archive(),
        **documentation_archives(),
        NOTES: notes(),
    }
    for name, content in contents.items():
        (output_dir / name).write_bytes(content)
    receipt = {"sources": sources, "sha256": {name: _sha256(content) for name, content in contents.items()}}
    (output_dir / RECEIPT).write_text(json.dumps(receipt, indent=2) + "\n", encoding="utf-8")
    return sum(map(len, contents.values()))


def documentation_archives() -> dict[str, bytes]:
    """Archive name to bytes; pages go to the archives in turn, so that these are of about equal size."""
    records = [
        WarcRecord(
            type="response",
            url=page.url,
            content_type="application/http; msgtype=response",
            block=http_response(page.html.encode(), content_type="text/html; charset=utf-8"),
        )
        for page in render_documentation()
    ]
    count = len(DOCUMENTATION_ARCHIVES)
    return {
        name: b"".join(archive_members(name, records[start::count]))
        for start, name in enumerate(DOCUMENTATION_ARCHIVES)
    }


def notes() -> bytes:
    """The notes of ``notes.toml`` as JSON lines, one zstd frame."""
    document = tomllib.loads((EXAMPLES / "site" / "notes.toml").read_text(encoding="utf-8"))
    lines = [json.dumps({**note, "text": note["text"].strip()}, ensure_ascii=False) for note in document["note"]]
    return zstandard.ZstdCompressor().compress("".join(f"{line}\n" for line in lines).encode())


def sources_fingerprint() -> str:
    """Hex digest of everything that the output is made from: our sources, and the Python installation."""
    digest = hashlib.sha256(sys.version.encode())
    for distribution in sorted(f"{found.name} {found.version}" for found in importlib.metadata.distributions()):
        digest.update(f"{distribution}\n".encode())
    sources = [Path(__file__).resolve(), *EXAMPLES.glob("demo_input/*.py"), *EXAMPLES.glob("site/**/*.*")]
    for path in sorted(sources):
        digest.update(f"{path.relative_to(EXAMPLES)} {_sha256(path.read_bytes())}\n".encode())
    return digest.hexdigest()


def is_up_to_date(output_dir: Path, sources: str) -> bool:
    """Whether ``output_dir`` holds the files that ``sources`` gives, with the hashes that the receipt recorded."""
    receipt_path = output_dir / RECEIPT
    if not receipt_path.is_file():
        return False
    receipt = json.loads(receipt_path.read_text(encoding="utf-8"))
    if receipt["sources"] != sources or set(receipt["sha256"]) != set(FILES):
        return False
    return all(
        (output_dir / name).is_file() and _sha256((output_dir / name).read_bytes()) == sha256
        for name, sha256 in receipt["sha256"].items()
    )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    main()
