"""ANC_ALLOWED_ROOTS: whatever flow or command a path comes in by, what lies outside stays there."""

from __future__ import annotations

import inspect
import os
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import flows
from anc_core.classifier_training.recordings import scan as scan_clips
from anc_core.errors import ErrorCode, SinkError
from anc_core.jobs.compare import plan_comparison
from anc_core.jobs.compare_records import CompareRequest
from anc_core.jobs.models import validate_classifier
from anc_core.jobs.naming import check_named, is_allowed
from anc_core.jobs.scan import scan
from anc_core.jobs.simulate_bank import BankRequest, build_bank
from anc_core.jobs.simulate_records import PathFiles
from anc_core.jobs.sweep_grid import SweepGrid
from anc_core.jobs.sweep_plan import plan_sweep
from anc_core.jobs.sweep_records import SweepRequest
from anc_core.maintenance.backup import back_up
from anc_core.settings import Settings
from anc_core.store import open_database
from tests.acoustics import write_duct, write_noise
from tests.nasty import files
from tests.recordings import noisy_voice

Anc = Callable[..., tuple[int, str, str]]

in_the_process_of_prefect = pytest.mark.xdist_group("flow")


class Places:
    """``inside`` may be read and written; ``outside`` holds what an intruder is after."""

    def __init__(self, folder: Path) -> None:
        self.inside, self.outside = folder / "inside", folder / "outside"
        for place in (self.inside, self.outside):
            place.mkdir()
            files.good(place / "a.wav")
            write_duct(place)
            write_noise(place / "noise" / "n.wav", duration_s=1.0)
            (place / "grid.toml").write_text("num_taps = [8]\n")
            (place / "rows.csv").write_text("path\na.wav\n")
            (place / "access.log").touch()
            (place / "old.db").touch()
            (place / "model.joblib").touch()
        (self.inside / "link").symlink_to(self.outside)
        self.settings = Settings.load(
            allowed_roots=(self.inside,), database_url=f"sqlite:///{folder / 'anc.db'}"
        )


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    found = Places(tmp_path)
    monkeypatch.setenv("ANC_ALLOWED_ROOTS", str(found.inside))
    monkeypatch.setenv("ANC_DATABASE_URL", str(found.settings.database_url))
    monkeypatch.chdir(found.inside)
    return found


def before_and_after(places: Places) -> list[tuple[str, int]]:
    return [(str(p), p.stat().st_mtime_ns) for p in sorted(places.outside.rglob("*"))]


# Command, with OUT for a path outside; each is refused, by way of a link as well.
COMMANDS = [
    ("process", "OUT/a.wav"),
    ("process", "a.wav", "-o", "OUT/new"),
    ("batch", "OUT/rows.csv", "-o", "out"),
    ("batch", "OUT", "-o", "out"),
    ("batch", "a.wav", "-o", "OUT/new"),
    ("cancel", "a.wav", "--reference", "OUT/a.wav", "-o", "out"),
    ("process", "memory://b/outside.wav"),
    ("process", "a.wav", "-o", "memory://b/outside"),
    ("batch", "memory://b/outside", "-o", "out"),
    ("batch", "a.wav", "-o", "memory://b/outside"),
    ("compare", "OUT", "-o", "out"),
    ("compare", "noise", "-o", "OUT/new"),
    ("compare", "noise", "--clean", "OUT", "-o", "out"),
    ("compare", "noise", "-s", "onnx:OUT/model.onnx", "-o", "out"),
    ("simulate", "OUT/a.wav", "--primary", "primary.wav", "--secondary", "secondary.wav"),
    ("simulate", "a.wav", "--primary", "OUT/primary.wav", "--secondary", "secondary.wav"),
    ("simulate", "a.wav", "--primary", "primary.wav", "--secondary", "OUT/secondary.wav"),
    ("simulate", "noise", "--sweep", "OUT/grid.toml"),
    ("train", "OUT"),
    ("validate", "OUT"),
    ("model", "import", "OUT/model.joblib", "--trust-pickle"),
    ("report", "-o", "OUT/new"),
    ("export", "-o", "OUT/new.json"),
    ("db", "import", "OUT/rows.csv"),
    ("db", "backup", "-o", "OUT/new"),
    ("db", "restore", "OUT/old.db", "--yes"),
    ("demo", "--dir", "OUT/new"),
]


