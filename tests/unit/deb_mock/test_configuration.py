"""A configuration is read in layers, checked, and each value knows where it was written."""

import json
from pathlib import Path

import pytest

from deb_mock.configuration.documents import parse_yaml, read_document
from deb_mock.configuration.engine_settings import engine_config, option_defaults, request_defaults
from deb_mock.configuration.resolve import Asked, Places, check_file, require_architecture, resolve
from deb_mock.configuration.schema import json_schema
from deb_mock.configuration.settings import Settings
from deb_mock.configuration.templates import SHIPPED
from deb_mock.engine_config import Scratch
from deb_mock.failures import exit_code
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.sandbox.spec import Filtering


@pytest.fixture
def places(tmp_path):
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "os-release").write_text("ID=debian\nVERSION_CODENAME=bookworm\n")
    return Places(system=etc / "deb-mock", user=tmp_path / "user", os_etc=etc)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def resolved(places, *options: str, file=None, environment=None, **given: str):
    return resolve(Asked(file, options, given), environment or {}, places, native="amd64")


def refusal(places, text, *, name="deb-mock.yaml"):
    with pytest.raises(DeborchError) as caught:
        resolved(places, file=write(places.user / name, text))
    assert caught.value.code is ErrorCode.INVALID_SETTING
    assert exit_code(caught.value) == 3
    return caught.value


def test_each_layer_goes_over_the_one_below_and_is_named(places, tmp_path):
    key = "limits: {wall: %s}\n"
    expected = [("built-in", 6 * 3600.0)]
    assert resolved(places).settings.limits.wall == expected[0][1]
    system = write(places.system / "config.yaml", "# ours\n" + key % "1h")
    assert resolved(places).origin("limits", "wall") == f"{system}:2"
    part = write(places.system / "conf.d" / "10-site.yaml", key % "2h")
    assert resolved(places).origin("limits", "wall") == f"{part}:1"
    user = write(places.user / "config.toml", "[limits]\nwall = 10800\n")
    assert (resolved(places).origin("limits", "wall"), resolved(places).settings.limits.wall) == (f"{user}:2", 10_800)
    file = write(tmp_path / "deb-mock.yaml", key % "4 h")
    assert resolved(places, file=file).settings.limits.wall == 14_400
    variable = {"DEB_MOCK_LIMITS__WALL": "5h", "DEB_MOCK_CONFIG": str(file)}
    assert resolved(places, environment=variable).origin("limits", "wall") == "DEB_MOCK_LIMITS__WALL"
    last = resolved(places, "limits.wall=90 min", environment=variable)
    assert (last.settings.limits.wall, last.origin("limits", "wall")) == (5_400, "-o limits.wall")


def test_maps_merge_lists_replace_and_a_plus_adds(places):
    write(places.system / "config.yaml", "build: {jobs: 3, options: [nocheck]}\ncomponents: [main, contrib]\n")
    write(places.user / "config.yaml", "build:\n  options+: [terse]\ncomponents: [main]\n")
    found = resolved(places)
    assert (found.settings.build.jobs, found.settings.build.options) == (3, ("nocheck", "terse"))
    assert found.settings.components == ("main",)
    assert found.origin("build", "options").startswith(f"{places.system}/config.yaml:1, {places.user}/config.yaml:2")


def test_a_plus_adds_to_what_the_template_or_the_default_says(places):
    write(places.user / "config.yaml", "components+: [universe-extra]\n")
    assert resolved(places, suite="noble").settings.components == ("main", "universe", "universe-extra")
    assert resolved(places, suite="mine").settings.components == ("main", "universe-extra")
    added = resolved(places, "build.options+=[terse]", "build.options+=[nocheck]")
    assert added.settings.build.options == ("terse", "nocheck")
    assert resolved(places, "components=[main]").settings.components == ("main",)


@pytest.mark.parametrize("suite", ["bookworm", "trixie", "forky", "sid", "jammy", "noble", "resolute"])
def test_every_shipped_suite_has_a_template_that_says_what_it_needs_and_no_mirror(places, suite):
    settings = resolved(places, suite=suite).settings
    ubuntu = suite in ("jammy", "noble", "resolute")
    assert settings.distribution == ("ubuntu" if ubuntu else "debian")
    assert settings.keyring.name == f"{settings.distribution}-archive-keyring.gpg"
    assert settings.pockets == (() if suite == "sid" else ("updates", "security"))
    assert settings.mirror is None
    assert "://" not in (SHIPPED / f"{suite}.yaml").read_text()


