"""``anc export`` and ``anc db import`` in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from anc_core.exchange.records import ExportResult, ImportResult

Anc = Callable[..., tuple[int, str, str]]


@pytest.fixture
def anc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_cli: Anc) -> Anc:
    """Call ``anc`` with 20 made-up sessions in the database."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANC_DATABASE_URL", f"sqlite:///{tmp_path / 'anc.db'}")
    monkeypatch.setenv("ANC_HOME", str(tmp_path / "home"))
    assert run_cli("db", "seed", "--sessions", "20", "--days", "2", "-q")[0] == 0
    return run_cli


def test_out_and_in_again_is_the_same(anc: Anc, tmp_path: Path) -> None:
    code, out, err = anc("export", "--format", "csv", "-o", "x.zip", "--json")
    assert (code, err) == (0, "")
    made = ExportResult.from_json(out)
    assert made.sessions == 20
    assert Path(made.output_path) == tmp_path / "x.zip"
    url = f"sqlite:///{tmp_path / 'b.db'}"
    came = ImportResult.from_json(anc("db", "import", "x.zip", "--database-url", url, "--json")[1])
    assert (came.added, came.digest) == (20, made.digest)
    out = anc("export", "-f", "jsonl", "-o", "y", "--database-url", url)[1]
    assert made.digest in out
    assert "20 were here already" in anc("db", "import", "y", "--database-url", url)[1]


def test_what_goes_wrong_is_a_line_and_exit_code_2(anc: Anc, tmp_path: Path) -> None:
    for words, said in [
        (("export", "nope", "-o", "x"), "not in the store: 'nope'"),
        (("export", "-o", "anc.db", "--overwrite"), "is the database itself"),
        (("export", "--from", "yesterday", "-o", "x"), "start is 'yesterday'"),
        (("export", "--from", "2024-05-01T12:00", "-o", "x"), "no time zone"),
        (("export", "--from", "2024-05-02", "--to", "2024-05-01", "-o", "x"), "before it starts"),
        (("export", "--include", "models", "-o", "x"), "choose from"),
        (("db", "import", "nothing"), "NOT_FOUND"),
        (("db", "import", "anc.db"), "is no export"),
    ]:
        code, out, err = anc(*words)
        assert (code, out) == (2, ""), words
        assert said in err
        assert err.count("\n") == 1
    assert not (tmp_path / "x").exists()


def test_a_default_name_and_an_existing_file(anc: Anc, tmp_path: Path) -> None:
    assert anc("export", "--status", "failed", "--redact")[0] == 0
    (made,) = tmp_path.glob("anc-export-*.json")
    tables = json.loads(made.read_text())["tables"]
    assert {row["status"] for row in tables["audio_sessions"]} <= {"failed"}
    assert anc("export", "-o", str(made))[0] == 2
    assert anc("export", "-o", str(made), "--overwrite")[0] == 0


def test_access_logs_are_read_once_and_a_missing_one_is_exit_code_1(
    anc: Anc, tmp_path: Path
) -> None:
    line = '10.0.0.1 - - [01/May/2024:12:00:00 +0000] "GET /a HTTP/1.1" 200 5 "-" "-" 0.5\n'
    (tmp_path / "a.log").write_text(line + "\x1b[31mbad\n")
    code, out, _ = anc("import-api-log", "a.log")
    assert code == 0
    assert "2 new lines, 1 requests, 1 bad lines" in out
    assert "\x1b" not in out
    code, out, _ = anc("import-api-log", "a.log", "nothing.log", "--json")
    assert (code, json.loads(out)["lines"], json.loads(out)["failed"]) == (1, 0, 1)