# A link is the harder way; the plain one is tried now and then.
WAYS = [(words, "link") for words in COMMANDS] + [(words, "path") for words in COMMANDS[::6]]


@pytest.mark.parametrize(("words", "by"), WAYS)
def test_commands_leave_what_is_outside_alone(
    places: Places, run_cli: Anc, words: tuple[str, ...], by: str
) -> None:
    place = str(places.outside) if by == "path" else "link"
    before = before_and_after(places)
    code, out, err = run_cli(*(word.replace("OUT", place) for word in words))
    assert code in {1, 2}
    assert "ANC_ALLOWED_ROOTS" in out + err or "PERMISSION" in out + err
    assert "Traceback" not in err
    assert before_and_after(places) == before


def test_an_access_log_outside_is_an_error_of_its_own(places: Places, run_cli: Anc) -> None:
    code, out, err = run_cli("import-api-log", str(places.outside / "access.log"))
    assert code == 1
    assert "ANC_ALLOWED_ROOTS" in out + err


@in_the_process_of_prefect
def test_every_path_that_a_flow_takes_is_known_here() -> None:
    """A new parameter that is a path must be confined, tested above or below, and listed here."""
    known = {
        "backup_database": {"folder"},
        "batch_process_files": {"file_paths", "output_dir"},
        "compare_suppressors": {"folder", "output_dir", "clean"},
        "export_session_data": {"output_path"},
        "generate_daily_report": {"output_dir"},
        "import_api_requests": {"paths"},
        "process_audio_file": {"file_path", "output_path", "reference_path"},
        "simulate_anc_sweep": {"folder", "output_dir"},
        "train_noise_classifier": {"training_data_dir", "models_dir"},
        "train_noise_suppressor": {
            *("root", "recordings", "speech_dirs", "noise_dirs", "work_dir", "models_dir"),
        },
        "validate_model": {"model_path"},
    }
    found: dict[str, set[str]] = {}
    for name in flows.__all__:
        function = getattr(flows, name).fn
        hints = typing.get_type_hints(inspect.unwrap(function))
        paths = {key for key, kind in hints.items() if "Path" in str(kind) and key != "return"}
        if paths:
            found[name] = paths
    assert found == known


@in_the_process_of_prefect
def test_no_secret_is_a_parameter_of_a_flow() -> None:
    """Prefect keeps parameters, and shows them to whoever reaches it."""
    words = ("secret", "password", "token", "url", "smtp", "auth")
    for name in flows.__all__:
        parameters = inspect.signature(getattr(flows, name).fn).parameters
        assert not [p for p in parameters if any(word in p.lower() for word in words)], name


@in_the_process_of_prefect
@pytest.mark.parametrize("parameter", ["root", "recordings", "work_dir", "models_dir"])
def test_the_training_of_the_suppressor_takes_nothing_from_outside(
    places: Places, parameter: str
) -> None:
    from flows import train_noise_suppressor

    words: dict[str, Any] = {"root": places.inside, parameter: places.outside}
    with pytest.raises(SinkError, match="ANC_ALLOWED_ROOTS"):
        train_noise_suppressor.fn(**words)


@in_the_process_of_prefect
def test_rows_of_a_training_table_do_not_climb_out(places: Places) -> None:
    from flows.suppressor_training import scan_recordings

    table = places.inside / "table.csv"
    rows = [
        f"../outside/a.wav,{kind},{kind}{split},{split}"
        for kind in ("speech", "noise")
        for split in ("train", "validation")
    ]
    table.write_text("path,kind,group,split\n" + "\n".join(rows) + "\n")
    with pytest.raises(SinkError, match="ANC_ALLOWED_ROOTS"):
        scan_recordings.fn(places.inside, table, [], [])


