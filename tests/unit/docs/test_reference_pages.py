"""What the reference says is what the code does."""

import pytest
from tests.unit.docs.reference_pages import PAGES, REFERENCE


@pytest.mark.parametrize("name", PAGES)
def test_a_page_made_from_the_code_is_up_to_date(name: str) -> None:
    assert (REFERENCE / name).read_text() == PAGES[name](), "run: python -m tests.unit.docs.reference_pages"
