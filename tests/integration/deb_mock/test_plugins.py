"""Plug-ins in real builds: when they are called, what they add, and what their failures do."""

import asyncio
from dataclasses import replace

import pytest
from tests.integration.deb_mock.conftest import what_is_left

from deb_mock.engine import Engine
from deb_mock.engine_config import PluginSetting
from deb_mock.model import CheckStatus, CommandRequest, SessionRequest
from deb_mock.plugins import catalogue
from deb_mock.plugins.api import Check, CheckReport, Contribution, Plugin, hookimpl
from deborch_shared.errors import DeborchError, ErrorCode

CALLED = []


def _noting(name, arguments):
    source = f"async def {name}(self, {', '.join(arguments)}): called.append({name!r})"
    scope = {"called": CALLED}
    exec(source, scope)  # noqa: S102 - a method for each hook, with exactly its arguments
    scope[name].__qualname__ = f"Every.{name}"
    return hookimpl(scope[name])


Every = type(
    "Every",
    (Check,),
    {
        "name": "every",
        "summary": "Notes every hook.",
        **{
            name: _noting(name, arguments)
            for name, arguments in catalogue.HOOK_ARGUMENTS.items()
            if name != "configuration_resolved"
        },
    },
)


class Adds(Plugin):
    name = "adds"
    summary = "Adds something of each kind."

    @hookimpl
    def contribute(self, build):
        build.scratch_directory().joinpath("left").write_text("x")
        return Contribution(
            environment={"ADDED": "yes"}, build_options=("nocheck",), wrapper=("nice", "-n", "5"), packages=("make",)
        )

    @hookimpl
    async def after_unpack(self, build, buildroot):
        buildroot.put("note", b"from a plug-in")
        assert (await buildroot.run(["cat", "/build/note"], quiet=True)).output == b"from a plug-in"
        assert buildroot.take("note") == b"from a plug-in"

    @hookimpl
    def results_collected(self, results):
        results.add("extra.txt", b"extra")


class Fails(Plugin):
    name = "fails"
    summary = "Fails in the middle."

    @hookimpl
    async def before_build(self):
        raise RuntimeError("broken inside")

    @hookimpl
    def build_ended(self, build, outcome):
        CALLED.append(outcome.error)


class Judges(Check):
    name = "judges"
    summary = "Finds something."

    @hookimpl
    async def check(self, build, results, rooms):
        async with rooms.open() as room:
            names = (await room.run(["ls", room.workspace], quiet=True)).output.decode().split()
        assert sorted(artifact.name for artifact in results.artifacts) == sorted(names)
        return CheckReport(CheckStatus.FAIL, "found it", ("here", "there"), b"the whole story\n")


class Listens(Plugin):
    name = "listens"
    summary = "Hears of what people do by hand."

    @hookimpl
    async def before_command(self, command, buildroot):
        said = await buildroot.run(["echo", "seen"], quiet=True)
        CALLED.append(("before", command.argv, said.output))

    @hookimpl
    async def after_command(self, command, returncode):
        CALLED.append(("after", command.argv, returncode))

    @hookimpl
    def before_clean(self, base):
        CALLED.append(("before clean", base.name))

    @hookimpl
    def after_clean(self, base, removed):
        CALLED.append(("after clean", base.name, removed))


@pytest.fixture
def engine_with(config, monkeypatch, request):
    module = type("Here", (), {plugin.__name__: plugin for plugin in (Every, Adds, Fails, Judges, Listens)})
    monkeypatch.setattr(catalogue, "import_module", lambda _: module)
    places = {plugin.name: f"here:{plugin.__name__}" for plugin in (Every, Adds, Fails, Judges, Listens)}
    monkeypatch.setattr(catalogue, "SHIPPED", places)
    CALLED.clear()
    return lambda *settings: Engine(replace(config, plugins=settings))


async def test_every_hook_of_a_build_is_called_in_its_order(engine_with, request_for, log):
    await engine_with(PluginSetting("every")).build(request_for(), on_log=log.extend)
    of_builds = [
        name for name in catalogue.HOOK_ARGUMENTS if not name.endswith(("_command", "_clean", "_apt", "_resolved"))
    ]
    assert [name for name in CALLED if not name.endswith("_apt")] == of_builds


