"""Lines of a map that the kernel takes."""

import pytest

from deborch_shared.sandbox.inside.id_map import map_lines


@pytest.mark.parametrize(
    ("above", "first", "lines"),
    [
        ("0 0 4294967295", 1_900_000_000, ["0 1900000000 65536\n"]),
        ("0 1000 1\n1 100000 65536", 0, ["0 0 1\n", "1 1 65535\n"]),
        ("0 100000 65536", 0, ["0 0 65536\n"]),
        ("0 100000 65536", 1_900_000_000, []),
    ],
)
def test_each_line_lies_within_one_line_of_the_map_above(tmp_path, above, first, lines):
    own = tmp_path / "uid_map"
    own.write_text(above + "\n")
    assert map_lines(first, 65_536, str(own)) == lines
