from __future__ import annotations

from datetime import UTC, datetime

from anc_core.jobs.compare_records import Comparison, FileComparison
from anc_core.records import Status
from flows.comparison import comparison_markdown, describe_comparison

COMPARISON = Comparison(
    folder="in|`",
    clean=None,
    created_at=datetime(2026, 1, 2, tzinfo=UTC),
    planned=2,
    ok=1,
    failed=1,
    max_seconds=60.0,
    page_path="/out/a <b>.html",
    files=(
        FileComparison(name="a|b`<i>\n", source_path="x", status=Status.FAILED, reason="<script>"),
    ),
)


def test_text_from_names_is_inert_on_the_page() -> None:
    text = comparison_markdown(COMPARISON)
    assert "| a&#124;b&#96;&lt;i&gt;  | &lt;script&gt; |" in text
    assert "recordings: in&#124;&#96;" in text
    assert "[page to listen to](file:///out/a%20%3Cb%3E.html)" in text


def test_nothing_to_do_is_said() -> None:
    nothing = COMPARISON.model_copy(update={"nothing_to_do": True})
    assert describe_comparison(nothing) == "nothing to compare: no recording was found"
    assert "0 systems on 2 recordings (1 ok, 1 failed)" in describe_comparison(COMPARISON)
