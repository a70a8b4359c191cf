"""Plans: what is new, done, the same, impossible; nothing is written, and no content twice."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

import anc_core.jobs.plan as plan_module
from anc_core.errors import ErrorCode, InputError, SinkError, StoreError
from anc_core.jobs.plan import COST_S_PER_AUDIO_S, COST_S_PER_FILE, output_place
from anc_core.records import Mode, Status
from tests.nasty import files
from tests.nasty.bench import Bench
from tests.recordings import noisy_voice


def wav(path: Path, seed: int = 1, duration_s: float = 1.0) -> Path:
    return noisy_voice(path, duration_s=duration_s, seed=seed)


def no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every look into a file fail; its name and its times may be seen."""

    def fail(*args: object, **kwargs: object) -> None:
        raise AssertionError("a file was read")

    monkeypatch.setattr(plan_module, "digest_file", fail)
    monkeypatch.setattr(plan_module, "open_reader", fail)


def test_a_plan_writes_nothing(bench: Bench) -> None:
    wav(bench.inputs / "a.wav")
    before = sorted(bench.inputs.rglob("*"))
    plan = bench.plan()
    assert [job.source.name for job in plan.jobs] == ["a.wav"]
    assert not bench.outputs.exists()
    assert sorted(bench.inputs.rglob("*")) == before
    assert bench.sessions() == []


def test_every_recording_is_counted_once(bench: Bench) -> None:
    wav(bench.inputs / "a.wav")
    wav(bench.inputs / "b.wav", seed=2)
    (bench.inputs / "twin.wav").write_bytes((bench.inputs / "a.wav").read_bytes())
    (bench.inputs / "notes.txt").write_text("no recording")
    plan = bench.plan(bench.inputs, bench.inputs / "a.wav", bench.inputs / "gone.wav")
    assert len(plan.jobs) == 2
    assert [line.error_code for line in plan.settled] == [ErrorCode.NOT_FOUND]
    assert len(plan.duplicates) == 2  # the twin, and a.wav named again
    assert plan.planned == 5
    assert plan.ignored == 1


def test_the_order_is_that_of_the_names(bench: Bench) -> None:
    for name in ("c.wav", "a.wav", "b.wav"):
        wav(bench.inputs / name, seed=ord(name[0]))
    reverse = [bench.inputs / name for name in ("c.wav", "b.wav", "a.wav")]
    assert [job.source.name for job in bench.plan(*reverse).jobs] == ["a.wav", "b.wav", "c.wav"]


def test_the_tree_of_the_inputs_is_mirrored(bench: Bench) -> None:
    wav(bench.inputs / "x.wav")
    wav(bench.inputs / "deep" / "er" / "x.wav", seed=2)
    sinks = [str(job.sink.relative_to(bench.outputs)) for job in bench.plan().jobs if job.sink]
    assert sinks == ["deep/er/x.wav", "x.wav"]


