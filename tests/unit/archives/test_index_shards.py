"""An index that is patched is the index that would be made anew."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from deborch_hub.archives.shards import (
    Draft,
    Shard,
    blocks_of,
    count_stanzas,
    patch,
    split,
    starts_shard,
    total_packages,
)

CANDIDATES = [f"{letter}{number}" for number in range(400) for letter in "abcxyz"]
STARTING = list(itertools.islice(filter(starts_shard, CANDIDATES), 8))
ALPHABET = [*STARTING, *itertools.islice(itertools.filterfalse(starts_shard, CANDIDATES), 40)]
names = st.sampled_from(ALPHABET)
blocks = st.builds(lambda versions: tuple(sorted(set(versions))), st.lists(st.integers(1, 5), min_size=1, max_size=3))
contents = st.dictionaries(names, blocks, max_size=len(ALPHABET))
changes = st.lists(st.dictionaries(names, st.none() | blocks, max_size=12), max_size=6)


def block(package, versions):
    return "".join(
        f"Package: {package}\nVersion: {version}\nArchitecture: {'all' if version == 1 else 'amd64'}\n\n"
        for version in versions
    ).encode()


class Store:
    """Shards by first name and text, as the cache keeps them by digest."""

    def __init__(self) -> None:
        self.texts = {}
        self.loaded = []

    def keep(self, shard):
        if isinstance(shard, Shard):
            return shard
        assert isinstance(shard, Draft)
        digest = f"digest of {shard.text!r}"
        self.texts[digest] = shard.text
        return Shard(shard.first, digest, len(shard.text), 0, *count_stanzas(shard.text))

    def load(self, shard):
        self.loaded.append(shard)
        return self.texts[shard.digest]


def make(store, content):
    return [store.keep(draft) for draft in split({name: block(name, versions) for name, versions in content.items()})]


@settings(max_examples=300, deadline=None)
@given(contents, changes)
def test_patching_gives_the_same_shards_as_making_anew(content, all_changes):
    store = Store()
    content = dict(content)
    shards = make(store, content)
    for change in all_changes:
        blocks_of_change = {name: None if new is None else block(name, new) for name, new in change.items()}
        shards = [store.keep(shard) for shard in patch(shards, blocks_of_change, store.load)]
        content = {name: new for name, new in {**content, **change}.items() if new is not None}
        assert shards == make(store, content)


def test_one_changed_package_touches_one_shard_of_many():
    store = Store()
    shards = make(store, {f"package{number}": (2,) for number in range(20_000)})
    assert 40 < len(shards) < 160
    patched = patch(shards, {"package777": block("package777", (3,))}, store.load)
    assert len(store.loaded) == 1
    assert sum(isinstance(shard, Draft) for shard in patched) == 1


def test_an_index_is_sorted_by_package_name():
    store = Store()
    shards = make(store, dict.fromkeys(ALPHABET, (2,)))
    text = b"".join(store.load(shard) for shard in shards)
    assert list(blocks_of(text)) == sorted(ALPHABET)


def test_packages_of_all_architectures_count_once():
    store = Store()
    amd64 = make(store, {"data": (1,), "tool": (2,)})
    arm64 = make(store, {"data": (1,), "tool": (3,), "other": (2,)})
    assert total_packages([amd64, arm64]) == 4
    assert total_packages([]) == 0
