"""The page of a sweep: what was trained, how loss falls, the fitted law with its extrapolation, and the decisions."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations

import numpy as np

from jobs import sweep_figures
from jobs.report import render_page
from jobs.report_page import PageTable, Section, num, text
from jobs.scaling import answer
from jobs.written_numbers import count, plural
from pipeline import storage
from pipeline.errors import ConfigError
from trainer.scaling import chinchilla, surface
from trainer.scaling.decision import Decision
from trainer.scaling.run_table import OVERALL, SweepRow, compare_variants, read_sweep
from trainer.sweep.sweep_config import SweepConfig

REPORT = "report/index.html"
_RESAMPLES = 200


def write_sweep_report(config: SweepConfig, *, target_flops: float | None = None) -> str:
    """Write ``report/index.html`` of a sweep from its table of runs, finished or not.

    Args:
        config: the sweep.
        target_flops: budget to extrapolate to; None: 100 times that of the largest run.

    Returns:
        Path or URL of the page.

    Raises:
        ConfigError: if no run is finished.
    """
    table = storage.join(config.output, "runs.csv")
    rows = read_sweep(table)
    if not rows:
        raise ConfigError(f"{table} has no run yet; expected one or more; run `chaffinch scaling run` first")
    overall = [row for row in rows if row.domain == OVERALL]
    target = target_flops or 100 * max(row.flops for row in overall)
    decisions = {
        (a.name, b.name): compare_variants(table, a.name, b.name, target_flops=target)
        for a, b in combinations(config.variant, 2)
        if _pairs(overall, a.name, b.name)
    }
    sections = [_runs(overall), _curves(overall), _laws(overall, target), *_decisions(decisions)]
    best = min(overall, key=lambda row: row.bits_per_byte)
    page = render_page(
        title="Sweep of " + ", ".join(variant.name for variant in config.variant),
        headline=(
            f"{plural(len(overall), 'run')} of {plural(len({row.num_params for row in overall}), 'size')}; the best, "
            f"{best.variant} at {count(best.num_params)} parameters and {count(best.tokens)} tokens, needs "
            f"{best.bits_per_byte:.4f} bits per byte."
        ),
        figures_of_merit=[],
        sections=sections,
    )
    path = storage.join(config.output, REPORT)
    storage.write_bytes(path, page.encode("utf-8"))
    return path


def _pairs(rows: list[SweepRow], a: str, b: str) -> bool:
    places = defaultdict(set)
    for row in rows:
        places[row.variant].add((row.flops, row.seed))
    return bool(places[a] & places[b])


def _runs(rows: list[SweepRow]) -> Section:
    points: dict[tuple[str, int, int], list[SweepRow]] = defaultdict(list)
    for row in rows:
        points[row.variant, row.num_params, row.tokens].append(row)
    table = [
        (variant, count(num_params), count(tokens), f"{found[0].flops:.2e}", str(len(found)),
         f"{np.mean([row.bits_per_byte for row in found]):.4f}",
         f"{np.std([row.bits_per_byte for row in found], ddof=1):.4f}" if len(found) > 1 else "–")
        for (variant, num_params, tokens), found in sorted(points.items())
    ]  # fmt: skip
    columns = (
        text("variant"), num("N"), num("tokens"), num("FLOPs"), num("seeds"), num("bits per byte"), num("sd of seeds"),
    )  # fmt: skip
    sentence = "Held-out bits per byte of every size and token count; N counts the parameters beside the embeddings."
    return Section("runs", "Runs", [sentence], tables=[PageTable(columns, table)])


def _curves(rows: list[SweepRow]) -> Section:
    figures = (sweep_figures.loss_over_flops("plot-curves", rows), sweep_figures.loss_over_size("plot-isoflop", rows))
    return Section(
        "curves",
        "Loss over compute and size",
        ["First a line for each size of a variant; then, where sizes share a budget, the valley over sizes."],
        [figure for figure in figures if figure is not None],
    )


def _laws(rows: list[SweepRow], target: float) -> Section:
    fits: dict[str, tuple[surface.ScalingFit, surface.Target]] = {}
    notes = []
    for variant in sorted({row.variant for row in rows}):
        own = [row for row in rows if row.variant == variant]
        n, d, loss = (np.array([getattr(row, name) for row in own]) for name in ("num_params", "tokens", "loss"))
        try:
            fitted, samples = chinchilla.bootstrap(chinchilla.fit(n, d, loss), n, d, loss, resamples=_RESAMPLES)
            fits[variant] = (fitted, surface.predict(fitted, target, samples))
        except ConfigError as error:
            notes.append(f"{variant}: {error}.")
    table = [
        (variant, f"{fit.E:.3f}", f"{fit.alpha:.3f}", f"{fit.beta:.3f}", f"{fit.a:.3f}", _range(fit.a_interval),
         f"{at.n:.3g}", f"{at.d:.3g}", f"{at.loss:.4f}", _range(at.loss_interval))
        for variant, (fit, at) in fits.items()
    ]  # fmt: skip
    columns = (
        text("variant"), num("E"), num("alpha"), num("beta"), num("a"), num("95 %"), num("best N"), num("best D"),
        num("loss there"), num("95 %"),
    )  # fmt: skip
    sentence = (
        f"L(N, D) = E + A/N^alpha + B/D^beta in nats per token, by variable projection; the last four columns are "
        f"what it says of {target:.2e} FLOPs. Intervals are of {_RESAMPLES} bootstrap resamples of the runs."
    )
    shown = [sweep_figures.fitted_frontier("plot-fit", rows, fits, target)] if fits else []
    return Section("fit", "Fitted law", [sentence, *notes], shown, [PageTable(columns, table)] if table else [])


def _range(interval: tuple[float, float] | None) -> str:
    return "–" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"


def _decisions(decisions: dict[tuple[str, str], list[Decision]]) -> list[Section]:
    sections = []
    for number, ((a, b), found) in enumerate(decisions.items()):
        rows = [
            (decision.domain, f"{at.flops:.2e}" + (" (target)" if at is decision.target else ""), str(at.num_pairs),
             "–" if at.bits_per_byte is None else f"{at.bits_per_byte:+.5f}", f"{at.relative:+.3%}",
             "–" if at.relative_interval is None else "{:+.3%} to {:+.3%}".format(*at.relative_interval),
             "–" if at.probability_a_wins is None else f"{at.probability_a_wins:.3f}", answer(at, a, b))
            for decision in found
            for at in (*decision.sizes, *([decision.target] if decision.target else []))
        ]  # fmt: skip
        columns = (
            text("held-out text"), num("FLOPs"), num("pairs"), num("bits per byte"), num("relative"), num("95 %"),
            num(f"P({a} wins)"), text("answer"),
        )  # fmt: skip
        sections.append(
            Section(
                f"decision-{number}",
                f"{a} against {b}",
                [f"Paired by seed and size; negative: {a} needs fewer bits. Extrapolated along ln C."],
                [sweep_figures.differences(f"plot-decision-{number}", found[0])],
                [PageTable(columns, rows)],
            )
        )
    return sections
