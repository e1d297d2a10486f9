"""The rules by which one part of a treefile goes over another, for whatever is written."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from deb_bootc_compose.treefile.nodes import EMPTY, Node, document_of, merged, node_of
from deborch_shared.documents.positions import Document, Origin

SCALARS = st.sampled_from([1, 2, True, "text"])
NAMED = st.fixed_dictionaries({"name": st.sampled_from("abc"), "uid": st.integers(0, 3)})
LISTS = st.lists(st.one_of(st.sampled_from("pqr"), NAMED), max_size=4)
"""A key has the same kind in each part: `check_document` has seen to that."""
PARTS = st.fixed_dictionaries(
    {},
    optional={
        "hostname": SCALARS,
        "packages": LISTS,
        "users": LISTS,
        "architectures": LISTS,
        "oci": st.fixed_dictionaries({}, optional={"name": SCALARS, "tags": LISTS, "cmd": LISTS}),
        "replace": st.lists(st.sampled_from(["packages", "oci.tags", "oci", "hostname"]), max_size=2),
        "variants": st.dictionaries(
            st.sampled_from(["one", "two"]),
            st.fixed_dictionaries({}, optional={"packages": LISTS, "replace": st.just(["packages"])}),
        ),
    },
)


def node(values: dict[str, Any], place: str = "x") -> Node:
    return node_of(Document(values, {(key,): Origin(place, 1) for key in values}))


@given(PARTS, PARTS, PARTS)
def test_parts_may_be_grouped_in_any_way(low: dict[str, Any], middle: dict[str, Any], high: dict[str, Any]) -> None:
    a, b, c = node(low), node(middle), node(high)
    assert merged(merged(a, b), c).plain() == merged(a, merged(b, c)).plain()


@given(PARTS)
def test_nothing_changes_nothing(part: dict[str, Any]) -> None:
    assert merged(EMPTY, node(part)).plain() == part
    without = {key: value for key, value in part.items() if key != "replace"}
    assert merged(node(without), EMPTY).plain() == without


@given(PARTS, PARTS)
def test_scalars_of_the_upper_part_win_and_its_lists_come_last(low: dict[str, Any], high: dict[str, Any]) -> None:
    result = merged(node(low, "low"), node(high, "high"))
    plain = result.plain()
    if "hostname" in high:
        assert plain["hostname"] == high["hostname"]
        assert str(document_of(result).origins["hostname",]) == "high:1"
    elif "hostname" in low and "hostname" not in high.get("replace", []):
        assert plain["hostname"] == low["hostname"]
    texts = [item for item in high.get("packages", []) if isinstance(item, str)]
    merged_texts = [item for item in plain.get("packages", []) if isinstance(item, str)]
    assert merged_texts[len(merged_texts) - len(texts) :] == texts
    if "packages" in high.get("replace", []):
        assert merged_texts == texts
    if "architectures" in high:
        assert plain["architectures"] == high["architectures"]


@given(PARTS)
def test_values_and_origins_come_apart_as_they_were(part: dict[str, Any]) -> None:
    assert document_of(node(part)).values == part
