"""The work of the benches `chain`, `goals` and `short` with LangGraph and its checkpoints in SQLite; see run.py."""

import asyncio
import os
import sys
import time
import typing

import aiosqlite
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph

import steps


class State(typing.TypedDict):
    """What is carried from step to step: the number of the last one."""

    step: int


def chain(count, saver):
    """A graph of so many nodes, one after the other."""
    graph = StateGraph(State)
    for number in range(count):
        graph.add_node(f"s{number}", lambda state: {"step": state["step"] + 1})
        graph.add_edge(f"s{number - 1}" if number else START, f"s{number}")
    graph.add_edge(f"s{count - 1}", END)
    return graph.compile(checkpointer=saver)


async def carry(graph, count, thread):
    """One run; each checkpoint is written before the next step."""
    config = {"configurable": {"thread_id": thread}, "recursion_limit": count + 5}
    end = await graph.ainvoke({"step": 0}, config, durability="sync")
    assert end["step"] == count, end


async def main(folder, name, n):
    async with aiosqlite.connect(os.path.join(folder, "graph.db")) as conn:
        saver = AsyncSqliteSaver(conn)
        await saver.setup()
        # setup() asks for WAL; how it syncs is as SQLite has it by itself, FULL, or as the level has it.
        await conn.execute(f"PRAGMA synchronous = {'NORMAL' if name == 'chain' else 'FULL'}")
        if name == "goals":
            graph = chain(steps.STEPS, saver)
            begun = time.perf_counter()
            await asyncio.gather(*(carry(graph, steps.STEPS, f"r{number}") for number in range(n)))
            return [time.perf_counter() - begun]
        graph = chain(n, saver)
        seen = []
        for number in range(1 if name == "chain" else steps.SHORT):
            begun = time.perf_counter()
            await carry(graph, n, f"r{number}")
            seen.append(time.perf_counter() - begun)
        return seen


steps.tell(asyncio.run(main(*steps.asked(sys.argv))))
