"""An answer of ``chaffinch what-if`` as text for a terminal: two funnels side by side, and the sample pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from jobs.explanation_text import print_table, printable
from jobs.what_if import Answer, Fate, SamplePage
from jobs.what_if_funnel import Funnel
from jobs.written_numbers import count, number, plural, share, size

MAX_REASONS_BY_LANGUAGE = 20
_NO_LANGUAGE = "none"


def render(answer: Answer, *, width_columns: int | None = None) -> str:
    """The answer as text for a terminal, with colours if stdout is one."""
    console = Console(width=width_columns, highlight=False, soft_wrap=False)
    with console.capture() as capture:
        _print_answer(console, answer)
    return capture.get().rstrip("\n")


def _print_answer(console: Console, answer: Answer) -> None:
    before, after = answer.before, answer.after
    console.print(f"{plural(answer.num_pages, 'page')}. {_sentence(answer)}", markup=False)
    if answer.as_the_run_did:
        console.print(
            f"Taken as the run made them: what {' and '.join(answer.as_the_run_did)} cut and dropped. Documents that "
            f"come in have not been compared, so some of them may yet be cut or dropped.",
            markup=False,
        )
    heads = ("before", "after", "change")
    print_table(console, "Dropped by stage", ("stage", *heads), list(_stage_rows(before, after)))
    print_table(console, "Dropped by reason", ("stage", "reason", *heads), list(_reason_rows(before, after)))
    languages = ("language", "kept before", "kept after", "change", "text before", "text after")
    print_table(console, "Kept by language", languages, list(_language_rows(before, after)))
    moved = list(_reason_and_language_rows(before, after))
    title = "Dropped by reason and language, largest changes first"
    if len(moved) > MAX_REASONS_BY_LANGUAGE:
        title += f" ({MAX_REASONS_BY_LANGUAGE} of {len(moved)}; --json prints all)"
    print_table(console, title, ("stage", "reason", "language", *heads), moved[:MAX_REASONS_BY_LANGUAGE])
    for page in answer.samples:
        _print_page(console, page)


def _sentence(answer: Answer) -> str:
    before, after = answer.before, answer.after
    return (
        f"Kept: {count(before.num_kept)} ({share(before.num_kept, answer.num_pages)}) before, {count(after.num_kept)} "
        f"({share(after.num_kept, answer.num_pages)}) after; {count(answer.num_gained)} come in, "
        f"{count(answer.num_lost)} go. Sampled text: {size(before.bytes_sampled)} before, {size(after.bytes_sampled)} "
        f"after, in {count(before.copies)} and {count(after.copies)} sequences."
    )


def _cells(before: int, after: int) -> tuple[str, str, str]:
    return count(before), count(after), "" if after == before else f"{after - before:+,}"


def _stage_rows(before: Funnel, after: Funnel) -> Iterator[tuple[str, ...]]:
    old, new = ({stage.stage: stage.num_dropped for stage in funnel.stages} for funnel in (before, after))
    for stage in dict.fromkeys([*new, *old]):
        dropped = old.get(stage, 0), new.get(stage, 0)
        if any(dropped):
            yield (stage, *_cells(*dropped))
    yield ("kept", *_cells(before.num_kept, after.num_kept))


def _reason_rows(before: Funnel, after: Funnel) -> Iterator[tuple[str, ...]]:
    old, new = (_by_reason(funnel) for funnel in (before, after))
    order = list(dict.fromkeys(stage.stage for funnel in (after, before) for stage in funnel.stages))
    for stage, reason in sorted(old.keys() | new.keys(), key=lambda key: (order.index(key[0]), key[1])):
        yield (stage, reason, *_cells(old[stage, reason], new[stage, reason]))


def _by_reason(funnel: Funnel) -> Counter[tuple[str, str]]:
    totals: Counter[tuple[str, str]] = Counter()
    for entry in funnel.reasons:
        totals[entry.stage, entry.reason] += entry.num_documents
    return totals


def _language_rows(before: Funnel, after: Funnel) -> Iterator[tuple[str, ...]]:
    old = {entry.lang: entry for entry in before.languages}
    for entry in sorted(after.languages, key=lambda entry: (-entry.num_kept, entry.lang or "")):
        was = old[entry.lang]
        if was.num_kept or entry.num_kept:
            cells = _cells(was.num_kept, entry.num_kept)
            yield (entry.lang or _NO_LANGUAGE, *cells, size(was.bytes_kept), size(entry.bytes_kept))


def _reason_and_language_rows(before: Funnel, after: Funnel) -> Iterator[tuple[str, ...]]:
    old, new = (
        Counter({(entry.stage, entry.reason, entry.lang): entry.num_documents for entry in funnel.reasons})
        for funnel in (before, after)
    )
    moved = [key for key in old.keys() | new.keys() if old[key] != new[key]]
    for key in sorted(moved, key=lambda key: (-abs(new[key] - old[key]), *(part or "" for part in key))):
        stage, reason, lang = key
        yield (stage, reason, lang or _NO_LANGUAGE, *_cells(old[key], new[key]))


def _print_page(console: Console, page: SamplePage) -> None:
    console.print()
    console.print(Text(printable(page.url or page.doc_id), style="bold"))
    facts = f"{page.doc_id}  {page.lang or _NO_LANGUAGE}  {size(page.num_bytes)}"
    console.print(Text(f"{facts}: {_fate(page.before)} → {_fate(page.after)}"))
    console.print(Text(printable(" ".join(page.text_head.split())), style="dim"))


def _fate(fate: Fate) -> str:
    if fate.stage is None:
        return "kept"
    said = f"{fate.stage}: {fate.reason}"
    if fate.value is not None:
        said += (
            f" ({number(fate.value)}" + ("" if fate.threshold is None else f" against {number(fate.threshold)}") + ")"
        )
    return said + (f" of {fate.kept_doc_id}" if fate.kept_doc_id else "")