def test_a_local_template_hides_the_shipped_one_and_can_include_it(places):
    write(places.system / "templates" / "ubuntu.yaml", "include: ubuntu\nmirror: http://near.example.org/ubuntu\n")
    found = resolved(places, suite="noble")
    assert found.settings.mirror == "http://near.example.org/ubuntu"
    assert found.settings.distribution == "ubuntu"
    assert resolved(places, suite="sid").settings.mirror is None


def test_the_template_of_the_architecture_goes_over_that_of_the_suite(places):
    write(places.user / "templates" / "riscv64.toml", "[limits]\nwall = '2d'\n")
    assert resolved(places, architecture="riscv64", suite="trixie").settings.limits.wall == 172_800
    assert resolved(places, suite="trixie").settings.limits.wall == 21_600


def test_templates_that_include_each_other_are_named(places):
    write(places.user / "templates" / "ours.yaml", "include: [theirs]\n")
    write(places.user / "templates" / "theirs.yaml", "include: [ours]\n")
    message = refusal(places, "include: ours\n").message
    assert "ours.yaml -> " in message
    assert "theirs.yaml -> " in message


def test_an_include_that_is_not_there_says_which_there_are(places):
    error = refusal(places, "suite: sid\ninclude: [trixi]\n")
    assert "deb-mock.yaml:2: include: there is no template 'trixi'" in error.message
    assert "trixie" in error.hint


def test_relative_paths_are_relative_to_their_file(places, tmp_path):
    part = write(tmp_path / "site" / "common.yaml", "keyring: keys.gpg\nrepositories: [ours.sources]\n")
    file = write(tmp_path / "here" / "deb-mock.yaml", "include: ../site/common.yaml\nsource: {keyring: dsc.gpg}\n")
    settings = resolved(places, file=file).settings
    assert Path(settings.keyring).resolve() == part.with_name("keys.gpg")
    assert [path.resolve() for path in settings.repositories] == [part.with_name("ours.sources")]
    assert settings.source.keyring == file.with_name("dsc.gpg")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tmpsf: off\n", "deb-mock.yaml:1: tmpsf is no key; the nearest is tmpfs"),
        ("suite: sid\nlimits:\n  wal: 3\n", "deb-mock.yaml:3: limits.wal is no key; the nearest is wall"),
        ("plugins:\n- name: lintian\n- nam: x\n", "deb-mock.yaml:3: plugins[1].nam is no key; the nearest is name"),
        ("limits:\n  wall: soon\n", "deb-mock.yaml:2: limits.wall: 'soon' is not a duration"),
        ("build: {jobs: 0}\n", "deb-mock.yaml:1: build.jobs: Input should be greater than or equal to 1"),
        ("ids:\n  firstt: 3\n", "deb-mock.yaml:2: ids.firstt is no key; the nearest is first"),
        ("suite: sid\nsuite: trixie\n", "deb-mock.yaml:2: suite is there twice, first in line 1"),
        ("suite: [\n", "deb-mock.yaml:2: "),
        ("- suite\n", "deb-mock.yaml:1: a map of keys is expected"),
        ("suite: !!python/object/apply:os.system [true]\n", "deb-mock.yaml:1: "),
        ("a: &a [*a]\n", "deb-mock.yaml:1: too much, or an alias of itself"),
        ("1: x\n", "deb-mock.yaml:1: a key must be plain text"),
        ("suite: trixi\n", "there is no suite 'trixi'"),
        ("suite: trixie\narchitecture: vax\n", "trixie has no architecture vax"),
    ],
)
def test_what_is_wrong_is_told_with_file_line_key_and_the_nearest_key(places, text, said):
    assert said in refusal(places, text).message


def test_toml_errors_have_a_line_too(places):
    assert (
        "deb-mock.toml:3: limits.wal is no key"
        in refusal(places, 'suite = "sid"\n[limits]\nwal = 3\n', name="deb-mock.toml").message
    )
    assert "deb-mock.toml: " in refusal(places, "suite = 'a'\nsuite = 'b'\n", name="deb-mock.toml").message
    several = '[[plugins]]\nname = "a"\n[[plugins]]\nnam = "b"\n'
    assert "deb-mock.toml:4: plugins[1].nam is no key" in refusal(places, several, name="deb-mock.toml").message


def test_yaml_and_toml_say_the_same(places, tmp_path):
    yaml = write(tmp_path / "a.yaml", "tmpfs: 2 GiB\nbuild: {options: [nocheck]}\nplugins: [lintian]\n")
    toml = write(tmp_path / "a.toml", 'tmpfs = "2 GiB"\nplugins = ["lintian"]\n[build]\noptions = ["nocheck"]\n')
    assert resolved(places, file=yaml).settings == resolved(places, file=toml).settings