async def test_what_plug_ins_add_is_in_the_build_and_their_scratch_files_are_not_left(
    engine_with, request_for, log, config
):
    request = request_for('test "$ADDED" = yes\necho "$DEB_BUILD_OPTIONS" | grep nocheck\ntest $(nice) = 5')
    result = await engine_with(PluginSetting("adds")).build(request, on_log=log.extend)
    assert (request.result_dir / "extra.txt").read_bytes() == b"extra"
    assert "extra.txt" in {artifact.name for artifact in result.artifacts}
    assert what_is_left(config.state_dir) == []


async def test_a_required_plug_in_that_fails_is_named_and_ends_the_build(engine_with, request_for, log, config):
    request = request_for()
    with pytest.raises(
        DeborchError, match="plug-in fails failed in before_build: RuntimeError: broken inside"
    ) as caught:
        await engine_with(PluginSetting("fails")).build(request, on_log=log.extend)
    assert caught.value.code is ErrorCode.PLUGIN_FAILED
    assert [caught.value] == CALLED
    assert not request.result_dir.exists()
    assert what_is_left(config.state_dir) == []


async def test_an_advisory_plug_in_that_fails_is_named_and_left_out(engine_with, request_for, log):
    await engine_with(PluginSetting("fails", required=False)).build(request_for(), on_log=log.extend)
    assert b"warning: the plug-in fails failed in before_build" in log
    assert CALLED == []


async def test_a_gating_check_that_fails_ends_the_build_and_keeps_the_results(engine_with, request_for, log):
    request = request_for()
    with pytest.raises(DeborchError, match="judges: found it") as caught:
        await engine_with(PluginSetting("judges", options={"gating": True})).build(request, on_log=log.extend)
    assert caught.value.fields["failure_class"] == "policy"
    reports = [path.read_bytes() for path in request.result_dir.glob("tiny_1.0_*.judges.txt")]
    assert reports == [b"the whole story\n"]


async def test_an_advisory_check_that_fails_is_reported_in_the_result(engine_with, request_for, log):
    result = await engine_with(PluginSetting("judges")).build(request_for(), on_log=log.extend)
    (check,) = result.checks
    assert (check.name, check.status, check.findings) == ("judges", CheckStatus.FAIL, ("here", "there"))
    assert check.report in {artifact.name for artifact in result.artifacts}


async def test_plug_ins_hear_of_a_cancelled_build(engine_with, request_for, log, config):
    engine = engine_with(PluginSetting("every"))
    task = asyncio.create_task(engine.build(request_for("echo compiling; sleep 1000"), on_log=log.extend))
    while b"\ncompiling" not in log:
        assert not task.done(), task.exception()
        await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert CALLED[-1] == "build_ended"
    assert what_is_left(config.state_dir) == []


async def test_plug_ins_hear_of_commands_and_shells_with_their_exit_codes_and_of_bases_to_be_removed(
    engine_with, config, request_for, log
):
    engine, request = engine_with(PluginSetting("listens")), request_for()
    suite, architecture = request.suite, request.architecture
    base = await engine.ensure_base(suite, architecture, on_log=log.extend)
    command = CommandRequest("listened", ("false",), suite, architecture)
    assert await engine.run_command(command, on_output=log.extend, on_log=log.extend) == 1
    async with engine.session(SessionRequest("listening", suite, architecture), on_log=log.extend) as session:
        assert await session.run(["sh", "-c", "exit 7"]) == 7
        assert await engine.remove_base(base) is False  # it is in use
    assert [
        ("before", ("false",), b"seen\n"),
        ("after", ("false",), 1),
        ("before", ("sh", "-c", "exit 7"), b"seen\n"),
        ("after", ("sh", "-c", "exit 7"), 7),
        ("before clean", base.name),
        ("after clean", base.name, False),
    ] == CALLED
    assert what_is_left(config.state_dir) == []