def test_a_second_plan_reads_no_content(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(3):
        wav(bench.inputs / f"{seed}.wav", seed=seed)
    files.no_frames(bench.inputs / "nothing.wav")
    first = bench.batch()
    assert (first.ok, first.skipped) == (3, 1)
    no_reading(monkeypatch)
    plan = bench.plan()
    assert (plan.jobs, len(plan.settled)) == ((), 4)
    assert {line.status for line in plan.settled} == {Status.SKIPPED}
    sessions = {s.source_path: s.session_id for s in bench.sessions()}
    assert {line.source_path: line.session_id for line in plan.settled} == sessions


@pytest.mark.parametrize("change", ["touched", "output gone", "output cut", "preset", "replace"])
def test_what_changed_is_planned_again(bench: Bench, change: str) -> None:
    source = wav(bench.inputs / "a.wav")
    bench.batch()
    words = {}
    output = bench.outputs / "a.wav"
    if change == "touched":
        os.utime(source, ns=(1, 1))
    elif change == "output gone":
        output.unlink()
    elif change == "output cut":
        output.write_bytes(output.read_bytes()[:-2])
    elif change == "preset":
        words = {"preset": "gentle"}
    else:
        words = {"overwrite": "replace"}
    assert len(bench.plan(**words).jobs) == 1


def test_a_file_that_was_only_touched_is_skipped_by_its_content(bench: Bench) -> None:
    source = wav(bench.inputs / "a.wav")
    bench.batch()
    os.utime(source, ns=(1, 1))
    assert bench.batch().skipped == 1
    assert len(bench.sessions()) == 1


def test_a_session_deleted_while_it_was_planned_is_planned(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    wav(bench.inputs / "a.wav")
    bench.batch()
    monkeypatch.setattr(plan_module, "list_sessions", lambda db, **words: iter(()))
    plan = bench.plan()
    assert (len(plan.jobs), plan.settled) == (1, ())


@pytest.mark.parametrize(
    ("duplicates", "jobs", "sinks"),
    [("link", 1, ["b.wav"]), ("skip", 1, [None]), ("process", 2, [])],
)
def test_the_same_content_is_treated_as_asked(
    bench: Bench, duplicates: str, jobs: int, sinks: list[str | None]
) -> None:
    wav(bench.inputs / "a.wav")
    (bench.inputs / "b.wav").write_bytes((bench.inputs / "a.wav").read_bytes())
    plan = bench.plan(duplicates=duplicates)
    assert len(plan.jobs) == jobs
    assert [twin.sink and twin.sink.name for twin in plan.duplicates] == sinks


@pytest.mark.parametrize("duplicates", ["link", "skip"])
def test_a_batch_that_is_run_again_has_the_same_duplicates(bench: Bench, duplicates: str) -> None:
    wav(bench.inputs / "a.wav")
    (bench.inputs / "b.wav").write_bytes((bench.inputs / "a.wav").read_bytes())
    first = bench.batch(duplicates=duplicates)
    delivered = bench.delivered()
    again = bench.batch(duplicates=duplicates)
    assert (first.ok, first.duplicates) == (again.skipped, again.duplicates) == (1, 1)
    assert bench.delivered() == delivered  # "skip" gives b.wav no output the second time either


def test_only_files_of_equal_size_are_read_for_duplicates(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    wav(bench.inputs / "a.wav", duration_s=1.0)
    wav(bench.inputs / "b.wav", duration_s=1.1)
    monkeypatch.setattr(
        plan_module, "digest_file", lambda path: pytest.fail(f"{path} was read without need")
    )
    assert len(bench.plan().jobs) == 2


# ------------------------------------------------------------------ manifests


def manifest(bench: Bench, text: str) -> Path:
    path = bench.inputs / "list.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_manifest_overrides_what_the_batch_says(bench: Bench) -> None:
    wav(bench.inputs / "a.wav")
    wav(bench.inputs / "b.wav", seed=2)
    wav(bench.inputs / "hum.wav", seed=3)
    table = manifest(
        bench,
        "path,output,preset,session_id,site,reference_path,mode\n"
        "a.wav,sub/clean.wav,gentle,hall-1,roof,,\n"
        "b.wav,,,,,hum.wav,cancel\n",
    )
    first, second = bench.plan(table, site="cellar", preset="strong").jobs
    assert (first.preset, first.session_id, first.site) == ("gentle", "hall-1", "roof")
    assert first.sink == bench.outputs / "sub" / "clean.wav"
    assert (second.preset, second.site, second.mode) == ("strong", "cellar", Mode.CANCEL)
    assert (second.reference, second.sink) == (bench.inputs / "hum.wav", bench.outputs / "b.wav")


def test_bad_rows_fail_with_their_number_and_the_good_ones_run(bench: Bench) -> None:
    wav(bench.inputs / "a.wav")
    table = manifest(
        bench,
        "path,preset,output,session_id\n"
        "a.wav,,,\n"
        "a2.wav,loud,,\n"
        "gone.wav,,,\n"
        "a.wav,,../../escape.wav,\n"
        "b.wav,,,../x\n",
    )
    wav(bench.inputs / "b.wav", seed=2)
    plan = bench.plan(table)
    assert [job.source.name for job in plan.jobs] == ["a.wav"]
    failures = {line.source_path: line for line in plan.settled}
    row = failures.pop(f"{table}:3")
    assert row.error_code is ErrorCode.BAD_PARAMETER
    assert "call-centre" in str(row.error_message)
    by_name = {Path(path).name: line.error_code for path, line in failures.items()}
    assert by_name == {"gone.wav": ErrorCode.NOT_FOUND, "b.wav": ErrorCode.BAD_PARAMETER}
    assert len(plan.duplicates) == 1  # the row that names a.wav again, wherever it points


def test_an_output_outside_the_folder_is_refused(bench: Bench) -> None:
    wav(bench.inputs / "a.wav")
    plan = bench.plan(manifest(bench, "path,output\na.wav,../../escape.wav\n"))
    assert plan.jobs == ()
    assert plan.settled[0].error_code is ErrorCode.BAD_PARAMETER
    assert "escape.wav" in str(plan.settled[0].error_message)


def test_two_rows_with_one_output_collide(bench: Bench) -> None:
    wav(bench.inputs / "a.wav")
    wav(bench.inputs / "b.wav", seed=2)
    table = manifest(bench, "path,output\na.wav,same.wav\nb.wav,same.wav\n")
    with pytest.raises(SinkError, match=r"a\.wav and .*b\.wav") as caught:
        bench.plan(table)
    assert caught.value.code is ErrorCode.COLLISION


# ------------------------------------------------------------------ outputs


def test_a_new_recording_may_not_take_the_output_of_a_finished_one(bench: Bench) -> None:
    wav(bench.inputs / "x.wav")
    bench.batch()
    files.coded("PCM_16", "VOC")(bench.inputs / "x.voc")  # becomes x.wav
    with pytest.raises(SinkError, match=r"x\.voc"):
        bench.plan()


def test_outputs_onto_inputs_are_refused(bench: Bench) -> None:
    wav(bench.inputs / "x.wav")
    with pytest.raises(SinkError, match="itself an input"):
        bench.plan(output_dir=bench.inputs)


def test_too_little_space_is_said_before_the_start(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    wav(bench.inputs / "x.wav")
    full = SimpleNamespace(total=10**9, used=10**9 - 1000, free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(SinkError, match="free some space") as caught:
        bench.plan()
    assert caught.value.code is ErrorCode.NO_SPACE
    assert str(bench.outputs) in str(caught.value)
    assert bench.plan(output_dir=None).jobs  # nothing is written


def test_a_disk_that_does_not_tell_its_size_is_trusted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    wav(bench.inputs / "x.wav")
    silent = SimpleNamespace(total=0, used=0, free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: silent)
    assert len(bench.plan().jobs) == 1


def test_a_read_only_folder_is_refused_before_the_start(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    wav(bench.inputs / "x.wav")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(SinkError, match="read-only") as caught:
        bench.plan()
    assert caught.value.code is ErrorCode.NOT_WRITABLE


def test_what_cannot_be_written_in_its_own_format_gets_another_suffix(bench: Bench) -> None:
    source = files.coded("PCM_16", "VOC")(bench.inputs / "x.voc")
    [job] = bench.plan().jobs
    assert job.sink == output_place(source, bench.outputs) == bench.outputs / "x.wav"


def test_what_got_another_suffix_is_known_again(bench: Bench) -> None:
    """Its name alone does not tell where its output lies."""
    files.coded("PCM_16", "VOC")(bench.inputs / "x.voc")
    assert bench.batch().ok == 1
    again = bench.plan()
    assert (again.jobs, [line.status for line in again.settled]) == ((), [Status.SKIPPED])
    [job] = bench.plan(preset="gentle").jobs
    assert job.sink == bench.outputs / "x.wav"
    assert bench.plan(apply_anc=False).jobs[0].sink == bench.outputs / "x.voc"
    assert bench.delivered() == ["x.wav"]


@pytest.mark.parametrize("words", [{"apply_anc": False}, {"preset": "analyse-only"}])
def test_an_output_that_is_the_input_keeps_its_suffix(bench: Bench, words: dict[str, str]) -> None:
    source = files.coded("PCM_16", "VOC")(bench.inputs / "x.voc")
    [job] = bench.plan(**words).jobs
    assert job.sink == output_place(source, bench.outputs, is_copy=True) == bench.outputs / "x.voc"
    assert bench.batch(**words).ok == 1
    assert (bench.outputs / "x.voc").read_bytes() == source.read_bytes()


# ------------------------------------------------------------------ words


@pytest.mark.parametrize("batch_id", ["../x", "", "a b", "NUL"])
def test_a_hostile_batch_id_is_refused_before_anything_is_looked_at(
    bench: Bench, batch_id: str
) -> None:
    with pytest.raises(InputError, match="batch_id"):
        bench.plan(batch_id=batch_id)


def test_files_outside_the_allowed_folders_fail_one_by_one(tmp_path: Path) -> None:
    bench = Bench.at(tmp_path / "bench", allowed_roots=(tmp_path / "bench",))
    wav(bench.inputs / "x.wav")
    outside = wav(tmp_path / "outside.wav", seed=2)
    plan = bench.plan(bench.inputs, outside)
    assert [job.source.name for job in plan.jobs] == ["x.wav"]
    assert [line.error_code for line in plan.settled] == [ErrorCode.PERMISSION]


def test_the_estimate_follows_the_header(bench: Bench) -> None:
    wav(bench.inputs / "x.wav", duration_s=3.0)
    [job] = bench.plan().jobs
    assert job.duration_s == 3.0
    assert job.estimate_s == pytest.approx(COST_S_PER_FILE + 3.0 * COST_S_PER_AUDIO_S)
    assert bench.plan().estimated_bytes == (bench.inputs / "x.wav").stat().st_size


def test_a_store_that_fails_is_not_taken_for_an_empty_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    wav(bench.inputs / "x.wav")

    def away(*args: object) -> None:
        raise StoreError("the database is damaged")

    monkeypatch.setattr(plan_module, "finished_sources", away)
    with pytest.raises(StoreError):
        bench.plan()
