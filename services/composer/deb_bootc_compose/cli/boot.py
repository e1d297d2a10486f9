"""`deb-bootc-compose boot`."""

import asyncio
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deb_bootc_compose.boot.acceleration import accelerator_of
from deb_bootc_compose.boot.choice import chosen_disk
from deb_bootc_compose.boot.machine import Accelerator, Disk, FirmwareKind, Machine, check_architecture
from deb_bootc_compose.cli.finish import finished
from deb_bootc_compose.cli.options import DEFAULT_STATE_DIR, StateDir
from deb_bootc_compose.state.layout import State
from deb_bootc_compose.tools import room
from deb_bootc_compose.tools.making import native_architecture
from deb_bootc_compose.tools.roots import RoomTools, Voice, open_tools
from deborch_shared.apt.host import proxies_of

app = typer.Typer()


@app.command()
def boot(  # noqa: PLR0917 - typer reads the parameters as options
    what: Annotated[str, typer.Argument(metavar="COMPOSE|DISK", help="A compose id, latest-NAME, or a disk's file.")],
    variant: Annotated[str | None, typer.Option(help="Of the compose; needed if it has several.")] = None,
    uefi: Annotated[bool, typer.Option("--uefi/--bios", help="Firmware that starts the disk.")] = True,
    memory_mib: Annotated[int, typer.Option("--memory", min=256, metavar="MIB", help="Of the machine.")] = 1024,
    cpus: Annotated[int, typer.Option(min=1, max=64, help="Of the machine.")] = 2,
    keep: Annotated[bool, typer.Option("--keep", help="Write to the disk itself, and not to a snapshot.")] = False,
    network: Annotated[bool, typer.Option(help="A network card, behind address translation.")] = True,
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """Start a disk in qemu, with its console on this terminal. What it writes is forgotten, unless --keep is given."""
    with finished(as_json=False):
        state = State(state_dir.absolute())
        found = chosen_disk(state, what, variant)
        check_architecture(found.architecture or native_architecture(), native_architecture())
        tools = asyncio.run(_machine_tools(state))
        with tempfile.TemporaryDirectory() as scratch:
            machine = Machine(
                disks=(Disk(found.path, found.format, writable=keep),),
                scratch=Path(scratch),
                accelerator=asyncio.run(accelerator_of(tools)),
                firmware=FirmwareKind.UEFI if uefi else FirmwareKind.BIOS,
                memory_mib=memory_mib,
                cpus=cpus,
                terminal=True,
                network=network,
            )
            how = "by KVM" if machine.accelerator is Accelerator.KVM else "without KVM, which takes minutes"
            _say(f"starting {found.path.name} {how}; Ctrl-A X ends it")
            ended = _run(tools, machine)
    raise typer.Exit(ended)


def _run(tools: RoomTools, machine: Machine) -> int:
    line = tools.terminal_command(machine.command(), bound=machine.bound(), network=machine.network)
    return subprocess.run(line, env=room.environment(machine.environment()), check=False).returncode


async def _machine_tools(state: State) -> RoomTools:
    tools = await open_tools(state, voice=Voice(on_step=_say), proxies=proxies_of(os.environ))
    return await tools.machine()


def _say(text: str) -> None:
    Console(stderr=True).print(text, markup=False, highlight=False, soft_wrap=True)
