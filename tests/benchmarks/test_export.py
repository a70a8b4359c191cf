"""The benchmark of the export does what it says; nothing here is timed."""

from __future__ import annotations

from benchmarks import export


def test_what_is_measured_is_a_whole_round_trip(tmp_path):
    url, copy = (f"sqlite:///{tmp_path / name}" for name in ("a.db", "b.db"))
    export.seeded(url, 30)
    first = export.measured_export(url, "csv", tmp_path / "x")
    assert first["counts"]["audio_sessions"] == 30
    came = export.measured_import(copy, tmp_path / "x")
    again = export.measured_export(copy, "parquet", tmp_path / "y")
    assert first["digest"] == came["digest"] == again["digest"]
    assert first["rows"] == came["rows"] == again["rows"]
    assert "export csv" in export.line(first)
