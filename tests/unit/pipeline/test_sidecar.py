from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

import pytest

from anc_core.files import digest_file
from anc_core.pipeline import sidecar
from anc_core.records import SessionSummary, Status


@pytest.fixture
def output(tmp_path: Path) -> Path:
    path = tmp_path / "x.wav"
    path.write_bytes(b"samples")
    return path


def summary_of(output: Path, **fields: object) -> SessionSummary:
    known = {
        "status": Status.OK,
        "session_id": "s-1",
        "fingerprint": "f" * 32,
        "source_path": "/in/x.wav",
        "output_path": str(output),
        "output_digest": digest_file(output),
        "sidecar_path": str(sidecar.sidecar_path(output)),
        "batch_id": "b-1",
    }
    return SessionSummary(**(known | fields))


def test_sidecar_lies_beside_its_output() -> None:
    assert sidecar.sidecar_path(Path("out/a.wav")) == Path("out/a.wav.json")


@pytest.mark.parametrize(
    "name",
    [
        "x" * 250 + ".wav",
        "x" * 251 + ".wav",
        "녹" * 83 + ".wav",
        "😀" * 62 + ".wav",
        os.fsdecode(b"\xff" * 251) + ".wav",
    ],
)
def test_name_of_the_sidecar_never_overflows_the_limit(name: str, tmp_path: Path) -> None:
    assert len(os.fsencode(name)) <= 255
    path = sidecar.sidecar_path(tmp_path / name)
    path.touch()
    assert path.parent == tmp_path
    assert path.suffix == ".json"
    assert len(os.fsencode(path.name)) <= 255


def test_shortened_names_stay_different() -> None:
    names = {sidecar.sidecar_path(Path("x" * 250 + f"{end}.wav")).name for end in "ab"}
    assert len(names) == 2


def test_what_was_written_matches_its_output(output: Path) -> None:
    summary = summary_of(output)
    sidecar.write(summary, token="t")
    assert sidecar.read_matching(output, "f" * 32) == summary.model_copy(update={"batch_id": None})


def test_sidecar_is_json_that_ends_in_a_newline_and_leaves_no_temporary_file(output: Path) -> None:
    sidecar.write(summary_of(output), token="t")
    text = (output.parent / "x.wav.json").read_text(encoding="utf-8")
    assert text.endswith("}\n")
    assert json.loads(text)["session_id"] == "s-1"
    assert "batch_id" not in json.loads(text)  # it says what was done, not in which run
    assert sorted(path.name for path in output.parent.iterdir()) == ["x.wav", "x.wav.json"]


def test_session_without_output_has_no_sidecar(output: Path) -> None:
    sidecar.write(summary_of(output, sidecar_path=None), token="t")
    assert list(output.parent.iterdir()) == [output]


@pytest.mark.parametrize("name", [os.fsdecode(b"caf\xe9.wav"), "a\nb.wav", "녹음.wav"])
def test_any_name_can_have_a_sidecar(name: str, tmp_path: Path) -> None:
    output = tmp_path / name
    output.write_bytes(b"samples")
    sidecar.write(summary_of(output, source_path=f"/in/{name}"), token="t")
    found = sidecar.read_matching(output, "f" * 32)
    assert found is not None
    assert found.source_path == f"/in/{name}"
    assert Path(found.output_path or "") == output


def test_a_record_is_taken_back_unless_another_process_wrote_it_anew(output: Path) -> None:
    summary, path = summary_of(output), sidecar.sidecar_path(output)
    output.unlink()
    with pytest.raises(OSError, match="full"), sidecar.announced(summary, token="t"):
        raise OSError("full")
    assert not path.exists()
    with suppress(OSError), sidecar.announced(summary, token="t"):
        sidecar.write(summary, token="u")
        raise OSError("full")
    assert path.exists()


def test_output_that_somebody_changed_does_not_match(output: Path) -> None:
    sidecar.write(summary_of(output), token="t")
    output.write_bytes(b"Samples")
    assert sidecar.read_matching(output, "f" * 32) is None


def test_session_of_other_parameters_does_not_match(output: Path) -> None:
    sidecar.write(summary_of(output), token="t")
    assert sidecar.read_matching(output, "e" * 32) is None


def test_sidecar_without_its_output_does_not_match(output: Path) -> None:
    sidecar.write(summary_of(output), token="t")
    output.unlink()
    assert sidecar.read_matching(output, "f" * 32) is None


def test_sidecar_without_a_digest_does_not_match(output: Path) -> None:
    sidecar.write(summary_of(output, output_digest=None), token="t")
    assert sidecar.read_matching(output, "f" * 32) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"status": "ok"}', b"\xff\xfe", b"null"])
def test_damaged_or_foreign_sidecar_does_not_match(content: bytes, output: Path) -> None:
    sidecar.sidecar_path(output).write_bytes(content)
    assert sidecar.read_matching(output, "f" * 32) is None


def test_missing_sidecar_does_not_match(output: Path) -> None:
    assert sidecar.read_matching(output, "f" * 32) is None
