"""`deborch demo`, the first thing that a new user runs."""

import signal
from pathlib import Path

from tests.e2e.running import Cli, environment_for


def test_the_demo_ends_with_hello_built_published_and_installed_and_says_how_long_each_stage_took(
    data_directory, test_cache, suite
):
    data = data_directory("demo")
    cli = Cli(environment_for(data, test_cache), data.parent)
    said = cli("demo", "--once", "--data", data).stdout
    assert "The first admin key, shown this once: deborch_key_" in said
    assert "Hello, world!" in said
    assert "hello_" in said and ".buildinfo" in said
    for stage in ("PostgreSQL", "RabbitMQ", "auth", "hub", "builder", "package built", "apt-get install"):
        assert any(stage in line and line.rstrip()[-1].isdigit() for line in said.splitlines()), stage
    assert said.index("What you have now") < said.index("What to try next") < said.index("Stopping")
    assert str(data) not in Path("/proc/self/mountinfo").read_text()

    with cli.started("demo", "--once", "--data", data) as process:
        again = ""
        while "auth stopped" not in again:
            line = process.stdout.readline()
            assert line, again
            again += line
        process.send_signal(signal.SIGTERM)  # it stops already: nothing is to be interrupted
        again += process.stdout.read()
        assert process.wait(30) == 0
    assert again.index("Stopping already") < again.index("PostgreSQL stopped")
    assert "is in the archive already" in again
    assert "admin key" not in again
    assert "Hello, world!" in again
