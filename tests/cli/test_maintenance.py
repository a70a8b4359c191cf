"""The maintenance commands: nothing goes without ``--yes``, exit codes tell what happened."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from deliveries import Studio

from anc_core.settings import Settings
from anc_core.store import get_session, open_database


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(open_database(Settings.load().resolved_database_url), tmp_path)


def test_plan_is_shown_and_only_yes_carries_it_out(studio, run_cli):
    studio.deliver("old")
    code, out, err = run_cli("cleanup", "old")
    assert (code, "--yes" in err) == (2, True)
    assert "1 sessions that ended before" in out
    assert studio.out() == {"old.wav", "old.wav.json"}
    assert run_cli("cleanup", "old", "--dry-run")[0] == 0
    code, out, _ = run_cli("cleanup", "old", "--yes", "--json")
    assert (code, json.loads(out)["files"]) == (0, 2)
    assert studio.out() == set()
    assert run_cli("cleanup", "old")[0] == 0  # nothing is to go


@pytest.mark.parametrize(
    "words", [("old", "--older-than-days", "-1"), ("failed", "--older-than-hours", "nan")]
)
def test_cutoff_that_is_no_past_is_refused(studio, run_cli, words):
    code, out, err = run_cli("cleanup", *words, "--yes")
    assert (code, out) == (2, "")
    assert "must be above 0" in err


def test_hold_keeps_and_release_gives_free(studio, run_cli):
    session = studio.deliver("old")
    assert run_cli("hold", session)[0] == 0
    assert run_cli("hold")[1].split() == [session]
    run_cli("cleanup", "old", "--yes")
    with studio.database.read() as db:
        get_session(db, session)
    run_cli("hold", session, "--release")
    run_cli("cleanup", "old", "--yes")
    assert studio.out() == set()
    code, _, err = run_cli("hold", "nobody")
    assert (code, "not in the store" in err) == (2, True)


def test_erasure_needs_yes_and_says_what_is_left(studio, run_cli):
    studio.deliver("mine", user_id="alice", age=timedelta(days=1))
    code, out, err = run_cli("erase-user", "alice")
    assert (code, "nothing was erased" in err) == (2, True)
    assert "1 sessions would be erased" in out
    code, out, _ = run_cli("erase-user", "alice", "--yes")
    assert (code, "1 recordings are yours to remove" in out) == (0, True)
    assert "alice" not in out
    assert studio.out() == set()


def test_backup_and_restore(studio, run_cli):
    studio.deliver("kept")
    made = json.loads(run_cli("db", "backup", "--json")[1])
    studio.deliver("later")
    code, _, err = run_cli("db", "restore", made["path"])
    assert (code, "--yes" in err) == (2, True)
    code, out, _ = run_cli("db", "restore", made["path"], "--yes")
    assert (code, out.startswith("1 sessions")) == (0, True)


def test_vacuum_says_why_it_did_nothing(studio, run_cli):
    code, out, _ = run_cli("vacuum")
    assert (code, "less than 20 %" in out) == (0, True)