def test_a_file_that_cannot_be_read_is_an_error_and_not_a_traceback(places, tmp_path):
    with pytest.raises(DeborchError, match=r"none\.yaml: No such file"):
        check_file(tmp_path / "none.yaml", places)
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(DeborchError, match="not UTF-8"):
        read_document(binary)


def test_the_engine_gets_what_is_configured(places):
    settings = resolved(
        places,
        "tmpfs=3 GiB",
        "ids={first: 7000000}",
        "components=[main, contrib]",
        "limits.log_size=1 MiB",
        "plugins=[{name: lintian, required: false}]",
        "mirror=http://near.example.org/debian",
        suite="sid",
    ).settings
    config = engine_config(settings, {})
    assert (config.tmpfs_bytes, config.scratch) == (3 << 30, Scratch.TMPFS)
    assert config.ids is not None
    assert (config.ids.first, config.mirror) == (7_000_000, "http://near.example.org/debian")
    assert [(one.name, one.required) for one in config.plugins] == [("lintian", False)]
    defaults = {"components": ("main", "contrib"), "log_limit_bytes": 1 << 20, "log_idle_s": None}
    assert request_defaults(settings) == defaults
    limited = engine_config(resolved(places, "limits={memory: 2 GiB, pids: 500}", "isolation.seccomp=off").settings, {})
    assert limited.limits is not None
    assert (limited.limits.memory_bytes, limited.limits.pids, limited.limits.disk_free_bytes) == (2 << 30, 500, 1 << 30)
    assert (limited.filtering, limited.network_allowed) == (Filtering.OFF, False)
    off = engine_config(resolved(places, "tmpfs=off", "ids=off").settings, {})
    assert (off.tmpfs_bytes, off.scratch, off.ids) == (None, Scratch.DISK, None)


def test_options_of_commands_default_to_what_is_configured_and_to_nothing_else(places):
    assert option_defaults(resolved(places)) == {}
    found = option_defaults(resolved(places, "build.jobs=3", "tmpfs=off", "limits.wall=1h", "state_dir=/srv/mock"))
    assert option_defaults(resolved(places, "source.orig_signature=off"))["orig_signature"] == "off"
    assert found == {"jobs": 3, "tmpfs_mib": 0, "timeout": 3600.0, "state_dir": "/srv/mock"}
    found = option_defaults(resolved(places, "build.path=/build/reproducible-path/", "snapshot=http://old/{timestamp}"))
    assert found == {"build_path": "/build/reproducible-path/", "snapshot": "http://old/{timestamp}"}


def test_the_schema_names_every_key_and_refuses_others():
    schema = json_schema()
    assert {"suite", "include", "components+", "plugins+"} <= set(schema["properties"])
    assert schema["additionalProperties"] is False
    json.dumps(schema)


def test_an_empty_file_is_an_empty_layer():
    assert parse_yaml("# nothing\n", "x").values == {}


def test_a_user_without_root_has_directories_below_home_unless_a_file_says_otherwise(tmp_path):
    places = Places.of_user({"HOME": str(tmp_path), "XDG_CACHE_HOME": "/scratch"}, without_root=True)
    found = resolve(Asked(), {}, places)
    assert found.settings.state_dir == tmp_path / ".local/share/deb-mock"
    assert found.settings.cache_dir == Path("/scratch/deb-mock")
    (tmp_path / ".config/deb-mock").mkdir(parents=True)
    (tmp_path / ".config/deb-mock/config.yaml").write_text("cache_dir: /own")
    assert resolve(Asked(), {}, places).settings.cache_dir == Path("/own")


def test_root_has_the_directories_of_the_system(tmp_path):
    found = resolve(Asked(), {}, Places.of_user({"HOME": str(tmp_path)}))
    assert found.settings.state_dir == Path("/var/lib/deb-mock")


def test_an_architecture_that_the_suite_has_not_is_refused_also_as_that_of_a_cross_build():
    settings = Settings(suite="bookworm", architectures=("amd64", "arm64"))
    for fine in ("arm64", "", None):
        require_architecture(settings, fine)
    require_architecture(Settings(suite="mine"), "mips64")
    with pytest.raises(DeborchError, match="bookworm has no architecture mips64") as caught:
        require_architecture(settings, "mips64")
    assert "it has amd64, arm64" in caught.value.hint
