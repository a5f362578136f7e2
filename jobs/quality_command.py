"""``chaffinch quality``: models that judge text, learnt from examples."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from jobs.train_quality import QualityReport
    from pipeline.config import Config

_CONFIG = click.argument("config")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def quality() -> None:
    """Learn classifiers of text from examples."""


@quality.command("train")
@_CONFIG
@_JSON
def train(config: str, as_json: bool) -> None:
    """Train the fastText classifier of CONFIG (a TOML file) and print how well it does on held-out text."""
    from jobs.train_quality import TrainQualityConfig, train_quality
    from pipeline.config import load_toml

    settings = load_toml(config, TrainQualityConfig)
    report = train_quality(settings, os.getcwd())
    if as_json:
        _print_json(report)
        return
    click.echo(_shown(report))
    click.echo(f"{settings.output}/model.bin  sha256 {report.sha256}")


@quality.command("dsir")
@_CONFIG
@_JSON
def dsir(config: str, as_json: bool) -> None:
    """Fit the bags of words of importance resampling that CONFIG (a TOML file) describes."""
    from jobs.fit_dsir import FitDsirConfig, fit_dsir
    from pipeline.config import load_toml

    settings = load_toml(config, FitDsirConfig)
    report = fit_dsir(settings, os.getcwd())
    if as_json:
        _print_json(report)
        return
    click.echo(f"target {report.target_texts:,} texts, {report.target_features:,} words and pairs")
    click.echo(f"raw    {report.raw_texts:,} texts, {report.raw_features:,} words and pairs")
    click.echo(f"{settings.output}  sha256 {report.sha256}")


@quality.command("regress")
@_CONFIG
def regress(config: str) -> None:
    """Fit the regression head on embeddings that CONFIG (a TOML file) describes; prints its report as JSON."""
    from jobs.fit_regression import FitRegressionConfig, fit_regression
    from pipeline.config import load_toml

    report = fit_regression(load_toml(config, FitRegressionConfig), os.getcwd())
    _print_json(report)


def _print_json(report: Config) -> None:
    click.echo(json.dumps(report.model_dump(mode="json"), indent=2))


def _shown(report: QualityReport) -> str:
    """The report as lines of text."""
    held_out = report.held_out
    lines = [
        f"{kind.label:<12} {kind.num_train:>9,} training  {kind.num_held_out:>8,} held out  ({kind.read:,} read, "
        f"{kind.blank:,} blank, {kind.copies:,} copies, {kind.unreadable:,} unreadable)"
        for kind in (report.positive, report.negative)
    ]
    lines.append(f"AUC {held_out.roc_auc:.4f}   average precision {held_out.average_precision:.4f}")
    lines.append(f"{'threshold':>12} {'precision':>10} {'recall':>8} {'F1':>8} {'negatives kept':>15}")
    for row in (*held_out.table, held_out.best_f1):
        precision = "–" if row.precision is None else f"{row.precision:.4f}"
        lines.append(
            f"{row.threshold:>12.4f} {precision:>10} {row.recall:>8.4f} {row.f1:>8.4f} {row.negatives_kept:>15.4f}"
        )
    lines[-1] += "   best F1"
    return "\n".join(lines)
