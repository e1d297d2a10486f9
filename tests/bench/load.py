"""The load: submitters in a closed loop, each waiting until its task is accepted, and the time until all are done.

`python -m tests.bench.load SYSTEM COUNT SUBMITTERS [RATE]` in a process of its own; one JSON object on stdout.
"""

import asyncio
import json
import os
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import aiohttp
import asyncpg
import orjson
import uvloop

Submit = Callable[[], Awaitable[object]]
_BODY = orjson.dumps({"kind": "noop"})


async def closed_loop(count: int, submitters: int, submit: Submit) -> float:
    """Seconds that `submitters` need to get `count` tasks accepted, one at a time each."""
    left = iter(range(count))

    async def one() -> None:
        for _ in left:
            await submit()

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(submitters)))
    return time.perf_counter() - began


async def ours(count: int, submitters: int, rate: float) -> dict[str, float]:
    async with aiohttp.ClientSession() as session:
        key = {"api_key": os.environ["DEBORCH_API_KEY"]}
        async with session.post(f"{os.environ['DEBORCH_AUTH_URL']}/api/v1/token", json=key) as response:
            token = (await response.json())["access_token"]
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        url = f"{os.environ['DEBORCH_HUB_URL']}/api/v1/tasks"

        async def submit() -> int:
            async with session.post(url, data=_BODY, headers=headers) as response:
                if response.status != 201:
                    raise RuntimeError(await response.text())
                return int(orjson.loads(await response.read())["id"])

        if rate:
            return await open_loop(count, rate, submit)
        await closed_loop(submitters * 2, submitters, submit)
        database = await asyncpg.connect(os.environ["BENCH_HUB_DSN"])
        newest = await database.fetchval("SELECT max(id) FROM task")
        began = time.perf_counter()
        await closed_loop(count, submitters, submit)
        unfinished = "SELECT count(*) FROM task WHERE id > $1 AND state <> 'completed'"
        while await database.fetchval(unfinished, newest):
            await asyncio.sleep(0.02)
        await database.close()
        return {"seconds": time.perf_counter() - began}


async def open_loop(count: int, rate: float, submit: Submit) -> dict[str, float]:
    """Submit at a steady rate; the time from the start of each submit to the start on its builder."""
    path = Path(os.environ["BENCH_STARTS"])
    started: dict[int, float] = {}
    submitted: dict[int, float] = {}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        path.unlink(missing_ok=True)
        receiver.bind(str(path))
        receiver.setblocking(False)

        def receive() -> None:
            task_id, at = receiver.recv(200).split()
            started[int(task_id)] = float(at)

        asyncio.get_running_loop().add_reader(receiver.fileno(), receive)

        async def one() -> None:
            began = time.perf_counter()
            task_id = await submit()  # type: ignore[misc]
            submitted[int(task_id)] = began  # type: ignore[call-overload]

        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
                group.create_task(one())
        await asyncio.sleep(1)
        asyncio.get_running_loop().remove_reader(receiver.fileno())
    waits = sorted(started[task_id] - at for task_id, at in submitted.items() if task_id in started)
    return {
        "started": len(waits) / count,
        "p50_ms": 1000 * waits[len(waits) // 2],
        "p99_ms": 1000 * waits[min(len(waits) - 1, int(len(waits) * 0.99))],
    }


async def celery(count: int, submitters: int, _: float) -> dict[str, float]:
    from tests.bench.peers.celery_app import noop

    def run(share: int) -> None:
        results = [noop.delay() for _ in range(share)]
        for result in results:
            result.get(timeout=120)

    def all_threads(total: int) -> float:
        began = time.perf_counter()
        with ThreadPoolExecutor(submitters) as threads:
            list(threads.map(run, [total // submitters] * submitters))
        return time.perf_counter() - began

    await asyncio.to_thread(all_threads, submitters * 2)
    return {"seconds": await asyncio.to_thread(all_threads, count)}


async def procrastinate(count: int, submitters: int, _: float) -> dict[str, float]:
    from tests.bench.peers.procrastinate_app import app, noop

    database = await asyncpg.connect(os.environ["BENCH_DSN"])
    async with app.open_async():
        await closed_loop(submitters * 2, submitters, noop.defer_async)
        began = time.perf_counter()
        await closed_loop(count, submitters, noop.defer_async)
        while await database.fetchval("SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"):
            await asyncio.sleep(0.02)
        seconds = time.perf_counter() - began
    await database.close()
    return {"seconds": seconds}


async def taskiq(count: int, submitters: int, _: float) -> dict[str, float]:
    from tests.bench.peers.taskiq_app import broker, noop

    done = 0
    path = Path(os.environ["BENCH_DONE"])
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(path))
        receiver.setblocking(False)

        def receive() -> None:
            nonlocal done
            receiver.recv(16)
            done += 1

        asyncio.get_running_loop().add_reader(receiver.fileno(), receive)
        await broker.startup()
        warm = submitters * 2
        await closed_loop(warm, submitters, noop.kiq)
        while done < warm:
            await asyncio.sleep(0.01)
        began = time.perf_counter()
        await closed_loop(count, submitters, noop.kiq)
        while done < warm + count:
            await asyncio.sleep(0.01)
        seconds = time.perf_counter() - began
        asyncio.get_running_loop().remove_reader(receiver.fileno())
        await broker.shutdown()
    return {"seconds": seconds}


SYSTEMS = {"ours": ours, "celery": celery, "procrastinate": procrastinate, "taskiq": taskiq}

if __name__ == "__main__":
    system, wanted, at_once, *more = sys.argv[1:]
    outcome = uvloop.run(SYSTEMS[system](int(wanted), int(at_once), float(more[0]) if more else 0.0))
    print(json.dumps(outcome))