@in_the_process_of_prefect
@pytest.mark.parametrize("parameter", ["training_data_dir", "models_dir"])
def test_the_training_of_the_classifier_takes_nothing_from_outside(
    places: Places, parameter: str
) -> None:
    from flows import train_noise_classifier

    words = {"training_data_dir": places.inside, parameter: places.outside}
    with pytest.raises(SinkError, match="ANC_ALLOWED_ROOTS"):
        train_noise_classifier.fn(**words)


def linked(places: Places, folder: str) -> Path:
    """Return a folder inside with one good recording and a link to one outside."""
    top = places.inside / folder
    noisy_voice(top / "b.wav", duration_s=1.0, seed=2)
    (top / "out.wav").symlink_to(places.outside / "a.wav")
    return top


def test_links_inside_a_folder_do_not_lead_a_comparison_out(places: Places) -> None:
    request = CompareRequest(folder=linked(places, "in"), output_dir=places.inside / "out")
    with pytest.raises(SinkError, match=r"out\.wav lies outside"):
        plan_comparison(request, places.settings)


def test_links_inside_a_folder_do_not_lead_a_sweep_out(places: Places) -> None:
    paths = PathFiles(
        primary=str(places.inside / "primary.wav"), secondary=str(places.inside / "secondary.wav")
    )
    request = SweepRequest(
        folder=linked(places, "in"),
        output_dir=places.inside / "out",
        grid=SweepGrid(num_taps=(8,)),
        paths=paths,
    )
    plan = plan_sweep(request, places.settings)
    assert [recording.name for recording in plan.recordings] == ["b.wav"]
    assert [(row.recording, row.error_code) for row in plan.broken] == [
        ("out.wav", ErrorCode.PERMISSION)
    ]
    bank = BankRequest(noises=request.folder, output=places.inside / "bank.npz", paths=paths)
    report = build_bank(bank, places.settings)
    assert [failure.error_code for failure in report.failures] == [ErrorCode.PERMISSION]


def test_links_inside_a_folder_do_not_lead_a_training_out(places: Places) -> None:
    for name in ("x/a-1.wav", "x/b-1.wav", "y/c-1.wav", "y/d-1.wav"):
        path = places.inside / "clips" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    (places.inside / "clips" / "x" / "e-1.wav").symlink_to(places.outside / "a.wav")
    roots = places.settings.allowed_roots
    data = scan_clips(places.inside / "clips", may_read=lambda path: is_allowed(path, roots))
    assert len(data.clips) == 4
    assert [(one.path, one.reason) for one in data.skipped] == [
        ("x/e-1.wav", "lies outside the allowed folders")
    ]


def test_what_the_installation_keeps_for_the_purpose_may_be_named(places: Places) -> None:
    """Backups and models lie in ANC_HOME, which need not be among the allowed folders."""
    settings = places.settings
    database = open_database(str(settings.database_url))
    try:
        folder = settings.home / "backups"
        assert back_up(database, settings, actor="test", folder=folder).path
    finally:
        database.dispose()
    assert not validate_classifier(settings, settings.models_dir / "none", actor="test").valid
    with pytest.raises(SinkError):
        check_named([settings.home / "anc.db"], settings.allowed_roots)


def test_without_allowed_folders_everything_is_allowed(tmp_path: Path) -> None:
    check_named([tmp_path, None], ())
    assert is_allowed(Path("/"), ())


def test_a_manifest_outside_is_not_even_read(places: Places) -> None:
    with pytest.raises(SinkError, match="ANC_ALLOWED_ROOTS"):
        scan([places.outside / "rows.csv"], roots=[places.inside])
    with pytest.raises(SinkError, match="ANC_ALLOWED_ROOTS"):
        scan([f"{places.outside}/*.csv"], roots=[places.inside])


def test_a_name_that_is_no_text_can_be_told(places: Places) -> None:
    name = os.fsdecode(b"caf\xe9.wav")
    with pytest.raises(SinkError) as caught:
        check_named([places.outside / name], [places.inside])
    assert str(caught.value).encode()
