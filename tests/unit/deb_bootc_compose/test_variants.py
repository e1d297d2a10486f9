"""Variants: inheritance, patterns, architectures, and what is wrong with them."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from deb_bootc_compose.treefile.resolved import ResolvedTreefile
from deb_bootc_compose.treefile.resolving import Asked, resolve, resolve_all, targets
from deborch_shared.errors import DeborchError

BASE = """\
suite: trixie
architectures: [amd64, arm64]
kernel: linux-image-${architecture}
packages: [base]
"""


def written(directory: Path, variants: str, **files: str) -> Path:
    for name, text in files.items():
        (directory / f"{name}.yaml").write_text(text)
    path = directory / "tree.yaml"
    path.write_text(f"{BASE}variants:\n{variants}")
    return path


def resolved(path: Path, variables: Mapping[str, str] | None = None) -> dict[str, ResolvedTreefile]:
    return {
        f"{name}.{arch}": found for (name, arch), found in resolve_all(Asked(path, variables or {})).items()
    }  # fmt: skip


def refusal(path: Path) -> str:
    with pytest.raises(DeborchError) as caught:
        resolve_all(Asked(path))
    return str(caught.value)


def test_each_variant_is_there_for_each_architecture_and_has_a_ref_and_a_name_of_its_own(tmp_path):
    found = resolved(written(tmp_path, "  server: {packages: [ssh]}\n  edge: {architectures: [arm64]}\n"))
    assert list(found) == ["server.amd64", "server.arm64", "edge.arm64"]
    assert found["server.amd64"].ref == "debian/trixie/amd64/server"
    assert found["edge.arm64"].output_name == "tree-edge-${version}.arm64"
    assert found["server.arm64"].packages == ("base", "ssh")
    assert found["edge.arm64"].packages == ("base",)


def test_what_is_inherited_lies_below_patterns_and_those_below_the_variant_itself(tmp_path):
    found = resolved(
        written(
            tmp_path,
            """\
  common: {abstract: true, packages: [common], hostname: common, locale: C, timezone: UTC}
  server-web: {inherits: common, packages: [web], hostname: web}
  server-*: {packages: [pattern], hostname: pattern, locale: pattern.UTF-8}
  "*-mail": {architectures: [amd64]}
  server-mail: {inherits: common}
