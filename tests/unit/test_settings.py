from __future__ import annotations

from pathlib import Path

import pytest

from anc_core.audio import chunks
from anc_core.errors import SettingsError
from anc_core.settings import CHUNK_LIMITS_S, Settings, known_names


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # no .env but the test's own


def test_defaults_are_the_documented_ones() -> None:
    settings = Settings.load()
    assert (settings.sample_rate, settings.chunk_size, settings.chunk_s) == (16_000, 16_000, 1.0)
    assert settings.workers == 0
    assert settings.allowed_roots == ()


@pytest.mark.parametrize(
    ("name", "value", "field", "expected"),
    [
        ("AUDIO_SAMPLE_RATE", "8000", "sample_rate", 8_000),
        ("ANC_SAMPLE_RATE", "8000", "sample_rate", 8_000),
        ("AUDIO_CHUNK_SIZE", "8000", "chunk_size", 8_000),
        ("ML_MODEL_PATH", "/m", "ml_model_path", Path("/m")),
        ("ML_SCALER_PATH", "/s", "ml_scaler_path", Path("/s")),
        ("ANC_WORKERS", "3", "workers", 3),
        ("ANC_LOG_JSON", "1", "log_json", True),
        ("anc_workers", "3", "workers", 3),
    ],
)
def test_variable_sets_its_field(
    name: str, value: str, field: str, expected: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    assert getattr(Settings.load(), field) == expected


def test_own_name_wins_over_the_predecessors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIO_SAMPLE_RATE", "8000")
    monkeypatch.setenv("ANC_SAMPLE_RATE", "32000")
    assert Settings.load().sample_rate == 32_000


@pytest.mark.parametrize("name", ["SAMPLE_RATE", "CHUNK_SIZE", "WORKERS", "HOME_DIR"])
def test_other_programs_variables_mean_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Settings.load()
    monkeypatch.setenv(name, "9999")
    assert Settings.load() == before


def test_argument_wins_over_environment_over_dotenv(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("ANC_WORKERS=1\nANC_RETRIES=1\nANC_LOG_LEVEL=DEBUG\nOTHER=1\n")
    monkeypatch.setenv("ANC_WORKERS", "2")
    monkeypatch.setenv("ANC_RETRIES", "2")
    settings = Settings.load(workers=3)
    assert (settings.workers, settings.retries, settings.log_level) == (3, 2, "DEBUG")


def test_none_as_argument_means_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANC_WORKERS", "2")
    assert Settings.load(workers=None).workers == 2


def test_empty_variable_means_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANC_HOME")
    before = Settings.load()
    for name in ("ANC_HOME", "ANC_WORKERS", "ANC_DATABASE_URL", "ANC_ALLOWED_ROOTS"):
        monkeypatch.setenv(name, "")
    assert Settings.load() == before


def test_mistyped_name_is_an_error_that_suggests_the_right_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ANC_DATABSE_URL", "sqlite://")
    with pytest.raises(SettingsError, match="ANC_DATABSE_URL is unknown; did you mean ANC_DATABAS"):
        Settings.load()


def test_mistyped_name_in_dotenv_is_an_error() -> None:
    Path(".env").write_text("ANC_WROKERS=2\n")
    with pytest.raises(SettingsError, match="did you mean ANC_WORKERS"):
        Settings.load()


def test_mistyped_argument_is_an_error() -> None:
    with pytest.raises(SettingsError, match="wrokers is unknown; did you mean workers"):
        Settings.load(wrokers=2)


def test_names_of_the_tests_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANC_TEST_DATA", "/data")
    Settings.load()
    assert "ANC_TEST_DATABASE_URL" in known_names()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ANC_WORKERS", "-1"),
        ("ANC_WORKERS", "many"),
        ("ANC_SAMPLE_RATE", "0"),
        ("ANC_SAMPLE_RATE", "4000000000"),
        ("ANC_SHARD_S", "nan"),
        ("ANC_MAX_DURATION_S", "-1"),
        ("ANC_RETRY_DELAY_S", "inf"),
        ("ANC_MAX_ATTEMPTS", "10; DROP TABLE"),
        ("ANC_LOG_LEVEL", "LOUD"),
    ],
)
def test_bad_value_is_named_with_its_rule(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    field = name.removeprefix("ANC_")
    with pytest.raises(SettingsError, match=rf"(?i){field}: .*given: .*{value}"):
        Settings.load()


@pytest.mark.parametrize("size", ["100", "80001"])
def test_chunk_size_outside_half_a_second_to_five_is_refused_with_the_limits(
    size: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDIO_CHUNK_SIZE", size)
    with pytest.raises(SettingsError, match="8000 to 80000 samples at sample_rate 16000"):
        Settings.load()


def test_chunk_limits_scale_with_the_analysis_rate() -> None:
    assert Settings.load(sample_rate=48_000, chunk_size=240_000).chunk_s == 5.0


def test_chunk_limits_are_those_of_the_audio_layer() -> None:
    assert CHUNK_LIMITS_S == (chunks.MIN_CHUNK_S, chunks.MAX_CHUNK_S)


def test_stale_time_must_outlast_the_heartbeat() -> None:
    with pytest.raises(SettingsError, match=r"stale_after_s: .*longer than heartbeat_s"):
        Settings.load(heartbeat_s=60.0, stale_after_s=60.0)


def test_database_lies_in_home_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANC_HOME", str(tmp_path / "my home"))
    assert Settings.load().resolved_database_url == f"sqlite:///{tmp_path}/my home/anc.db"


def test_home_may_begin_with_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    monkeypatch.setenv("ANC_HOME", "~/anc")
    assert Settings.load().resolved_database_url == "sqlite:////somewhere/anc/anc.db"


def test_allowed_roots_are_split_at_the_path_separator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANC_ALLOWED_ROOTS", "/a:/b c:")
    assert Settings.load().allowed_roots == (Path("/a"), Path("/b c"))


def test_password_does_not_show_in_the_representation() -> None:
    settings = Settings.load(database_url="postgresql+psycopg://me:secret@host/anc")
    assert "secret" not in repr(settings)
    assert "secret" not in str(settings)


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings.load().workers = 2


def test_what_is_secret_is_not_in_the_error_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANC_ALERT_WEBHOOK_URL", "ftp://example.org/?token=abc123")
    with pytest.raises(SettingsError, match="must be http") as err:
        Settings.load()
    assert "abc123" not in str(err.value)


@pytest.mark.parametrize(
    ("text", "roots"),
    [
        ("/data", ["/data"]),
        ("/data:/srv/x", ["/data", "/srv/x"]),
        ("s3://b/in", ["s3://b/in"]),
        ("/data:s3://b/in/:gs://c:/srv", ["/data", "s3://b/in", "gs://c", "/srv"]),
        ("sftp://me@host:2222/x:/srv", ["sftp://me@host:2222/x", "/srv"]),
        (":/data:", ["/data"]),
    ],
)
def test_allowed_roots_are_folders_and_urls(
    monkeypatch: pytest.MonkeyPatch, text: str, roots: list[str]
) -> None:
    monkeypatch.setenv("ANC_ALLOWED_ROOTS", text)
    assert [str(root) for root in Settings.load().allowed_roots] == roots


def test_a_root_that_can_be_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANC_ALLOWED_ROOTS", "s3://b/../c")
    with pytest.raises(SettingsError, match="allowed_roots"):
        Settings.load()


def test_the_spool_lies_in_the_home_unless_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings.load()
    assert settings.spool == settings.home / "spool"
    monkeypatch.setenv("ANC_SPOOL_DIR", "/fast")
    assert Settings.load().spool == Path("/fast")
