"""Builds packages of a suite twice in different surroundings, and tells which are bit-identical.

    python -m tests.bench.reproducible [--vary WISH] [--suite SUITE] [PACKAGE...]

As root, with the archive of the suite at hand. Writes build/bench/reproducible.json; the exit code is 1 if any differs.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from deb_mock.engine import Engine
from deb_mock.engine_config import EngineConfig
from deb_mock.host.defaults import DEFAULT_CACHE_DIR, default_tmpfs_bytes
from deb_mock.model import BuildRequest, FetchRequest
from deb_mock.reproducibility.check import ReproducibilityCheck
from deborch_shared import process
from deborch_shared.apt.host import host_codename, proxies_of
from deborch_shared.errors import DeborchError

PACKAGES = ("hello", "hostname", "tree", "figlet", "pv", "sl", "cowsay")
"""Small, with few build dependencies, and reproducible in Debian."""
TARGET = Path("build/bench/reproducible.json")


async def checked(engine: Engine, name: str, options: argparse.Namespace, architecture: str, directory: Path) -> dict:
    """One package: what its check found."""
    begun_s = time.monotonic()
    fetch = FetchRequest(f"fetch-{name}", name, None, options.suite, architecture, directory / f"{name}-source")
    try:
        source = await engine.fetch_source(fetch, on_log=lambda _: None)
        request = BuildRequest(
            build_id=name.replace("+", "-"),
            dsc=source.dsc,
            source_dir=source.dsc.parent,
            suite=options.suite,
            architecture=architecture,
            result_dir=directory / name,
            failed_dir=Path("build/bench/reproducible-failed"),
            parallel=os.cpu_count() or 1,
        )
        checks = ReproducibilityCheck(engine, in_memory=True)
        result = await checks.run(request, options.vary, on_log=lambda _: None)
    except DeborchError as error:
        return {"package": name, "error": error.message, "class": error.fields.get("failure_class")}
    if result.page is not None:
        kept = TARGET.with_name(f"reproducible-{name}.txt")
        kept.write_text(result.page.with_suffix(".txt").read_text())
    return {
        "package": name,
        "version": result.version,
        "bit_identical": result.is_reproducible,
        "files": [{"name": file.name, "sha256": file.first_sha256, "same": file.is_same} for file in result.files],
        "varied": [variation for variation, _, _ in result.varied],
        "wall_s": round(time.monotonic() - begun_s, 1),
    }


async def run(options: argparse.Namespace) -> list[dict]:
    """Every package, one after another."""
    architecture = (await process.run(["dpkg", "--print-architecture"])).output.decode().strip()
    found = []
    with TemporaryDirectory(dir="/var/tmp") as place:
        directory = Path(place)
        config = EngineConfig(
            state_dir=directory / "state",
            cache_dir=options.cache_dir,
            tmpfs_bytes=default_tmpfs_bytes(),
            proxies=proxies_of(os.environ),
        )
        engine = Engine(config)
        await engine.recover()
        for name in options.packages:
            found.append(await checked(engine, name, options, architecture, directory))
            print(json.dumps({key: value for key, value in found[-1].items() if key not in ("files", "varied")}))
        await engine.close()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="*", default=list(PACKAGES), metavar="PACKAGE")
    parser.add_argument("--vary", default="all")
    parser.add_argument("--suite", default=host_codename())
    parser.add_argument("--cache-dir", type=Path, default=DEFAULT_CACHE_DIR)
    options = parser.parse_args()
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    found = asyncio.run(run(options))
    TARGET.write_text(json.dumps(found, indent=1) + "\n")
    return 0 if all(each.get("bit_identical") for each in found) else 1


if __name__ == "__main__":
    sys.exit(main())
