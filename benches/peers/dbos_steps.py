"""The work of the benches `chain`, `goals` and `short` with DBOS and its system database in SQLite; see run.py."""

import asyncio
import os
import sys
import time

from dbos import DBOS

import steps

folder, name, n = steps.asked(sys.argv)
DBOS(
    config={
        "name": "steps",
        "system_database_url": f"sqlite:///{os.path.join(folder, 'dbos.db')}",
        "run_admin_server": False,
        "log_level": "ERROR",
    }
)


@DBOS.step()
async def step(number: int) -> int:
    """A step that is over at once."""
    return number + 1


@DBOS.workflow()
async def chain(count: int) -> int:
    """So many steps, one after the other."""
    number = 0
    for _ in range(count):
        number = await step(number)
    return number


async def carry(count):
    """One run."""
    handle = await DBOS.start_workflow_async(chain, count)
    # The result is looked for every second unless told otherwise.
    end = await handle.get_result(polling_interval_sec=0.001)
    assert end == count, end


async def main():
    if name == "goals":
        begun = time.perf_counter()
        await asyncio.gather(*(carry(steps.STEPS) for _ in range(n)))
        return [time.perf_counter() - begun]
    seen = []
    for _ in range(1 if name == "chain" else steps.SHORT):
        begun = time.perf_counter()
        await carry(n)
        seen.append(time.perf_counter() - begun)
    return seen


DBOS.launch()
steps.tell(asyncio.run(main()))
DBOS.destroy()
