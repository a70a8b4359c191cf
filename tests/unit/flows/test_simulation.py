from __future__ import annotations

from datetime import UTC, datetime

from anc_core.errors import ErrorCode
from anc_core.jobs.simulate_records import PathFiles
from anc_core.jobs.sweep_grid import SweepCell
from anc_core.jobs.sweep_records import Score, SweepResult, SweepRow
from anc_core.records import Status
from flows.simulation import sweep_markdown

SCORE = Score(
    cell=SweepCell(algorithm="fxnlms"), num_taps=64, step_size=0.25, recordings=2, median_db=12.34
)
RESULT = SweepResult(
    folder="in|`",
    created_at=datetime(2026, 1, 2, tzinfo=UTC),
    paths=PathFiles(primary="p", secondary="s"),
    sample_rate=8_000,
    grid={},
    recordings=2,
    failed_recordings=1,
    planned=6,
    ok=3,
    failed=3,
    outcomes={"ok": 2, "tripped": 1},
    best=SCORE,
    page_path="/out/a <b>.html",
    parquet_reason="needs <pyarrow>",
    failures=(
        SweepRow(
            key="",
            recording="a|b`<i>\n",
            status=Status.FAILED,
            error_code=ErrorCode.NOT_AUDIO,
            reason="<script>",
        ),
    ),
)


def test_text_from_names_is_inert_on_the_page() -> None:
    text = sweep_markdown(RESULT)
    assert "| a&#124;b&#96;&lt;i&gt;  | NOT_AUDIO: &lt;script&gt; |" in text
    assert "recordings: in&#124;&#96;" in text
    assert "[page](file:///out/a%20%3Cb%3E.html)" in text
    assert "needs &lt;pyarrow&gt;" in text


def test_counts_and_findings_are_said() -> None:
    text = sweep_markdown(RESULT)
    assert "6 cells on 2 recordings: 3 ok (of these 1 tripped), 3 failed" in text
    assert "best: fxnlms, step 0.25, 64 taps: 12.3 dB in the median" in text
    assert "holds up best" not in text
    wrong = SCORE.model_copy(
        update={"cell": SweepCell(algorithm="fxlog", io_delay=4, gain_db=-6.0), "median_db": 1.0}
    )
    text = sweep_markdown(RESULT.model_copy(update={"robust": wrong}))
    assert "holds up best: fxlog, step 0.25, 64 taps: 1.0 dB at its worst" in text
    assert "(estimate wrong by -6 dB, 4 samples of delay)" in text


def test_nothing_to_do_is_said() -> None:
    nothing = RESULT.model_copy(update={"nothing_to_do": True})
    assert "nothing to simulate: no recording was found" in sweep_markdown(nothing)
