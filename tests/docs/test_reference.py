"""The reference says what the code says now."""

from __future__ import annotations

import pytest

from docs.reference.__main__ import FOLDER, PAGES


@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_the_reference_is_what_the_code_makes(name: str) -> None:
    said = (FOLDER / name).read_text(encoding="utf-8")
    assert said == PAGES[name](), "run: python -m docs.reference"
