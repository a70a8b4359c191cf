"""``anc cancel``, and pairs in ``anc batch``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from anc_core.jobs.records import BatchSummary
from anc_core.records import SessionSummary
from tests.nasty.bench import Bench
from tests.recordings import two_microphones

Anc = Callable[..., tuple[int, str, str]]
RATE = 16_000


@pytest.fixture
def anc(bench: Bench, monkeypatch: pytest.MonkeyPatch, run_cli: Anc) -> Anc:
    """Call ``anc`` on the bench's store; returns exit code, standard output, standard error."""
    monkeypatch.setenv("ANC_DATABASE_URL", bench.settings.resolved_database_url)
    monkeypatch.setenv("ANC_RETRY_DELAY_S", "0")
    monkeypatch.setenv("ANC_WORKERS", "1")
    monkeypatch.chdir(bench.folder)
    return run_cli


def pair(folder: Path, name: str = "x", *, seed: int = 1) -> tuple[Path, Path]:
    """Write what two microphones hear, as two files."""
    folder.mkdir(parents=True, exist_ok=True)
    primary, reference, _ = two_microphones(2.0, seed=seed)
    paths = folder / f"{name}_primary.wav", folder / f"{name}_reference.wav"
    for path, signal in zip(paths, (primary, reference), strict=True):
        sf.write(path, signal, RATE)
    return paths


def two_channels(path: Path) -> Path:
    primary, reference, _ = two_microphones(2.0)
    sf.write(path, np.stack([primary, reference], axis=1), RATE)
    return path


def quieter_db(before: Path, after: Path) -> float:
    signals = [sf.read(path, always_2d=True)[0][RATE:, 0] for path in (before, after)]
    return float(10 * np.log10(np.mean(signals[0] ** 2) / np.mean(signals[1] ** 2)))


def test_two_files(anc: Anc, bench: Bench) -> None:
    primary, reference = pair(bench.inputs)
    code, out, err = anc("cancel", primary, "--reference", reference, "-o", bench.outputs)
    assert (code, err) == (0, "")
    assert "ok" in out
    assert bench.delivered() == ["x_primary.wav"]
    assert quieter_db(primary, bench.outputs / "x_primary.wav") > 0.5


def test_two_channels_of_one_file(anc: Anc, bench: Bench) -> None:
    source = two_channels(bench.inputs / "x.wav")
    code, out, _ = anc(
        *("cancel", source, "--reference-channel", "2", "-o", bench.outputs, "--json"),
    )
    summary = SessionSummary.from_json(out)
    assert (code, summary.mode, summary.num_channels) == (0, "cancel", 1)
    assert sf.info(bench.outputs / "x.wav").channels == 1


def test_every_option_reaches_the_session(anc: Anc, bench: Bench) -> None:
    source = two_channels(bench.inputs / "x.wav")
    code, out, err = anc(
        *("cancel", source, "--reference-channel", "2", "--no-output", "--json"),
        *("--algorithm", "kalman", "--taps", "500", "--step-size", "0.5", "--no-align"),
        *("--max-delay", "0.25", "--preset", "gentle", "--session-id", "hall-1"),
    )
    assert (code, err) == (0, "")
    summary = SessionSummary.from_json(out)
    assert bench.session(summary.session_id).parameters["cancellation"] == {
        "algorithm": "kalman",
        "num_taps": 500,
        "step_size": 0.5,
        "reference_channel": 2,
        "align": False,
        "max_delay_s": 0.25,
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--reference FILE or --reference-channel N"),
        (["--reference-channel", "0"], "1<=x"),
        (["--reference-channel", "2", "--algorithm", "magic"], "choose one of kalman"),
        (["--reference-channel", "2", "--taps", "0"], "1<=x"),
        (["--reference-channel", "2", "--step-size", "2"], "0.0<x<2.0"),
        (["--reference-channel", "2", "--max-delay", "9"], "x<=1.25"),
        (["--reference-channel", "2", "--mode", "suppress"], "--mode"),
    ],
)
def test_wrong_words_are_exit_code_2(anc: Anc, bench: Bench, words: list[str], said: str) -> None:
    code, out, err = anc("cancel", two_channels(bench.inputs / "x.wav"), *words)
    assert (code, out) == (2, "")
    assert said in err
    assert bench.sessions() == []


