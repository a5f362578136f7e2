"""Figures of a sweep: loss over compute and size, the fitted law, differences between two variants."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from jobs.report_figures import DROPPED, KEPT, LOST, MUTED, SECOND, Figure, figure_of
from trainer.scaling.decision import Decision
from trainer.scaling.frontier import SAME_BUDGET, groups_of
from trainer.scaling.run_table import SweepRow
from trainer.scaling.surface import ScalingFit, Target

_COLOURS = (KEPT, DROPPED, SECOND, LOST, MUTED)
_HEIGHT_PIXELS = 340


def loss_over_flops(name: str, rows: Sequence[SweepRow]) -> Figure:
    """Bits per byte over training compute, a line for each variant and size, seeds averaged."""
    plot = go.Figure()
    for variant, colour in _colours(rows):
        for position, (size, points) in enumerate(_means(rows, variant, "num_params", "flops")):
            plot.add_scatter(
                x=[x for x, _ in points],
                y=[y for _, y in points],
                mode="lines+markers",
                name=variant,
                legendgroup=variant,
                showlegend=position == 0,
                line={"color": colour, "width": 1.5},
                hovertemplate=f"{variant}, N = {size:,.0f}<br>%{{x:.2e}} FLOPs: %{{y:.4f}}<extra></extra>",
            )
    return _log_axes(name, "Bits per byte over compute", plot, "FLOPs, 6 N D")


def loss_over_size(name: str, rows: Sequence[SweepRow]) -> Figure | None:
    """Bits per byte over parameters, a line for each variant and budget; None where no two sizes share a budget."""
    plot = go.Figure()
    for variant, colour in _colours(rows):
        own = [row for row in rows if row.variant == variant]
        drawn = 0
        for group in groups_of(np.log([row.flops for row in own]), 4 * SAME_BUDGET):
            points = _average([(own[index].num_params, own[index].bits_per_byte) for index in group])
            if len(points) < 2:
                continue
            plot.add_scatter(
                x=[x for x, _ in points],
                y=[y for _, y in points],
                mode="lines+markers",
                name=variant,
                legendgroup=variant,
                showlegend=drawn == 0,
                line={"color": colour, "width": 1.5},
                hovertemplate=f"{variant}, {own[group[0]].flops:.1e} FLOPs<br>N = %{{x:,}}: %{{y:.4f}}<extra></extra>",
            )
            drawn += 1
    if not plot.data:
        return None
    return _log_axes(name, "Bits per byte over size, at about equal compute", plot, "N")


def fitted_frontier(
    name: str, rows: Sequence[SweepRow], fits: dict[str, tuple[ScalingFit, Target]], target: float
) -> Figure:
    """Loss of each run, and the fitted loss of the best N and D of each budget up to the target, with its interval."""
    plot = go.Figure()
    for variant, colour in _colours(rows):
        own = [row for row in rows if row.variant == variant]
        plot.add_scatter(
            x=[row.flops for row in own],
            y=[row.loss for row in own],
            mode="markers",
            name=variant,
            marker={"color": colour, "size": 6},
            hovertemplate=f"{variant}: %{{y:.4f}} at %{{x:.2e}} FLOPs<extra></extra>",
        )
        if variant not in fits:
            continue
        fitted, at = fits[variant]
        budgets = np.geomspace(min(row.flops for row in own), target, 60)
        plot.add_scatter(
            x=budgets.tolist(),
            y=[fitted.loss(*fitted.optimum(float(budget))) for budget in budgets],
            mode="lines",
            showlegend=False,
            line={"color": colour, "width": 1.5, "dash": "dot"},
            hoverinfo="skip",
        )
        low, high = at.loss_interval or (at.loss, at.loss)
        plot.add_scatter(
            x=[target],
            y=[at.loss],
            mode="markers",
            showlegend=False,
            marker={"color": colour, "size": 9, "symbol": "diamond"},
            error_y={"type": "data", "symmetric": False, "array": [high - at.loss], "arrayminus": [at.loss - low]},
            hovertemplate=f"{variant} at the target: %{{y:.4f}}<extra></extra>",
        )
    return _log_axes(name, "Loss, nats per token: runs, and the best that the law allows", plot, "FLOPs, 6 N D")


def differences(name: str, decision: Decision) -> Figure:
    """Relative difference with its interval, at each budget and the target."""
    plot = go.Figure()
    found = [*decision.sizes, *([decision.target] if decision.target else [])]
    intervals = [at.relative_interval or (at.relative, at.relative) for at in found]
    plot.add_scatter(
        x=[at.flops for at in found],
        y=[at.relative for at in found],
        mode="markers",
        marker={"color": [SECOND if at is decision.target else KEPT for at in found], "size": 8},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [high - at.relative for at, (_, high) in zip(found, intervals, strict=True)],
            "arrayminus": [at.relative - low for at, (low, _) in zip(found, intervals, strict=True)],
        },
        hovertemplate="%{y:+.3%} at %{x:.2e} FLOPs<extra></extra>",
    )
    plot.add_shape(type="line", x0=0, x1=1, xref="paper", y0=0, y1=0, line={"color": MUTED, "dash": "dot"})
    plot.update_layout(showlegend=False)
    plot.update_yaxes(tickformat="+.2%", title={"text": "relative difference"})
    note = "The last point is the extrapolation." if decision.target else ""
    return _log_axes(name, f"Difference in bits per byte, {decision.domain}", plot, "FLOPs, 6 N D", note=note)


def _log_axes(name: str, title: str, plot: go.Figure, x_title: str, *, note: str = "") -> Figure:
    plot.update_xaxes(type="log", title={"text": x_title}, exponentformat="power")
    return figure_of(name, title, plot, height_pixels=_HEIGHT_PIXELS, note=note)


def _colours(rows: Sequence[SweepRow]) -> list[tuple[str, str]]:
    variants = sorted({row.variant for row in rows})
    return [(variant, _COLOURS[position % len(_COLOURS)]) for position, variant in enumerate(variants)]


def _means(rows: Sequence[SweepRow], variant: str, group: str, x: str) -> list[tuple[float, list[tuple[float, float]]]]:
    """For each value of ``group`` the mean bits per byte by ``x``, both rising."""
    groups: dict[float, list[tuple[float, float]]] = defaultdict(list)
    for row in rows:
        if row.variant == variant:
            groups[getattr(row, group)].append((getattr(row, x), row.bits_per_byte))
    return [(value, _average(points)) for value, points in sorted(groups.items())]


def _average(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    by_x: dict[float, list[float]] = defaultdict(list)
    for x, y in points:
        by_x[x].append(y)
    return [(x, float(np.mean(found))) for x, found in sorted(by_x.items())]
