"""The first lines that matter, and test or compile, from pieces of real build logs."""

import time

import pytest

from deb_mock.results.diagnosis import diagnose, last_lines
from deb_mock.stages.log_sections import head, heading

COMPILER = """\
 debian/rules binary
dh binary
   dh_update_autotools_config
   dh_auto_configure
\t./configure --build=x86_64-linux-gnu --prefix=/usr
checking for error: no
config.status: creating config.h
   dh_auto_build
\tmake -j2
make[1]: Entering directory '/build/hello-2.10'
gcc -DHAVE_CONFIG_H -I. -g -O2 -c -o src/hello.o src/hello.c
src/hello.c: In function 'main':
src/hello.c:61:3: error: 'nothing' undeclared (first use in this function)
   61 |   nothing;
      |   ^~~~~~~
src/hello.c:61:3: note: each undeclared identifier is reported only once for each function it appears in
make[2]: *** [Makefile:1508: src/hello.o] Error 1
make[2]: *** Waiting for unfinished jobs....
make[1]: *** [Makefile:1091: all] Error 2
make[1]: Leaving directory '/build/hello-2.10'
dh_auto_build: error: make -j2 returned exit code 2
make: *** [debian/rules:7: binary] Error 25
dpkg-buildpackage: error: debian/rules binary subprocess returned exit status 2
"""
AUTOMAKE = """\
   dh_auto_test
\tmake -j2 check "TESTSUITEFLAGS=-j2 --verbose" VERBOSE=1
PASS: tests/greeting-1
FAIL: tests/greeting-2
============================================================================
Testsuite summary for GNU Hello 2.10
============================================================================
# TOTAL: 2
# PASS:  1
# FAIL:  1
make[3]: *** [Makefile:1712: test-suite.log] Error 1
make[2]: *** [Makefile:1820: check-TESTS] Error 2
dh_auto_test: error: make -j2 check "TESTSUITEFLAGS=-j2 --verbose" VERBOSE=1 returned exit code 2
make: *** [debian/rules:7: binary] Error 25
dpkg-buildpackage: error: debian/rules binary subprocess returned exit status 2
"""
PYTEST = """\
   dh_auto_test -O--buildsystem=pybuild
I: pybuild base:240: cd /build/x-1/.pybuild/cpython3_3.11/build; python3.11 -m pytest tests
tests/test_a.py .F                                                       [100%]
=================================== FAILURES ===================================
    def test_two():
>       assert 1 == 2
E       assert 1 == 2
tests/test_a.py:5: AssertionError
=========================== short test summary info ============================
FAILED tests/test_a.py::test_two - assert 1 == 2
========================= 1 failed, 1 passed in 0.03s ==========================
E: pybuild pybuild:388: test: plugin distutils failed with: exit code=1: python3.11 -m pytest tests
dh_auto_test: error: pybuild --test --test-pytest -i python{version} -p 3.11 returned exit code 13
make: *** [debian/rules:6: binary] Error 25
"""
CTEST = """\
   dh_auto_test
\tcd obj-x86_64-linux-gnu && make -j2 test ARGS\\+=--verbose ARGS\\+=-j2
1/2 Test #1: frames ...........................   Passed    0.01 sec
2/2 Test #2: streams ..........................***Failed    0.02 sec

50% tests passed, 1 tests failed out of 2

The following tests FAILED:
\t  2 - streams (Failed)
Errors while running CTest
make[1]: *** [Makefile:71: test] Error 8
dh_auto_test: error: cd obj-x86_64-linux-gnu && make -j2 test ARGS\\+=--verbose ARGS\\+=-j2 returned exit code 2
"""
MESON = """\
   dh_auto_test
\tcd obj-x86_64-linux-gnu && DEB_PYTHON_INSTALL_LAYOUT=deb LC_ALL=C.UTF-8 ninja test
1/3 basic                 OK              0.01s
2/3 resize                FAIL            0.02s   exit status 1
Ok:                 2
Fail:               1
dh_auto_test: error: cd obj-x86_64-linux-gnu && LC_ALL=C.UTF-8 meson test returned exit code 1
"""
OVERRIDDEN = """\
   debian/rules override_dh_auto_test
make[1]: Entering directory '/build/x-1'
./run-my-tests
something went wrong in here
make[1]: *** [debian/rules:12: override_dh_auto_test] Error 1
make: *** [debian/rules:6: binary] Error 2
dpkg-buildpackage: error: debian/rules binary subprocess returned exit status 2
"""
UNITTEST_IN_A_PLAIN_RULES_FILE = """\
 debian/rules build
python3 -m unittest
======================================================================
FAIL: test_sum (test_x.Sums)
----------------------------------------------------------------------
Traceback (most recent call last):
  File "/build/x-1/test_x.py", line 6, in test_sum
AssertionError: 3 != 4

FAILED (failures=1)
make: *** [debian/rules:4: build] Error 1
"""
TRACEBACK = """\
   dh_auto_clean -O--buildsystem=pybuild
I: pybuild base:240: python3.11 setup.py clean
Traceback (most recent call last):
  File "/build/x-1/setup.py", line 2, in <module>
    import setuptools_scm
ModuleNotFoundError: No module named 'setuptools_scm'
dh_auto_clean: error: pybuild --clean -i python{version} -p 3.11 returned exit code 13
make: *** [debian/rules:6: clean] Error 25
"""
LINKER = """\
   dh_auto_build
/usr/bin/ld: main.o: in function `main':
main.c:(.text+0x5): undefined reference to `sqrt'
collect2: error: ld returned 1 exit status
make[1]: *** [Makefile:2: x] Error 1
dh_auto_build: error: make -j1 returned exit code 2
"""
CMAKE = """\
   dh_auto_configure
\tcd obj-x86_64-linux-gnu && cmake -DCMAKE_INSTALL_PREFIX=/usr ..
CMake Error at CMakeLists.txt:12 (find_package):
  Could not find a package configuration file provided by "Qt5" with any of
dh_auto_configure: error: cd obj-x86_64-linux-gnu && cmake .. returned exit code 1
"""
MISSING_FILES = """\
   dh_install
dh_install: warning: Cannot find (any matches for) "usr/lib/*" (tried in ., debian/tmp)
dh_install: warning: x missing files: usr/lib/*
dh_install: error: missing files, aborting
make: *** [debian/rules:6: binary] Error 255
"""
SYMBOLS = """\
   dh_makeshlibs
dpkg-gensymbols: error: some symbols or patterns disappeared in the symbols file: see diff output below
dpkg-gensymbols: warning: debian/libx1/DEBIAN/symbols doesn't match completely debian/libx1.symbols
dh_makeshlibs: error: failing due to earlier errors
make: *** [debian/rules:6: binary] Error 255
"""
NO_RULE = """\
 debian/rules build
make: *** No rule to make target 'frobnicate', needed by 'build'.  Stop.
dpkg-buildpackage: error: debian/rules build subprocess returned exit status 2
"""
MISSING_PROGRAM = """\
   debian/rules override_dh_auto_build
make[1]: Entering directory '/build/x-1'
help2man --output=x.1 ./x
/bin/sh: 1: help2man: not found
make[1]: *** [debian/rules:9: override_dh_auto_build] Error 127
"""
APT = """\
Reading package lists...
Some packages could not be installed. This may mean that you have
The following packages have unmet dependencies:
 builddeps:/build/x.dsc : Depends: nothing-like-it but it is not installable
E: Unable to correct problems, you have held broken packages.
"""
RUST = """\
   dh_auto_build
   Compiling x v0.1.0 (/build/x-0.1.0)
error[E0425]: cannot find value `y` in this scope
 --> src/main.rs:2:20
dh_auto_build: error: cargo build returned exit code 101
"""
OUT_OF_MEMORY = """\
   dh_auto_build
g++: fatal error: Killed signal terminated program cc1plus
compilation terminated.
make[1]: *** [Makefile:3: big.o] Error 1
"""
PATCH = """\
dpkg-source: info: applying fix.patch
can't find file to patch at input line 3
1 out of 1 hunk FAILED
dpkg-source: error: LC_ALL=C patch -t -F 0 -N -p1 subprocess returned exit status 1
"""
NINJA = """\
   dh_auto_build
\tcd obj-x86_64-linux-gnu && LC_ALL=C.UTF-8 ninja -j2 -v
[3/10] cc -Isrc -o src/x.p/main.c.o -c ../src/main.c
FAILED: src/x.p/main.c.o
cc -Isrc -o src/x.p/main.c.o -c ../src/main.c
../src/main.c:3:10: fatal error: missing.h: No such file or directory
    3 | #include <missing.h>
compilation terminated.
ninja: build stopped: subcommand failed.
dh_auto_build: error: cd obj-x86_64-linux-gnu && LC_ALL=C.UTF-8 ninja -j2 -v returned exit code 1
"""
PROVE = """\
   dh_auto_test
\tmake -j2 test TEST_VERBOSE=1
t/basic.t ..
ok 1 - loads
not ok 2 - adds
#   Failed test 'adds'
Failed 1/2 subtests
Result: FAIL
make[1]: *** [Makefile:852: test_dynamic] Error 255
dh_auto_test: error: make -j2 test TEST_VERBOSE=1 returned exit code 2
"""
GO_TEST = """\
   dh_auto_test -O--buildsystem=golang
\tcd _build && go test -vet=off -v -p 2 example.org/x
=== RUN   TestAdd
    add_test.go:9: got 3, want 4
--- FAIL: TestAdd (0.00s)
FAIL\texample.org/x\t0.002s
dh_auto_test: error: cd _build && go test -vet=off -v -p 2 example.org/x returned exit code 1
"""
SPHINX = """\
   debian/rules override_dh_sphinxdoc
python3 -m sphinx -b html docs build/html
Running Sphinx v5.3.0

Extension error:
Could not import extension sphinx_rtd_theme (exception: No module named 'sphinx_rtd_theme')
make[1]: *** [debian/rules:11: override_dh_sphinxdoc] Error 2
"""
MAINTAINER_SCRIPT = """\
Setting up tiny (1.0) ...
postinst: something is missing
dpkg: error processing package tiny (--configure):
 installed tiny package post-installation script subprocess returned error exit status 1
Errors were encountered while processing:
 tiny
E: Sub-process /usr/bin/dpkg returned an error code (1)
"""
HASKELL = """\
   dh_auto_build
[1 of 2] Compiling X ( src/X.hs, dist/X.o )
src/X.hs:3:1: error:
    Could not find module 'Missing'
dh_auto_build: error: ./Setup build returned exit code 1
"""


