"""Check a run of the demo against examples/site/fates.toml: every page of the site must have met its right fate.

Usage: python examples/check_fates.py RUN
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds

FATES = Path(__file__).parent / "site" / "fates.toml"


def load_fates(path: Path = FATES) -> list[dict[str, Any]]:
    """One table per page: url, verdict, and where they apply stage, reason, kept_url, lang, redactions."""
    fates: list[dict[str, Any]] = tomllib.loads(path.read_text(encoding="utf-8"))["page"]
    return fates


def found_fates(run: Path) -> dict[str, list[dict[str, Any]]]:
    """What became of each URL in ``decisions/``, ``quarantine/`` and ``corpus/``; a URL may have been read twice."""
    decisions = ds.dataset(str(run / "decisions"), format="parquet").to_table().to_pylist()
    redactions = _redactions(run / "corpus")
    urls = {row["doc_id"]: row["url"] for row in decisions}
    found: dict[str, list[dict[str, Any]]] = {}
    for row in decisions:
        row["kept_url"] = urls.get(row["kept_doc_id"])
        row["redactions"] = redactions.get(row["doc_id"])
        found.setdefault(row["url"], []).append(row)
    quarantined = ds.dataset(str(run / "quarantine"), format="parquet").to_table().to_pylist()
    for row in quarantined:
        found.setdefault(row["url"], []).append({"verdict": "quarantined", "reason": row["error_class"]})
    return found


def _redactions(corpus: Path) -> dict[str, int]:
    table = ds.dataset(str(corpus), format="parquet", partitioning="hive").to_table(
        columns=["doc_id", "num_redactions"]
    )
    return dict(zip(table.column("doc_id").to_pylist(), table.column("num_redactions").to_pylist(), strict=True))


def differences(fates: list[dict[str, Any]], found: dict[str, list[dict[str, Any]]]) -> list[str]:
    """One line per page whose fate is not the right one."""
    wrong = []
    for fate in fates:
        rows = found.get(fate["url"], [])
        expected = {key: value for key, value in fate.items() if key not in ("why", "url")}
        if any(all(row.get(key) == value for key, value in expected.items()) for row in rows):
            continue
        seen = [{key: row.get(key) for key in expected} for row in rows] or "no row"
        wrong.append(f"{fate['url']}: expected {expected}, found {seen}")
    return wrong


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    fates = load_fates()
    wrong = differences(fates, found_fates(Path(sys.argv[1])))
    for line in wrong:
        print(line, file=sys.stderr)
    print(f"fates: {len(fates) - len(wrong)} of {len(fates)} pages of the site ended as examples/site/fates.toml says")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
