from deborch_hub.domain.compose_diff import output_changes, packages_by_target, target_diffs


def document(**versions: str) -> dict[str, object]:
    packages = {f"{name}_{version}_amd64": {} for name, version in versions.items()}
    return {"payload": {"packages": {"minimal": {"amd64": {"source_1": packages}}}}}


def test_packages_that_are_new_gone_or_of_another_version_differ():
    before = packages_by_target(document(bash="5.2-1", dash="0.5.12-2", gone="1"))
    after = packages_by_target(document(bash="5.2-2", dash="0.5.12-2", new="1:2"))
    (diff,) = target_diffs(before, after, {"minimal.amd64": "aa"}, {"minimal.amd64": "bb"})
    assert [(change.package, change.before, change.after) for change in diff.packages] == [
        ("bash", "5.2-1", "5.2-2"), ("gone", "1", None), ("new", None, "1:2"),
    ]  # fmt: skip
    assert (diff.commit_before, diff.commit_after) == ("aa", "bb")


def test_two_composes_of_the_same_packages_differ_in_nothing():
    same = packages_by_target(document(bash="5.2-1"))
    assert target_diffs(same, same, {"minimal.amd64": "aa"}, {"minimal.amd64": "aa"}) == []


def test_a_document_of_another_shape_has_no_packages():
    for strange in ({}, {"payload": 3}, {"payload": {"packages": []}}, {"payload": {"packages": {"v": 1}}}):
        assert packages_by_target(strange) == {}


def test_files_differ_by_content_and_not_by_size_alone():
    before = {"a": ("1", 5), "b": ("2", 5), "c": ("3", 5)}
    after = {"a": ("1", 5), "b": ("9", 5), "d": ("4", 7)}
    changes = [(change.path, change.before_bytes, change.after_bytes) for change in output_changes(before, after)]
    assert changes == [("b", 5, 5), ("c", 5, None), ("d", None, 7)]