@pytest.mark.parametrize(
    ("log", "is_test", "cause", "first"),
    [
        (COMPILER, False, "compiler", "src/hello.c:61:3: error: 'nothing' undeclared (first use in this function)"),
        (AUTOMAKE, True, "automake tests", "FAIL: tests/greeting-2"),
        (PYTEST, True, "pytest", "FAILED tests/test_a.py::test_two - assert 1 == 2"),
        (CTEST, True, "ctest", "2/2 Test #2: streams ..........................***Failed    0.02 sec"),
        (MESON, True, "meson test", "2/3 resize                FAIL            0.02s   exit status 1"),
        (OVERRIDDEN, True, "", "./run-my-tests"),
        (UNITTEST_IN_A_PLAIN_RULES_FILE, True, "unittest", "FAIL: test_sum (test_x.Sums)"),
        (TRACEBACK, False, "python", "Traceback (most recent call last):"),
        (LINKER, False, "linker", "main.c:(.text+0x5): undefined reference to `sqrt'"),
        (CMAKE, False, "cmake", "CMake Error at CMakeLists.txt:12 (find_package):"),
        (MISSING_FILES, False, "debhelper", "dh_install: warning: Cannot find (any matches for)"),
        (SYMBOLS, False, "symbols", "dpkg-gensymbols: error: some symbols or patterns disappeared in the symbols file"),
        (NO_RULE, False, "makefile", "make: *** No rule to make target 'frobnicate', needed by 'build'.  Stop."),
        (MISSING_PROGRAM, False, "missing program", "/bin/sh: 1: help2man: not found"),
        (APT, False, "build dependencies", " builddeps:/build/x.dsc : Depends: nothing-like-it but it is not"),
        (RUST, False, "rust", "error[E0425]: cannot find value `y` in this scope"),
        (OUT_OF_MEMORY, False, "out of memory", "g++: fatal error: Killed signal terminated program cc1plus"),
        (NINJA, False, "compiler", "../src/main.c:3:10: fatal error: missing.h: No such file or directory"),
        (PROVE, True, "tap", "not ok 2 - adds"),
        (GO_TEST, True, "go test", "--- FAIL: TestAdd (0.00s)"),
        (SPHINX, False, "error", "Extension error:"),
        (MAINTAINER_SCRIPT, False, "installation", "postinst: something is missing"),
        (HASKELL, False, "compiler", "src/X.hs:3:1: error:"),
        (PATCH, False, "patch", "1 out of 1 hunk FAILED"),
    ],
    ids=lambda value: value if isinstance(value, str) and "\n" not in value else "",
)
def test_the_first_cause_is_found_and_named(log, is_test, cause, first):
    found = diagnose(log.encode())
    assert found.cause == cause
    assert found.first_lines[0].text.startswith(first)
    assert found.is_test is is_test


