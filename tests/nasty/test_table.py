"""docs/bad-inputs.md is true: its codes, its words and its tests exist."""

from __future__ import annotations

import functools
import re

import pytest

from anc_core.errors import ErrorCode, WarningCode
from tests.nasty.table import PAGE, ROOT, TABLE, Row, page

CODES = {*ErrorCode, *WarningCode}


def test_every_row_of_the_specification_is_there() -> None:
    assert list(TABLE) == list(range(1, 47))


def test_the_page_is_what_the_table_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()


@functools.cache
def source() -> str:
    return "\n".join(path.read_text() for path in sorted((ROOT / "anc_core").rglob("*.py")))


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE.keys())
def test_codes_words_and_tests_of_a_row_exist(row: Row) -> None:
    assert set(re.findall(r"\b[A-Z]+_[A-Z_]+\b", row.outcome)) <= CODES
    assert row.words in source()
    for test in row.tests:
        name, _, start = test.partition("::")
        text = (ROOT / "tests" / f"{name}.py").read_text()
        assert re.search(rf"^def {start}", text, re.MULTILINE), test
