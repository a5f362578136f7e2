"""``chaffinch scaling fit``: a CSV of training runs to a fitted loss surface."""

from __future__ import annotations

from typing import Any

from trainer.scaling_fit import Method, bootstrap, fit
from trainer.scaling_points import read_points


def fit_points(
    *,
    points: str,
    n_column: str,
    loss_column: str,
    d_column: str | None,
    flops_column: str | None,
    method: Method,
    drop_highest: int,
    resamples: int,
) -> dict[str, Any]:
    """Fit the runs in ``points``.

    Args:
        points: path or URL of a CSV file, one training run a row.
        n_column, loss_column, d_column, flops_column, drop_highest: as ``trainer.scaling_points.read_points``.
        method: as ``trainer.scaling_fit.fit``.
        resamples: of the bootstrap for the interval of ``a``; 0 gives none.

    Returns:
        The fields of ``trainer.scaling_fit.ScalingFit``, JSON-ready.

    Raises:
        ConfigError: if the file cannot be used or has too few runs.
    """
    n, d, loss = read_points(
        points,
        n_column=n_column,
        loss_column=loss_column,
        d_column=d_column,
        flops_column=flops_column,
        drop_highest=drop_highest,
    )
    fitted = fit(n, d, loss, method)
    if resamples:
        fitted = bootstrap(fitted, n, d, loss, resamples=resamples)
    return fitted.model_dump(mode="json")
