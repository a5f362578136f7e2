"""Units in a process of their own, so that a page that crashes a parser costs that page alone.

The worker forks a child per unit and waits. If the child dies, the unit is done again in a new one, with care
(``pipeline/watch.py``); what the dead attempt wrote has names of its own and is never committed. So neither Spark nor
the driver notices: no task fails, no retry is used up, no other unit of the job is lost.

Source: none; Spark's own remedy is to run the task again up to ``spark.task.maxFailures`` times and to fail the job.
"""

from __future__ import annotations

import gc
from collections.abc import Callable

from pipeline.child_process import Trail, call_in_child
from pipeline.errors import WorkerDiedError
from pipeline.unit_of_work import Output, ProcessFunction, Unit, UnitResult, process_unit
from pipeline.watch import Watch

_MAX_UNEXPLAINED_DEATHS = 3


def process_isolated(
    unit: Unit, process: ProcessFunction, outputs: dict[str, Output], prepare: Callable[[], None]
) -> UnitResult:
    """As ``process_unit``, in child processes.

    Args:
        unit: as for ``process_unit``, like ``process`` and ``outputs``.
        process: given a ``Watch`` that it has to use.
        outputs: where it writes.
        prepare: loads, in this process, what children share; called before each unit.

    Raises:
        WorkerDiedError: if children keep dying and neither a page nor a record is found on which they do.
    """
    prepare()
    gc.freeze()  # else children's collections go through all that is loaded here, and copy its pages
    trail = Trail()
    deadly_records: dict[int, str] = {}
    suspect: int | None = None
    is_careful = False
    num_unexplained = 0
    while True:
        trail.clear()
        watch = Watch(trail, is_careful=is_careful, deadly_records=deadly_records)
        try:
            result: UnitResult = call_in_child(process_unit, unit, process, outputs, watch)
            return result
        except WorkerDiedError as death:
            record = trail.number
            if record is not None and record == suspect:
                deadly_records[record] = str(death)
            elif is_careful:
                num_unexplained += 1
            if num_unexplained == _MAX_UNEXPLAINED_DEATHS:
                raise WorkerDiedError(
                    f"{unit.name}: {death}, {num_unexplained + 1} times and not on one page or record; if the system "
                    f"is short of memory, give it fewer workers; otherwise leave this file out with exclude"
                ) from None
            suspect = record
            is_careful = True
