"""Places in a root where something is mounted."""

import pytest

from deborch_shared.sandbox.inside.root import Root


@pytest.mark.parametrize("target", ["/../above", "/etc/../../above", "/..", "/etc/./x"])
def test_no_target_leads_out_of_the_root(tmp_path, target):
    root = Root({"first_id": None, "directory": str(tmp_path / "box")}, None)
    etc = tmp_path / "box" / "root" / "etc"
    etc.mkdir(parents=True)
    for place in (root._directory_inside, root._file_inside):
        with pytest.raises(OSError, match="no plain path"):
            place(target)
    assert list((tmp_path / "box").rglob("*")) == [etc.parent, etc]
