from importlib import resources

import pytest

from deborch_shared.db.queries import load_queries, parse_queries

TWO = """
-- shared heading
-- name: first
-- What the first is for.
SELECT 1;

-- name: second
-- What the second is for,
-- on two lines.
SELECT 2
FROM t;
"""


def test_each_query_has_its_name_its_description_and_no_semicolon():
    queries = parse_queries(TWO, "x.sql")
    assert list(queries) == ["first", "second"]
    assert queries["first"] == "-- first\n-- What the first is for.\nSELECT 1"
    assert queries["second"].endswith("FROM t")


def test_a_query_without_a_description_is_refused_by_name():
    with pytest.raises(ValueError, match=r"x\.sql: query bare"):
        parse_queries("-- name: bare\nSELECT 1;", "x.sql")


def test_a_name_given_twice_is_refused():
    with pytest.raises(ValueError, match="twice"):
        parse_queries("-- name: a\n-- x\nSELECT 1;\n-- name: a\n-- y\nSELECT 2;", "x.sql")


def package_of(tmp_path, monkeypatch, **files: str) -> None:
    for name, text in files.items():
        (tmp_path / f"{name}.sql").write_text(text)
    monkeypatch.setattr(resources, "files", lambda _: tmp_path)


def test_all_files_of_a_package_are_read(tmp_path, monkeypatch):
    package_of(tmp_path, monkeypatch, a="-- name: a\n-- x\nSELECT 1", b="-- name: b\n-- x\nSELECT 2")
    assert set(load_queries("any")) == {"a", "b"}


def test_the_same_name_in_two_files_is_refused(tmp_path, monkeypatch):
    package_of(tmp_path, monkeypatch, a="-- name: a\n-- x\nSELECT 1", b="-- name: a\n-- x\nSELECT 2")
    with pytest.raises(ValueError, match=r"b\.sql: a stands in another file"):
        load_queries("any")
