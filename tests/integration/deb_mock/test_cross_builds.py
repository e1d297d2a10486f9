"""Packages for another architecture than the one that builds, and another resolver than apt's."""

from dataclasses import replace

import pytest
from debian.debfile import DebFile

from deb_mock.model import ArtifactKind
from deborch_shared.errors import DeborchError

C_PROGRAM = """\
mkdir -p debian/out/DEBIAN debian/out/usr/bin
echo 'int main(void) { return 0; }' > main.c
$(dpkg-architecture -qDEB_HOST_GNU_TYPE)-gcc -o debian/out/usr/bin/program main.c
dpkg-shlibdeps -Tsubstvars debian/out/usr/bin/program
echo profiles $DEB_BUILD_PROFILES options $DEB_BUILD_OPTIONS site $CONFIG_SITE"""
E_MACHINE = slice(18, 20)
AARCH64 = b"\xb7\x00"


@pytest.mark.slow
async def test_a_cross_build_makes_packages_and_programs_of_the_host_architecture(engine, request_for, log):
    request = replace(request_for(C_PROGRAM, build_depends="libc6-dev"), host_architecture="arm64", mode="any")
    result = await engine.build(request, on_log=log.extend)
    package = DebFile(next(each.path for each in result.artifacts if each.kind is ArtifactKind.DEB))
    assert package.debcontrol()["Architecture"] == "arm64"
    assert package.data.get_content("usr/bin/program")[E_MACHINE] == AARCH64
    assert {each.name.rsplit("_", 1)[1].split(".")[0] for each in result.artifacts} == {"arm64"}
    assert b"\nprofiles cross nocheck options nocheck parallel=1 site /etc/dpkg-cross/cross-config.arm64\n" in log

    again = replace(request, result_dir=request.result_dir.with_name("again"))
    assert (await engine.build(again, on_log=log.extend)).dependency_cache == "hit"


async def test_an_architecture_that_dpkg_does_not_know_is_refused(engine, request_for, log):
    with pytest.raises(DeborchError) as caught:
        await engine.build(replace(request_for(), host_architecture="vax9000"), on_log=log.extend)
    assert caught.value.fields["failure_class"] == "policy"


@pytest.mark.slow
async def test_aspcud_finds_an_alternative_and_stays_out_of_the_build(engine, request_for, log):
    needs = "build-essential, no-such-package | hello, no-such-package [vax], no-such-package <!nocheck>, make:native"
    request = replace(
        request_for("hello\n! command -v aspcud", build_depends=needs), resolver="aspcud", profiles=("nocheck",)
    )
    await engine.build(request, on_log=log.extend)
    assert b"\nHello, world!\n" in log
