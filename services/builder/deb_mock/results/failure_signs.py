"""Lines of build logs that say what went wrong, as one table: compilers, make, dpkg, apt, interpreters, test runners.

A new kind of line goes here, with a real snippet in the tests.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cause:
    """A kind of line that says what went wrong."""

    name: str
    expression: re.Pattern[bytes]
    is_test: bool = False
    lines_before: int = 0
    """How many lines above belong to it."""


def _sign(name: str, *expressions: bytes, lines_before: int = 0) -> Cause:
    return Cause(name, re.compile(b"|".join(expressions)), lines_before=lines_before)


def _test(name: str, *expressions: bytes) -> Cause:
    return Cause(name, re.compile(b"|".join(expressions)), is_test=True)


CAUSES: tuple[Cause, ...] = (
    _sign("out of memory", rb"fatal error: Killed signal", rb"virtual memory exhausted", rb"[Cc]annot allocate memory"),
    _sign("disk full", rb"No space left on device"),
    _test("pytest", rb"^(?:FAILED|ERROR) \S+\.py(?:::| - |$)", rb"^=+ .*\b\d+ (?:failed|errors?)\b.* in [\d.]+"),
    _test("unittest", rb"^(?:FAIL|ERROR): \w+ \(", rb"^FAILED \((?:failures|errors)="),
    _test(
        "ctest",
        rb"\*\*\*(?:Failed|Exception|Timeout)",
        rb"^The following tests FAILED:",
        rb"^\s+\d+ - .+ \((?:Failed|Timeout|SEGFAULT)\)",
    ),
    _test("meson test", rb"^\s*\d+/\d+ .+\s(?:FAIL|TIMEOUT|ERROR)\b", rb"^(?:Fail|Timeout):\s+[1-9]"),
    _test("automake tests", rb"^(?:FAIL|XPASS): \S+", rb"^# (?:FAIL|ERROR):\s+[1-9]"),
    _test("tap", rb"^not ok\b(?!.*# TODO)", rb"^Result: FAIL", rb"^Failed \d+/\d+ (?:subtests|test programs)"),
    _test("go test", rb"^\s*--- FAIL: ", rb"^FAIL\t"),
    _test("cargo test", rb"^test .+ \.\.\. FAILED", rb"^test result: FAILED", rb"^thread '.+' panicked at"),
    _test("javascript tests", rb"^\s+\d+ failing$", rb"^# fail [1-9]", rb"^Tests:\s+\d+ failed"),
    _test(
        "ruby tests",
        rb"^rspec \S+:\d+ #",
        rb"^\d+ examples?, [1-9]\d* failures?",
        rb"^\d+ (?:runs|tests), .*\b[1-9]\d* (?:failures|errors)",
    ),
    _test("assertion", rb": Assertion .+ failed\.$"),
    _sign(
        "compiler",
        rb"^[^\s:'\"]+:\d+(?:[:.]\d+(?:-\d+[:.]\d+)?)?: (?:fatal |internal compiler )?[Ee]rror:?(?:\s|$)",
        rb"^[^\s:'\"]+\(\d+,\d+\): error ",
    ),
    _sign("compiler driver", rb"^(?:\S*(?:gcc|g\+\+|cc1|cc1plus|clang|as|collect2)): (?:fatal )?error: "),
    _sign(
        "linker",
        rb"undefined reference to",
        rb"multiple definition of",
        rb"^\S*ld(?:\.\w+)?: (?:cannot find|error|[^:]+: undefined)",
    ),
    _sign("rust", rb"^error(?:\[E\d+\])?: "),
    _sign("go", rb"^\S+\.go:\d+:\d+: "),
    _sign("ocaml", rb"^File \"[^\"]+\", lines? \d+.*:$"),
    _sign("cmake", rb"^CMake Error"),
    _sign("configure", rb"^configure: error: ", rb"^\S*autoreconf: error: ", rb": error: possibly undefined macro"),
    _sign("meson", rb"^\S*meson\.build:\d+:\d+: ERROR: "),
    _sign("python", rb"^\s*Traceback \(most recent call last\):", rb"^(?:\w+\.)*\w*(?:Error|Exception): "),
    _sign("perl", rb"^Can't locate \S+ in @INC", rb"^syntax error at \S+ line \d+"),
    _sign("node", rb"^npm ERR! ", rb"^Error: Cannot find module"),
    _sign("makefile", rb"^\S*make(?:\[\d+\])?: \*\*\* No rule to make target", rb": \*\*\* missing separator"),
    _sign(
        "missing program",
        rb"^(?:/usr)?(?:/bin/)?(?:ba|da)?sh: .*(?:not found|No such file or directory|Permission denied)$",
        rb"^make(?:\[\d+\])?: \S+: (?:No such file or directory|Permission denied)$",
        rb"^(?:/usr/bin/)?env: .+: No such file",
    ),
    _sign(
        "file tools",
        rb"^(?:cp|mv|rm|rmdir|install|ln|mkdir|tar|sed|cat|chmod|find|grep|touch): "
        rb"(?:cannot|can't|couldn't|\S+: (?:No such|Permission))",
    ),
    _sign("patch", rb"^\d+ out of \d+ hunks? (?:FAILED|failed)", rb"^Patch .+ does not apply"),
    _sign(
        "debhelper",
        rb"^dh(?:_\w+)?: error: (?!.* returned exit code)",
        rb"^dh_\w+: warning: Cannot find \(any matches for\)",
    ),
    _sign("symbols", rb"^dpkg-gensymbols: (?:error|warning): some symbols", rb"^dpkg-shlibdeps: error: "),
    _sign("build dependencies", rb"^dpkg-checkbuilddeps: error: ", rb"^ \S+ : (?:Pre)?(?:Depends|Conflicts|Breaks): "),
    _sign("installation", rb"^dpkg: error processing ", lines_before=1),
    _sign("dpkg", rb"^dpkg(?:-(?!buildpackage)[a-z-]+)?: (?:error|unrecoverable)"),
    _sign("apt, pybuild", rb"^E: (?!Sub-process)"),
    _sign("latex", rb"^! "),
    _sign("error", rb"^(?:[A-Z][a-z]+ )?(?:ERROR|[Ee]rror|FATAL|[Ff]atal)(?: error)?:(?:\s|$)"),
    _sign("signal", rb"(?:Segmentation fault|Illegal instruction|Bus error|Aborted)(?: \(core dumped\))?$"),
)
"""In the order in which they are asked: the first that matches a line says what it is."""