def test_a_channel_that_is_not_there_is_a_failed_session(anc: Anc, bench: Bench) -> None:
    source = two_channels(bench.inputs / "x.wav")
    code, out, _ = anc("cancel", source, "--reference-channel", "3", "--json")
    summary = SessionSummary.from_json(out)
    assert (code, summary.status, summary.error_code) == (1, "failed", "BAD_CHANNELS")


# ------------------------------------------------------------------ pairs


def batch(anc: Anc, *words: str | Path) -> tuple[int, BatchSummary]:
    code, out, err = anc("batch", *words, "--json")
    assert err == ""
    return code, BatchSummary.from_json(out)


def test_pairs_are_found_by_name_and_their_references_are_no_recordings(
    anc: Anc, bench: Bench
) -> None:
    pair(bench.inputs / "a")
    pair(bench.inputs / "b", "y", seed=2)
    rule = ("--pair", "*_primary.*=*_reference.*", "-o", bench.outputs)
    code, summary = batch(anc, bench.inputs, *rule)
    assert (code, summary.planned, summary.ok) == (0, 2, 2)
    assert bench.delivered() == ["a/x_primary.wav", "b/y_primary.wav"]
    sessions = [bench.session(line.session_id) for line in summary.results]
    assert all(one.mode == "cancel" for one in sessions)
    assert sorted(Path(str(one.reference_path)).name for one in sessions) == [
        "x_reference.wav",
        "y_reference.wav",
    ]
    code, again = batch(anc, bench.inputs, *rule)
    assert (code, again.skipped, again.ok) == (0, 2, 0)


def test_what_lacks_its_other_half_does_not_stop_the_rest(anc: Anc, bench: Bench) -> None:
    pair(bench.inputs)
    lonely, _ = pair(bench.inputs, "lonely", seed=2)
    lonely.with_name("lonely_reference.wav").unlink()
    _, orphan = pair(bench.inputs, "orphan", seed=3)
    orphan.with_name("orphan_primary.wav").unlink()
    code, summary = batch(
        anc, bench.inputs, "--pair", "*_primary.*=*_reference.*", "-o", bench.outputs
    )
    assert (code, summary.planned, summary.ok, summary.failed, summary.skipped) == (1, 3, 1, 1, 1)
    assert summary.failures[0].error_code == "NOT_FOUND"
    assert "lonely_reference.wav" in str(summary.failures[0].error_message)
    (skipped,) = (line for line in summary.results if line.status == "skipped")
    assert Path(skipped.source_path) == orphan
    assert "without the recording" in str(skipped.reason)


def test_a_channel_can_be_the_reference_of_every_recording(anc: Anc, bench: Bench) -> None:
    two_channels(bench.inputs / "x.wav")
    code, summary = batch(anc, bench.inputs, "--reference-channel", "2", "-o", bench.outputs)
    assert (code, summary.ok) == (0, 1)
    assert sf.info(bench.outputs / "x.wav").channels == 1


def test_a_manifest_names_channel_or_file(anc: Anc, bench: Bench) -> None:
    pair(bench.inputs)
    two_channels(bench.inputs / "both.wav")
    manifest = bench.inputs / "list.csv"
    manifest.write_text(
        "path,reference_path,reference_channel\n"
        "x_primary.wav,x_reference.wav,\n"
        "both.wav,,2\n"
        "both.wav,,none\n"
    )
    code, summary = batch(anc, manifest, "-o", bench.outputs)
    assert (code, summary.ok, summary.failed) == (1, 2, 1)
    assert "reference_channel" in str(summary.failures[0].error_message)
    assert bench.delivered() == ["both.wav", "x_primary.wav"]


@pytest.mark.parametrize("rule", ["*_primary.*", "a=b", "*=*", "*_a.*=b.*", "=*"])
def test_a_rule_that_says_nothing_is_refused(anc: Anc, bench: Bench, rule: str) -> None:
    pair(bench.inputs)
    code, _, err = anc("batch", bench.inputs, "--pair", rule, "-o", bench.outputs)
    assert code == 2
    assert rule in err
    assert not bench.outputs.exists()


def test_another_way_to_cancel_is_another_session(anc: Anc, bench: Bench) -> None:
    source = two_channels(bench.inputs / "x.wav")
    words = ("cancel", source, "--reference-channel", "2", "--no-output", "--json")
    first = SessionSummary.from_json(anc(*words)[1])
    second = SessionSummary.from_json(anc(*words, "--taps", "64")[1])
    third = SessionSummary.from_json(anc(*words, "--taps", "64")[1])
    assert first.session_id != second.session_id
    assert (third.status, third.session_id) == ("skipped", second.session_id)
