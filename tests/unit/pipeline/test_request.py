"""What is asked for, validated, and the identity that follows from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from anc_core.errors import ErrorCode, InputError, SinkError
from anc_core.pipeline.request import RecordingRequest, refuse_same_file
from anc_core.records import Mode


def identity(source: str = "a.wav", sink: str | None = "b.wav", **words: object) -> str:
    return RecordingRequest.resolve(source, sink, **words).fingerprint("digest", None)


@pytest.mark.parametrize(
    ("words", "allowed"),
    [
        ({"preset": "loud"}, "default, gentle"),
        ({"mode": "magic"}, "auto, suppress, cancel"),
        ({"mode": "cancel"}, "reference"),
        ({"mode": "suppress", "reference": "hum.wav"}, "no reference"),
    ],
)
def test_words_that_contradict_are_refused_with_what_is_allowed(
    words: dict[str, str], allowed: str
) -> None:
    with pytest.raises(InputError, match=allowed):
        RecordingRequest.resolve("a.wav", **words)


def test_auto_means_what_the_reference_says() -> None:
    assert RecordingRequest.resolve("a.wav").mode is Mode.SUPPRESS
    assert RecordingRequest.resolve("a.wav", reference="hum.wav").mode is Mode.CANCEL


def test_a_preset_that_only_analyses_switches_cancelling_off() -> None:
    assert not RecordingRequest.resolve("a.wav", preset="analyse-only").apply_anc


def test_the_identity_is_that_of_content_and_parameters_not_of_names_or_chunks() -> None:
    same = {
        identity(),
        identity("other.wav", "elsewhere/c.WAV"),
        identity(chunk_size=12_345),
        identity(mode="suppress"),
    }
    assert len(same) == 1


@pytest.mark.parametrize(
    ("sink", "words"),
    [
        ("b.flac", {}),
        (None, {}),
        ("b.wav", {"preset": "gentle"}),
        ("b.wav", {"apply_anc": False}),
        ("b.wav", {"reference": "hum.wav"}),
    ],
)
def test_what_shapes_the_result_changes_the_identity(
    sink: str | None, words: dict[str, object]
) -> None:
    assert identity("a.wav", sink, **words) != identity()


def test_other_content_is_another_identity() -> None:
    request = RecordingRequest.resolve("a.wav", reference="hum.wav")
    known = {request.fingerprint(*digests) for digests in (("x", "y"), ("x", "z"), ("y", "x"))}
    assert len(known) == 3


def test_links_do_not_hide_the_input(tmp_path: Path) -> None:
    source = tmp_path / "a.wav"
    source.touch()
    (tmp_path / "soft.wav").symlink_to(source)
    (tmp_path / "hard.wav").hardlink_to(source)
    for sink in (source, tmp_path / "soft.wav", tmp_path / "hard.wav", tmp_path / "." / "a.wav"):
        with pytest.raises(SinkError, match="input itself") as caught:
            refuse_same_file(source, sink)
        assert caught.value.code is ErrorCode.COLLISION
    (tmp_path / "other.wav").touch()
    refuse_same_file(source, tmp_path / "other.wav")
    refuse_same_file(source, tmp_path / "new.wav")
