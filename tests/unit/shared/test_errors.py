import pytest

from deborch_shared.errors import ERRORS, DeborchError, ErrorCode, bounded


def test_every_code_has_a_status_and_a_title_of_its_own():
    assert set(ERRORS) == set(ErrorCode)
    titles = [spec.title for spec in ERRORS.values()]
    assert len(titles) == len(set(titles))
    assert all(400 <= spec.status <= 599 for spec in ERRORS.values())


def test_codes_are_stable_words_that_scripts_can_match():
    for code in set(ErrorCode) - {ErrorCode.DEPENDENCY_WAIT}:
        assert code.value == code.name.lower().replace("_", "-")
    assert ErrorCode.DEPENDENCY_WAIT == "dep-wait"


@pytest.mark.parametrize("code", [code for code, spec in ERRORS.items() if spec.temporary])
def test_what_is_temporary_is_nobodys_mistake_in_the_request(code):
    assert ERRORS[code].status in {429, 500, 502, 503, 507}


def test_an_error_shows_what_happened_and_what_to_do():
    error = DeborchError(ErrorCode.DISK_FULL, "the disk is full", hint="free some", path="/var")
    assert str(error) == "the disk is full (free some)"
    assert error.temporary
    assert error.fields == {"path": "/var"}


def test_foreign_text_is_cut_in_the_middle_and_says_by_how_much():
    shown = bounded("a" * 600 + "b" * 600, 100)
    assert shown.startswith("a" * 50)
    assert shown.endswith("b" * 50)
    assert "1100 characters" in shown


def test_bytes_that_are_no_utf8_are_shown_all_the_same():
    assert bounded(b"caf\xe9") == "caf�"
