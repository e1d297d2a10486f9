"""The load: submitters in a closed loop, each waiting until its task is accepted, and the time until all are done.

`python -m tests.bench.load SYSTEM COUNT SUBMITTERS RATE` in a process of its own; one JSON object on stdout. A rate
above 0 submits COUNT tasks at that rate and measures how long each takes to start.
"""

import asyncio
import json
import multiprocessing
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp
import asyncpg
import orjson
import uvloop

Submit = Callable[[], Awaitable[int]]
_BODY = orjson.dumps({"kind": "noop"})
_POLL_S = 0.02
_START_TIMEOUT_S = 60.0


async def closed_loop(count: int, submitters: int, submit: Callable[[], Awaitable[object]]) -> None:
    """Get `count` tasks accepted, one at a time for each submitter."""
    left = iter(range(count))

    async def one() -> None:
        for _ in left:
            await submit()

    await asyncio.gather(*(one() for _ in range(submitters)))


async def ours(count: int, submitters: int, rate: float) -> dict[str, float]:
    database = await asyncpg.connect(os.environ["BENCH_HUB_DSN"])
    unfinished = "SELECT EXISTS (SELECT FROM task WHERE id > $1 AND state <> 'completed')"

    async with submitting() as submit:
        newest = await submit()
        await closed_loop(2 * submitters, submitters, submit)
        while await database.fetchval(unfinished, newest):
            await asyncio.sleep(_POLL_S)
        if rate:
            outcome = await open_loop(count, rate, submit)
        else:
            newest = await database.fetchval("SELECT max(id) FROM task")
            began = time.perf_counter()
            await closed_loop(count, submitters, submit)
            while await database.fetchval(unfinished, newest):
                await asyncio.sleep(_POLL_S)
            outcome = {"seconds": time.perf_counter() - began}
    await database.close()
    return outcome


@asynccontextmanager
async def submitting() -> AsyncIterator[Submit]:
    """Submits a no-op over HTTP with a bearer token, as any client does; gives its id."""
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

        yield submit


async def open_loop(count: int, rate: float, submit: Submit) -> dict[str, float]:
    """Submit at a steady rate; the time from before each request to the start on its builder."""
    submitted: dict[int, float] = {}
    started: dict[int, float] = {}

    def on_start(message: bytes) -> None:
        task_id, at = message.split()
        started[int(task_id)] = float(at)

    async def one() -> None:
        began = time.perf_counter()
        submitted[await submit()] = began

    with receiving("BENCH_STARTS", on_start):
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
                group.create_task(one())
        async with asyncio.timeout(_START_TIMEOUT_S):
            while not submitted.keys() <= started.keys():
                await asyncio.sleep(_POLL_S)
    waits = sorted(started[task_id] - at for task_id, at in submitted.items())
    return {"p50_ms": 1000 * waits[count // 2], "p99_ms": 1000 * waits[min(count - 1, count * 99 // 100)]}


@contextmanager
def receiving(variable: str, on_message: Callable[[bytes], None]) -> Iterator[None]:
    """Listen at the unix datagram socket that the environment names."""
    path = Path(os.environ[variable])
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(path))
        receiver.setblocking(False)
        loop = asyncio.get_running_loop()
        loop.add_reader(receiver.fileno(), lambda: on_message(receiver.recv(200)))
        yield
        loop.remove_reader(receiver.fileno())


def celery(count: int, submitters: int) -> dict[str, float]:
    """Celery's client blocks and its results belong to a thread, so each submitter is a process of its own."""
    from tests.bench.peers.celery_app import RPC, noop

    fork = multiprocessing.get_context("fork")
    ready = fork.Barrier(submitters + 1)

    def submit(share: int) -> None:
        for result in [noop.delay() for _ in range(2)]:
            result.get(timeout=_START_TIMEOUT_S)
        ready.wait(_START_TIMEOUT_S)
        results = [noop.delay() for _ in range(share)]
        if RPC:
            for result in results:
                result.get(timeout=120)

    shares = [count // submitters + (number < count % submitters) for number in range(submitters)]
    children = [fork.Process(target=submit, args=(share,)) for share in shares]
    for process in children:
        process.start()
    ready.wait(_START_TIMEOUT_S)
    began = time.perf_counter()
    for process in children:
        process.join()
    if any(process.exitcode for process in children):
        raise RuntimeError("a submitter failed")
    if not RPC:
        asyncio.run(_celery_results(count + 2 * submitters))
    return {"seconds": time.perf_counter() - began}


async def _celery_results(count: int) -> None:
    """Wait for as many successes in the table of results, asking for them cheaply, and empty it."""
    database = await asyncpg.connect(os.environ["BENCH_RESULTS_DSN"])
    while await database.fetchval("SELECT count(*) FROM celery_taskmeta WHERE status = 'SUCCESS'") < count:
        await asyncio.sleep(_POLL_S)
    await database.execute("TRUNCATE celery_taskmeta")
    await database.close()


async def procrastinate(count: int, submitters: int, _: float) -> dict[str, float]:
    from tests.bench.peers.procrastinate_app import app, noop

    database = await asyncpg.connect(os.environ["BENCH_DSN"])

    async def all_done() -> None:
        unfinished = "SELECT EXISTS (SELECT FROM procrastinate_jobs WHERE status IN ('todo', 'doing'))"
        while await database.fetchval(unfinished):
            await asyncio.sleep(_POLL_S)

    async with app.open_async():
        await closed_loop(2 * submitters, submitters, noop.defer_async)
        await all_done()
        began = time.perf_counter()
        await closed_loop(count, submitters, noop.defer_async)
        await all_done()
        seconds = time.perf_counter() - began
    await database.close()
    return {"seconds": seconds}


async def taskiq(count: int, submitters: int, _: float) -> dict[str, float]:
    """Without results there is nobody to ask: the tasks themselves tell that they are done."""
    from tests.bench.peers.taskiq_app import broker, noop

    done = 0

    def on_done(_: bytes) -> None:
        nonlocal done
        done += 1

    async def run(tasks: int) -> None:
        nonlocal done
        done = 0
        await closed_loop(tasks, submitters, noop.kiq)
        while done < tasks:
            await asyncio.sleep(_POLL_S)

    with receiving("BENCH_DONE", on_done):
        await broker.startup()
        await run(2 * submitters)
        began = time.perf_counter()
        await run(count)
        seconds = time.perf_counter() - began
        await broker.shutdown()
    return {"seconds": seconds}


SYSTEMS = {"ours": ours, "procrastinate": procrastinate, "taskiq": taskiq}


def main(system: str, count: int, submitters: int, rate: float) -> dict[str, float]:
    if system == "celery":
        return celery(count, submitters)
    return uvloop.run(SYSTEMS[system](count, submitters, rate))


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))))
