"""A program to be killed: runs or resumes a compose whose phases write files piece by piece, and says what it runs.

killed_compose.py ROOT [COMPOSE_ID]
"""

import asyncio
import sys
from pathlib import Path

from tests.unit.deb_bootc_compose.fakes import AMD64, ARM64, FakePhase, engine, of_compose, request

PIECES = 20


async def write_pieces(work):
    with (work.state.root.parent / "runs").open("a") as runs:
        runs.write(f"{work.directory.parent.name.rpartition('.')[0]} {work.target}\n")
    for piece in range(PIECES):
        (work.directory / f"{piece}").write_bytes(bytes([piece]) * 4096)
        await asyncio.sleep(0.001)
    return {"pieces": PIECES}


class PiecesPhase(FakePhase):
    async def inputs(self, work):
        return {"target": str(work.target)}

    async def run(self, work):
        return await write_pieces(work)


async def main(root: Path, compose_id: str | None) -> None:
    phases = [
        PiecesPhase("gather"),
        PiecesPhase("ostree", "gather"),
        PiecesPhase("output.raw", "ostree"),
        of_compose("metadata", "ostree", does=write_pieces),
    ]
    made = engine(root, phases, (AMD64, ARM64))
    result = await (made.resume(compose_id) if compose_id else made.compose(request(workers=2)))
    assert not result.errors
    assert all(len(list(outcome.result.directory.iterdir())) >= PIECES for outcome in result.outcomes)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None))
