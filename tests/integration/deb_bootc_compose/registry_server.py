"""A real registry on loopback: Debian's docker-registry, unpacked and not installed, so that no service is started."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from deborch_shared.process import run

_PACKAGE = "docker-registry"
_READY_S = 30.0


async def registry_program(cache: Path) -> Path:
    """The server's program, fetched by apt the first time."""
    root = cache / _PACKAGE
    program = root / "usr/bin/docker-registry"
    if not program.exists():
        root.mkdir(parents=True, exist_ok=True)
        await run(["apt-get", "download", "-o", "APT::Sandbox::User=root", _PACKAGE], cwd=root, timeout_s=300)
        (package,) = root.glob("*.deb")
        await run(["dpkg-deb", "--extract", str(package), str(root)])
    return program


@asynccontextmanager
async def running_registry(program: Path, directory: Path, port: int) -> AsyncIterator[str]:
    """Where it listens, `127.0.0.1:PORT`, while it runs."""
    config = directory / "config.yml"
    config.write_text(
        "version: 0.1\n"
        "log: {level: error, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: {directory}/data}}, delete: {{enabled: true}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n"
    )
    with (directory / "log").open("wb") as log:
        server = await asyncio.create_subprocess_exec(str(program), "serve", str(config), stdout=log, stderr=log)
    try:
        await _ready(f"http://127.0.0.1:{port}/v2/")
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        await server.wait()


async def _ready(url: str) -> None:
    async with asyncio.timeout(_READY_S), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)
