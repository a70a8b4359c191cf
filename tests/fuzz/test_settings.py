"""Settings: whatever the environment and ``.env`` hold, values or a refusal in words."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import strategies as st

from anc_core.settings import Settings, known_names
from tests.fuzz.damage import damaged
from tests.fuzz.effort import look, look_for_long

SHORT = 40
SECRET = "hunter2-hunter2"

SECRET_NAMES = {
    "ANC_DATABASE_URL",
    *(name for name in known_names() if "WEBHOOK" in name or "SMTP" in name),
}
NAMES = st.one_of(
    st.sampled_from(sorted(known_names() - SECRET_NAMES)),
    st.sampled_from(("AUDIO_SAMPLE_RATE", "AUDIO_CHUNK_SIZE", "ML_MODEL_PATH", "ML_SCALER_PATH")),
    st.text(st.characters(codec="ascii", categories=("Lu", "Nd")), max_size=8).map("ANC_".__add__),
)
# A variable of the environment can hold no NUL; undecodable bytes it can.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)))
VALUES = st.one_of(
    TEXTS,
    st.sampled_from(
        ("", "nan", "inf", "-1", "1e999", "9" * 5_000, "10; DROP", "\udcff", "{}", "[")
    ),
    st.integers().map(str),
    st.floats().map(str),
)
SECRETS = st.sampled_from((f"https://u:{SECRET}@h/x", f"smtp://u:{SECRET}@[", f"x:///{SECRET}"))
ENVIRONMENTS = st.builds(
    lambda plain, secret: plain | secret,
    st.dictionaries(NAMES, VALUES, max_size=6),
    st.dictionaries(st.sampled_from(sorted(SECRET_NAMES)), SECRETS | TEXTS, max_size=2),
)
DOTENVS = damaged(
    [b"ANC_WORKERS=2\nANC_LOG_JSON=\"true\"\n# a comment\nexport OTHER='x y'\nANC_HOME=${HOME}/x\n"]
)


def attempt_environment(environment: dict[str, str]) -> None:
    with mock.patch.dict(os.environ, environment):
        try:
            settings = Settings.load()
        except ValueError as err:
            if SECRET in str(err):
                pytest.fail("the refusal shows a secret")
            raise
        assert settings.retries >= 0
        assert SECRET not in repr(settings)  # what a log line or a trace would show of it


def attempt_file(folder: Path, content: bytes) -> None:
    (folder / ".env").write_bytes(content)
    Settings.load()


def test_any_environment_is_used_or_refused_in_words() -> None:
    assert look(ENVIRONMENTS, attempt_environment, SHORT).total >= SHORT


def test_any_dotenv_is_used_or_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert look(DOTENVS, functools.partial(attempt_file, tmp_path), SHORT).total >= SHORT


@pytest.mark.long
@pytest.mark.timeout(0)
def test_settings_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    tallies = {
        "environment": look_for_long(ENVIRONMENTS, attempt_environment),
        ".env": look_for_long(DOTENVS, functools.partial(attempt_file, tmp_path)),
    }
    with capsys.disabled():
        for name, tally in tallies.items():
            print(f"\nsettings, {name}: {tally}")