""",
        )
    )
    assert list(found) == ["server-web.amd64", "server-web.arm64", "server-mail.amd64"]
    web, mail = found["server-web.amd64"], found["server-mail.amd64"]
    assert web.packages == ("base", "common", "pattern", "web")
    assert (web.hostname, web.locale, web.timezone) == ("web", "pattern.UTF-8", "UTC")
    assert mail.hostname == "pattern"


def test_a_variant_that_is_inherited_twice_counts_once(tmp_path):
    found = resolved(
        written(
            tmp_path,
            "  root: {abstract: true, packages: [root]}\n  left: {inherits: root, packages: [left]}\n"
            "  right: {inherits: root, packages: [right]}\n  both: {inherits: [left, right], packages: [both]}\n",
        )
    )
    assert found["both.amd64"].packages == ("base", "root", "left", "right", "both")


def test_abstract_and_inherits_are_not_handed_on(tmp_path):
    path = written(tmp_path, "  a1: {abstract: true, architectures: [amd64]}\n  b1: {inherits: a1}\n")
    assert targets(Asked(path)) == [("b1", "amd64"), ("b1", "arm64")]


def test_a_pattern_may_inherit_for_all_that_match_it(tmp_path):
    found = resolved(written(tmp_path, "  edge: {packages: [edge]}\n  edge*: {inherits: edge}\n  edge-x: {}\n"))
    assert found["edge-x.amd64"].packages == ("base", "edge")
    assert found["edge.amd64"].packages == ("base", "edge")


def test_a_variant_includes_files_and_has_parts_for_one_architecture(tmp_path):
    path = written(
        tmp_path,
        "  kiosk:\n    include: kiosk.yaml\n    packages-arm64: [arm]\n"
        "    per-architecture: {amd64: {kernel: linux-image-cloud-amd64}}\n"
        "    conditional-include: [{if: variant == kiosk, include: more.yaml}]\n  plain: {}\n",
        kiosk="packages: [kiosk]\nx-owner: somebody\n",
        more="packages: [more]\n",
    )
    found = resolved(path)
    assert found["kiosk.amd64"].packages == ("base", "kiosk", "more")
    assert found["kiosk.arm64"].packages == ("base", "kiosk", "more", "arm")
    assert found["kiosk.amd64"].kernel == "linux-image-cloud-amd64"
    assert found["kiosk.amd64"].custom == {"x-owner": "somebody"}
    assert found["plain.amd64"].custom == {}
    assert set(found["plain.amd64"].files) == {"tree.yaml"}


def test_build_configuration_and_outputs_are_per_variant(tmp_path):
    found = resolved(
        written(
            tmp_path,
            "  a1: {sources: [{source: hello}], build: {target: trixie-edge}, outputs: [raw]}\n"
            "  b1: {outputs: [tar]}\n",
        )
    )
    assert found["a1.amd64"].build.target == "trixie-edge"
    assert found["a1.amd64"].sources[0].source == "hello"
    assert [kind.value for kind in found["b1.amd64"].outputs] == ["tar"]
    assert found["b1.amd64"].build.target is None


def test_variants_of_an_included_file_merge_with_those_of_the_includer(tmp_path):
    (tmp_path / "base.yaml").write_text("variants: {one: {packages: [lower]}, two: {}}\n")
    path = tmp_path / "tree.yaml"
    path.write_text(BASE + "include: base.yaml\nvariants: {one: {packages: [upper]}}\n")
    found = resolved(path)
    assert found["one.amd64"].packages == ("base", "lower", "upper")
    assert "two.amd64" in found


def test_a_variable_of_one_variant_may_be_given_and_one_of_none_may_not(tmp_path):
    path = written(tmp_path, "  a1: {variables: {host: x}, hostname: '${host}'}\n  b1: {}\n")
    assert resolved(path, {"host": "given"})["a1.amd64"].hostname == "given"
    with pytest.raises(DeborchError, match="--variable hots: the treefile has no such variable; the nearest is host"):
        resolve_all(Asked(path, {"hots": "x"}))


@pytest.mark.parametrize(
    ("variants", "expected"),
    [
        ("  server-*: {}\n  edge: {}\n", ":6: variants.server-*: matches no variant; there are edge"),
        ("  a1: {inherits: b1}\n  b1: {inherits: c1}\n  c1: {inherits: a1}\n", "a1 -> b1 -> c1 -> a1"),
        ("  a1: {inherits: a1}\n", "a1 inherits itself"),
        ("  server: {}\n  edge: {inherits: sever}\n", ":7: variants.edge.inherits: there is no variant sever"),
        ("  a1: {architectures: [riscv64]}\n", "the treefile is not for riscv64"),
        ("  a1: {ref: debian/x}\n", "both have debian/x"),
        ("  a1: {include: with-variants.yaml}\n", "a file that a variant includes has none"),
        ("  a1: {variants: {}}\n", "variants.a1.variants is no key"),
        ("  a*: {abstract: true}\n  a1: {}\n", ":6: variants.a*.abstract: a pattern is no variant"),
        ("  'a b': {}\n", "letters, digits"),
        ("  a1: {abstract: true, packges: []}\n  b1: {}\n", "variants.a1.packges is no key; the nearest is packages"),
    ],
)
def test_what_is_wrong_with_variants_is_told(tmp_path, variants, expected):
    assert expected in refusal(written(tmp_path, variants, **{"with-variants": "variants: {x1: {}}\n"}))


def test_a_treefile_of_several_variants_asks_which(tmp_path):
    path = written(tmp_path, "  a1: {}\n  b1: {}\n")
    with pytest.raises(DeborchError, match="which variant") as caught:
        resolve(path)
    assert "--variant" in caught.value.hint
    with pytest.raises(DeborchError, match="variant a2: there is none; the nearest is a1"):
        resolve(path, "a2")
    assert resolve(path, "a1", "arm64").architecture == "arm64"


def test_targets_are_chosen_by_patterns(tmp_path):
    path = written(tmp_path, "  server-web: {}\n  server-db: {}\n  edge: {}\n")
    found = resolve_all(Asked(path), variants=["server-*"], architectures=["arm*"])
    assert list(found) == [("server-web", "arm64"), ("server-db", "arm64")]


def test_a_problem_is_told_with_the_key_that_it_has_where_it_is_written(tmp_path):
    path = written(tmp_path, "  a1:\n    packages: [ok, Bad]\n    users:\n      - {name: x, uid: '${number}'}\n")
    path.write_text(path.read_text() + "variables: {number: many}\n")
    text = refusal(path)
    assert f"{path}:9: variants.a1.users[0].uid: " in text
    path.write_text(path.read_text().replace("many", "5"))
    assert f"{path}:7: variants.a1.packages[1]: " in refusal(path)


def test_the_example_of_the_explanation_is_right(tmp_path):
    page = (Path(__file__).parents[3] / "docs/explanation/variants.md").read_text()
    path = tmp_path / "server.yaml"
    path.write_text(page.partition("```yaml\n")[2].partition("```")[0])
    found = resolved(path)
    assert list(found) == ["server.amd64", "server.arm64", "server-web.amd64", "server-web.arm64", "server-db.amd64"]
    assert found["server-web.arm64"].packages[-3:] == ("logrotate", "nginx-light", "libubootenv-tool")
    assert found["server-web.arm64"].units == ("ssh.service",)
    assert found["server-db.amd64"].custom == {"x-owner": "database people"}