def test_the_lines_shown_are_the_cause_what_follows_it_and_what_failed():
    found = diagnose(COMPILER.encode(), first_number=101)
    assert [line.number for line in found.first_lines] == [113, 114, 115, 117]
    assert found.step == "dh_auto_build"


def test_the_error_of_an_exception_is_shown_with_its_traceback():
    assert "ModuleNotFoundError: No module named 'setuptools_scm'" in [
        line.text for line in diagnose(TRACEBACK.encode()).first_lines
    ]


def test_what_a_maintainer_script_said_is_shown_before_what_dpkg_says_of_it():
    assert [line.text for line in diagnose(MAINTAINER_SCRIPT.encode()).first_lines][:2] == [
        "postinst: something is missing",
        "dpkg: error processing package tiny (--configure):",
    ]


def test_an_error_that_was_ignored_or_came_before_the_last_step_is_not_shown():
    log = "x.c:1:1: error: an old one\nmake: [debian/rules:3: x] Error 1 (ignored)\n" + LINKER
    assert diagnose(log.encode()).cause == "linker"


def test_what_the_log_says_in_colour_or_with_control_characters_is_shown_plain():
    log = b"   dh_auto_build\n\x1b[1mx.c:1:1: \x1b[31merror: \x1b[0mbad\x07\nmake: *** [x] Error 1\n"
    assert diagnose(log).first_lines[0].text == "x.c:1:1: error: bad�"


def test_an_empty_log_and_one_that_says_nothing_are_no_problem():
    assert diagnose(b"").first_lines == ()
    assert diagnose(b"hm\n").first_lines[0].text == "hm"


def test_the_last_lines_say_what_was_done_last():
    assert [line.number for line in last_lines(b"a\n\nb\nc\n", first_number=10)] == [10, 12, 13]


def test_a_long_log_is_looked_through_in_seconds():
    begun = time.monotonic()
    diagnose(b"x" * 5000 + b"\n" + b"checking whether error: no and more of it as configure does\n" * 300_000)
    assert time.monotonic() - begun < 5


def test_the_head_of_a_log_and_headings_are_no_lines_that_matter():
    log = head("x (amd64)", "2026-01-01T00:00:00Z") + heading("Source package") + b"x_1.tar.xz has another checksum\n"
    for shown in (last_lines(log), diagnose(log).first_lines):
        assert [(line.number, line.text) for line in shown] == [(log.count(b"\n"), "x_1.tar.xz has another checksum")]
