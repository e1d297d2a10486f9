"""Whatever is written, the answer is a resolved treefile or an error that names the place."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deb_bootc_compose.failures import exit_code
from deb_bootc_compose.treefile.resolving import Asked, resolve_all
from deb_bootc_compose.treefile.written import Treefile, Variant
from deborch_shared.errors import DeborchError

KEYS = sorted({field.alias or name for model in (Treefile, Variant) for name, field in model.model_fields.items()})
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 2000),
    st.sampled_from(
        ["trixie", "amd64", "${suite}", "${x}", "a.yaml", "b.yaml", "../c", "one", "o*", "x == 1", "", "/", "a\n"]
    ),
    st.text(max_size=6),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(
                st.sampled_from(["name", "one", "o*", "two", "amd64", "if", "include", "source"]), st.sampled_from(KEYS)
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(
    st.one_of(st.sampled_from(KEYS), st.sampled_from(["packages-amd64", "packages-x", "x-y", "repos"])),
    VALUES,
    max_size=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(outer=DOCUMENTS, inner=DOCUMENTS, is_base=st.booleans())
def test_whatever_is_written_ends_in_a_treefile_or_a_refusal(
    tmp_path: Path, outer: dict[str, Any], inner: dict[str, Any], is_base: bool
) -> None:
    base = {"suite": "trixie", "kernel": "linux-image-amd64", "architectures": ["amd64"], "include": "b.json"}
    (tmp_path / "a.json").write_text(json.dumps({**base, **outer} if is_base else outer))
    (tmp_path / "b.json").write_text(json.dumps(inner))
    try:
        found = resolve_all(Asked(tmp_path / "a.json"))
    except DeborchError as error:
        assert exit_code(error) == 3
        assert error.fields["problems"]
    else:
        assert all(len(treefile.digest) == 64 for treefile in found.values())


@pytest.mark.parametrize(
    "text", ["", "[1]", "a: b: c", "&a {x-a: *a}", "\x00", "? [a]\n: b\n", "suite: !!python/name:os.system x"]
)
def test_what_is_no_map_of_keys_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tree.yaml"
    path.write_text(text)
    with pytest.raises(DeborchError) as caught:
        resolve_all(Asked(path))
    assert str(path) in str(caught.value)
