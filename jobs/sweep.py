"""``chaffinch scaling plan`` and ``run``: a sweep's plan on disk, and sittings that work through it."""

from __future__ import annotations

from collections.abc import Callable

from jobs.sweep_variants import build_variants
from pipeline import storage
from pipeline.config import load_toml
from pipeline.errors import ConfigError
from pipeline.hashing import fingerprint
from trainer.sweep.plan import PlannedRun, SweepPlan, make_plan
from trainer.sweep.queue import SweepOutcome, run_sweep
from trainer.sweep.sweep_config import SweepConfig, SweepFile

_PLAN = "plan.json"


def load_sweep(path: str) -> SweepConfig:
    """The table ``[sweep]`` of a TOML file.

    Raises:
        ConfigError: one line per fault.
    """
    return load_toml(path, SweepFile).sweep


def plan_sweep(config: SweepConfig, *, again: bool = False) -> SweepPlan:
    """The plan that lies in the sweep's folder, or a new one, written there.

    A plan is made once: with a budget in hours it depends on how fast the device was when it was measured.

    Args:
        config: the sweep; variants that are changes of its base are made first.
        again: make a new plan in any case; runs that it shares with the old one stay finished.

    Raises:
        ConfigError: if the plan that lies there is of another config.
    """
    config = build_variants(config)
    path = storage.join(config.output, _PLAN)
    identity = fingerprint(config.model_dump(mode="json", exclude={"output", "parallel_runs"}))
    if storage.exists(path) and not again:
        record = storage.read_json(path)
        if record["identity"] != identity:
            raise ConfigError(
                f"{path} was made from another [sweep]; expected the plan of this config; `chaffinch scaling "
                f"plan --again` plans anew (runs that both plans have stay finished), or choose another output"
            )
        return SweepPlan.model_validate(record["plan"])
    plan = make_plan(config)
    storage.write_json(path, {"identity": identity, "plan": plan.model_dump(mode="json")})
    return plan


def work_through(
    config: SweepConfig,
    *,
    max_minutes: float | None = None,
    on_finished: Callable[[PlannedRun, str | None], None] | None = None,
) -> SweepOutcome:
    """Train what of the plan is not trained; as ``trainer.sweep.queue.run_sweep``."""
    return run_sweep(
        plan_sweep(config),
        config.output,
        parallel_runs=config.parallel_runs,
        max_seconds=None if max_minutes is None else 60 * max_minutes,
        on_finished=on_finished,
    )


def describe_plan(plan: SweepPlan) -> str:
    """The grid, a line per size and token count, and what it costs."""
    lines = [f"{'N':>14} {'tokens':>16} {'steps':>8} {'FLOPs':>10} {'runs':>6} {'hours':>8}"]
    points: dict[tuple[int, int], list[PlannedRun]] = {}
    for run in plan.runs:
        points.setdefault((run.num_params, run.num_tokens), []).append(run)
    for (num_params, num_tokens), runs in points.items():
        flops, seconds = sum(run.flops for run in runs), sum(run.seconds for run in runs)
        lines.append(
            f"{num_params:>14,} {num_tokens:>16,} {runs[0].train.steps:>8,} {flops:>10.2e} {len(runs):>6} "
            f"{seconds / 3600:>8.2f}"
        )
    lines.append(f"{len(plan.runs)} runs, {plan.flops:.3g} FLOPs, {plan.seconds / 3600:.2f} hours one after the other")
    lines += [f"left out: {reason}" for reason in plan.left_out]
    return "\n".join(lines)
