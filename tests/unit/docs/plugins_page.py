"""docs/reference/deb-mock-plugins.md, made from the interface and the shipped plug-ins."""

import inspect
import typing
from collections.abc import Iterator

from deb_mock.cli.plugins import options_of
from deb_mock.plugins import api, catalogue

_HEAD = """\
# Plug-ins of deb-mock

Plug-ins run beside a build: they add to it, look at it, judge its results. `deb-mock plugin list` shows those that
there are, `deb-mock plugin list --options NAME` the options of one. [Write a plug-in](../howto/write-a-plugin.md)
shows how one comes to be; in Fedora's Mock the hooks have the names in the last column.

## Enabling

For one build, by `--plugin NAME[:KEY=VALUE,...]`; a key that is given again makes a list:

```
sudo deb-mock build hello_2.10-3.dsc --plugin eatmydata --plugin lintian:gating=yes,fail_on=error,fail_on=warning
```

For every build, in the configuration:

```yaml
plugins:
  - name: ccache
    options: {max_size_mib: 2000}
  - name: hw-info
    required: false
```

They are called in this order; of two settings of one name the later counts. Options are checked before anything
runs. A plug-in that fails is named, with the hook. If it is `required` (the default) the build ends, otherwise a
warning is in the log and the plug-in is left out of the rest of the build. What it left in its scratch directory is
removed either way. Plug-ins run in the process of deb-mock, with its rights: install only those that you trust.

## Checks

A check judges the results: `pass`, `warn` or `fail`, with findings and a report among the results
(`NAME_VERSION_ARCH.CHECK.txt`). Its tools come from the suite, as a cached layer in a clean buildroot of its own;
what it runs has no network. With `gating=yes` a failure ends the build with the class `policy` (exit code 3), or
`test` (11) for those that run what was built; the results are kept all the same. A check that could not run has
failed, and says why.

piuparts and autopkgtest need no chroot or machine of their own: the throwaway buildroot is what they test in.
autopkgtest runs with its server `null`, so tests with `isolation-machine` or `needs-reboot` are skipped, as in a
container. piuparts is told that this root is its schroot session, because nothing in a buildroot may mount; python3
and what else piuparts needs is installed there, so a package that forgets to depend on those is not found out.

## Shipped plug-ins
"""
_MOCK = {
    "configuration_resolved": "",
    "before_base": "preinit",
    "after_base": "postinit",
    "before_dependencies": "earlyprebuild",
    "before_apt": "preyum",
    "after_apt": "postyum",
    "after_dependencies": "postdeps",
    "buildroot_opened": "mount_root",
    "before_build": "prebuild",
    "after_build": "postbuild",
    "buildroot_closing": "postumount",
    "process_log": "process_logs",
    "build_ended": "postbuild, initfailed",
    "before_command": "prechroot, preshell",
    "after_command": "postchroot, postshell",
    "before_clean": "clean, scrub",
    "after_clean": "postclean",
}
_LAST = """\
Mock's `list_snapshots`, `make_snapshot`, `remove_snapshot` and `rollback_to` have no counterpart: a buildroot here is a
new overlay each time, and there is nothing to roll back.

## The interface

"""


def plugins_page() -> str:
    """docs/reference/deb-mock-plugins.md"""
    shipped = "\n".join(_plugin(name) for name in catalogue.SHIPPED)
    return f"{_HEAD}\n{shipped}\n## Hooks\n\n{_hooks()}\n{_LAST}{_interface()}"


def _plugin(name: str) -> str:
    plugin = catalogue.load(name)
    options = list(options_of(plugin.options_model))
    about = inspect.cleandoc(plugin.__doc__ or "")
    text = f"### {name}\n\n{plugin.summary} {about}\n"
    if options:
        rows = (
            f"| `{each.name}` | {each.type.replace('|', 'or')} | `{each.default}` | {each.description} |".replace(
                "`required`", "required"
            )
            for each in options
        )
        text += "\n| option | type | default | meaning |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
    return text


def _hooks() -> str:
    rows = []
    for name, arguments in catalogue.HOOK_ARGUMENTS.items():
        meaning = inspect.cleandoc(getattr(api.Hooks, name).__doc__)
        rows.append(
            f"| `{name}` | {', '.join(f'`{each}`' for each in arguments)} | {meaning} | {_MOCK.get(name, '')} |"
        )
    return "| hook | arguments | when | in Mock |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"


def _interface() -> str:
    about = inspect.cleandoc(api.__doc__ or "").partition("\n\n")[2]
    parts = [f"Version {api.API_VERSION}, `deb_mock.plugins.api`. {about}\n"]
    for thing in (api.BuildContext, api.Buildroot, api.Results, api.CheckRooms):
        members = "\n".join(_members(thing))
        parts += [f"### {thing.__name__}\n\n{inspect.cleandoc(thing.__doc__ or '')}\n\n{members}\n"]
    for thing in (api.Contribution, api.CheckReport, api.Outcome):
        names = ", ".join(f"`{name}`" for name in typing.get_type_hints(thing))
        parts.append(f"### {thing.__name__}\n\n{inspect.cleandoc(thing.__doc__ or '')} Fields: {names}.\n")
    return "\n".join(parts)


def _members(thing: type) -> Iterator[str]:
    for name in typing.get_type_hints(thing):
        yield f"- `{name}`"
    for name, function in vars(thing).items():
        if inspect.isfunction(function) and not name.startswith("_"):
            first = inspect.cleandoc(function.__doc__ or "").partition("\n\n")[0].replace("\n", " ")
            yield f"- `{name}({', '.join(catalogue.accepted_arguments(function))})`: {first}"
