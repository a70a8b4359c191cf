"""The 46 bad inputs: code, words of the message, and the tests; docs/bad-inputs.md is made of it.

``python -m tests.nasty.table`` writes the page. A test holds it, the codes, the words and the
names of the tests against the program, so that none of them can rot.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "bad-inputs.md"

READER, ROWS, STORE = "nasty/test_reader_rows", "nasty/test_rows", "nasty/test_rows_of_the_store"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table."""

    input: str
    outcome: str
    """What happens; codes in capitals."""
    words: str
    """Part of the message, as it stands in the code; empty where there is none."""
    tests: tuple[str, ...]
    """File below tests, without suffix, and the beginning of a test's name."""


TABLE = {
    1: Row(
        "0-byte file",
        "failed `EMPTY_FILE`",
        "the file has 0 bytes",
        (
            f"{READER}::test_row_1",
            f"{ROWS}::test_what_cannot_work",
            f"{ROWS}::test_a_batch_goes_on",
            f"{ROWS}::test_the_command_line",
            "flows/test_audio_processing::test_bad_input",
        ),
    ),
    2: Row(
        "valid header, no samples",
        "skipped `NO_AUDIO`, no output",
        "no samples",
        (f"{READER}::test_row_2", f"{ROWS}::test_what_cannot_work"),
    ),
    3: Row(
        "one sample; shorter than a frame",
        "same length, figures null with a reason",
        "",
        (f"{READER}::test_row_3", f"{ROWS}::test_row_3"),
    ),
    4: Row(
        "truncated WAV",
        "degraded `TRUNCATED`, both lengths",
        "header",
        (f"{READER}::test_row_4", f"{ROWS}::test_row_4", f"{ROWS}::test_the_command_line"),
    ),
    5: Row(
        "sizes 0 or 0xFFFFFFFF (a pipe)",
        "read to the end, `HEADER_REPAIRED`",
        "",
        (f"{READER}::test_row_5", f"{ROWS}::test_row_5"),
    ),
    6: Row(
        "beyond 4 GB: RF64, BW64, W64, wrapped",
        "read by the file's size",
        "",
        (f"{READER}::test_row_6", "unit/audio/test_writer::test_a_wav_becomes_rf64"),
    ),
    7: Row(
        "odd tables of chunks", "read; without data `NO_DATA_CHUNK`", "", (f"{READER}::test_row_7",)
    ),
    8: Row(
        "other sample formats and codecs",
        "same format, or PCM with `CODEC_MISMATCH`",
        "",
        (
            f"{READER}::test_row_8",
            f"{ROWS}::test_row_8",
            "unit/audio/test_round_trips::test_every_code",
        ),
    ),
    9: Row(
        "floats beyond full scale",
        "kept; integers clamp and count",
        "",
        (f"{READER}::test_row_9", f"{ROWS}::test_row_9"),
    ),
    10: Row(
        "NaN, infinity",
        "`NON_FINITE_REPAIRED`; above 0.1 % failed `NON_FINITE`",
        "NaN",
        (f"{READER}::test_row_10", f"{ROWS}::test_row_10", f"{ROWS}::test_what_cannot_work"),
    ),
    11: Row(
        "denormals, silence",
        "as fast as noise; silence stays silence",
        "",
        (f"{ROWS}::test_row_11",),
    ),
    12: Row(
        "DC offset, clipped square",
        "`DC_OFFSET`, `CLIPPED`, figures finite",
        "",
        (f"{ROWS}::test_row_12",),
    ),
    13: Row(
        "odd and absurd sample rates",
        "kept; absurd failed `BAD_SAMPLE_RATE`",
        " Hz",
        (f"{READER}::test_row_13", f"{ROWS}::test_what_cannot_work"),
    ),
    14: Row(
        "0, 8, 64 channels; a dead one",
        "kept; `DEAD_CHANNEL`; 0 failed `BAD_CHANNELS`",
        "channels",
        (f"{READER}::test_row_14", f"{ROWS}::test_row_14"),
    ),
    15: Row(
        "hours of recording",
        "constant memory; a batch goes on where it was",
        "",
        (
            f"{READER}::test_row_15",
            "unit/metrics/test_meter::test_memory_and_rows",
            "unit/jobs/test_run::test_kill_9",
        ),
    ),
    16: Row(
        "content and name differ",
        "`CODEC_MISMATCH`; no audio failed `NOT_AUDIO`",
        "",
        (f"{READER}::test_row_16", f"{ROWS}::test_row_16", f"{ROWS}::test_what_cannot_work"),
    ),
    17: Row(
        "MP3 with large tags, VBR, VBRI",
        "true length; art kept or `TAGS_DROPPED`",
        "",
        (
            "unit/audio/test_mpeg::test_tags_of_10_mb",
            "unit/audio/test_mpeg::test_a_vbri_header",
            "unit/audio/test_mpeg::test_without_a_xing_header",
            "unit/audio/test_tags::test_the_whole_id3",
        ),
    ),
    18: Row(
        "encoder delay, drift of codecs",
        "length within the codec's tolerance, else `LENGTH`",
        "",
        (
            "unit/audio/test_round_trips::test_lossy_formats",
            "unit/pipeline/test_gate::test_codec",
            "unit/audio/test_pyav_reader::test_length_place_and_level",
        ),
    ),
    19: Row(
        "video, several or no audio tracks",
        "`SEVERAL_TRACKS`; none failed `NO_AUDIO_STREAM`",
        "",
        (
            "unit/audio/test_pyav_reader::test_of_several_tracks",
            "unit/audio/test_pyav_reader::test_a_video_without_sound",
        ),
    ),
    20: Row(
        "DRM, zip with a password",
        "failed `UNSUPPORTED`",
        "password",
        (f"{READER}::test_row_20", "unit/audio/test_pyav_reader::test_drm"),
    ),
    21: Row(
        "decompression bomb, a billion seconds",
        "failed `TOO_LONG` before decoding",
        "",
        (f"{READER}::test_row_21", "fuzz/test_corpus::test_a_claim"),
    ),
    22: Row(
        "loops of links, links out, output = input",
        "once; `PERMISSION`; `COLLISION`",
        "lies outside the allowed folders",
        (
            f"{ROWS}::test_row_22",
            "nasty/test_confinement::test_commands",
            "nasty/test_confinement::test_links_inside",
            "unit/jobs/test_scan::test_loop_of_links",
        ),
    ),
    23: Row(
        "the same path or content twice",
        "counted; processed once and linked",
        "",
        (f"{ROWS}::test_row_23", "unit/jobs/test_batch::test_duplicates"),
    ),
    24: Row(
        "two sources of one output",
        "refused before the start: `COLLISION`",
        "rename one",
        (f"{ROWS}::test_row_24",),
    ),
    25: Row(
        "any name: Unicode, newline, 255 bytes",
        "works",
        "",
        (
            f"{READER}::test_row_25",
            f"{ROWS}::test_rows_25_and_28",
            f"{ROWS}::test_the_command_line",
        ),
    ),
    26: Row(
        "._x.wav, .DS_Store, .part, ~lock",
        "ignored and counted",
        "",
        ("unit/jobs/test_scan::test_junk",),
    ),
    27: Row(
        "hostile session and batch ids",
        "refused before any path is made",
        "session_id",
        (
            f"{ROWS}::test_row_27",
            f"{ROWS}::test_the_command_line",
            f"{STORE}::test_row_37",
            "unit/store/test_identifiers::test",
        ),
    ),
    28: Row(
        "formulas, scripts, SQL, ANSI in text",
        "inert in CSV, HTML, SQL, logs",
        "",
        (
            f"{STORE}::test_row_28",
            f"{ROWS}::test_rows_25_and_28",
            "store/test_exchange::test_hostile_text",
            "unit/reports/test_daily_page::test_text_from_outside",
        ),
    ),
    29: Row(
        "changes or vanishes while read",
        "`CHANGED_DURING_READ`, retried",
        "changed while it was read",
        (f"{ROWS}::test_row_29", "unit/test_files::test_a_change_while_reading"),
    ),
    30: Row(
        "unreadable, FIFO, device, folder",
        "failed `PERMISSION`",
        "only regular files are opened",
        (f"{READER}::test_row_30", "unit/test_files::test_an_unreadable_file"),
    ),
    31: Row(
        "output folder missing or impossible",
        "made, or `NOT_WRITABLE` before any work",
        "cannot be written",
        (
            f"{ROWS}::test_row_31",
            f"{ROWS}::test_rows_31_and_32",
            "unit/jobs/test_plan::test_a_read_only",
        ),
    ),
    32: Row(
        "disk full in mid-write",
        "`NO_SPACE`, no file left",
        "the disk or quota is full",
        (
            f"{ROWS}::test_rows_31_and_32",
            "unit/audio/test_writer::test_a_real_full_disk",
            "unit/jobs/test_plan::test_too_little_space",
        ),
    ),
    33: Row(
        "database locked, newer, corrupt, missing",
        "retried (`DB_UNAVAILABLE`), refused in words; finished outputs are adopted",
        "",
        (
            f"{STORE}::test_row_33",
            "store/test_opening::test_a_locked_database",
            "store/test_opening::test_a_newer_schema",
            "unit/jobs/test_run::test_a_run_that_died",
        ),
    ),
    34: Row(
        "two batches at once, kill -9",
        "exactly one output; `INTERRUPTED`",
        "",
        (
            f"{ROWS}::test_row_34",
            "chaos/test_kill::test_however_often",
            "unit/jobs/test_run::test_kill_9",
            "store/test_cleanup::test_interrupted",
        ),
    ),
    35: Row(
        "no Prefect server; a burst of late runs",
        "flows run alone; upkeep one at a time",
        "",
        (
            "deployments/test_schedules::test_upkeep_runs_one_at_a_time",
            "flows/test_embedded_server::test_prefect_still_starts",
        ),
    ),
    36: Row(
        "clocks: 1970, 2099, DST, no zone",
        "`TIMESTAMP_SUSPECT`, kept; no zone is UTC",
        "set the recorder's clock",
        (
            f"{STORE}::test_row_36",
            "store/test_analyses::test_a_day_of_23_hours",
            "unit/jobs/test_manifest::test_time_without_a_zone",
        ),
    ),
    37: Row(
        "wrong parameters",
        "refused with what is allowed, nothing done",
        "",
        (
            f"{ROWS}::test_row_37",
            f"{STORE}::test_row_37",
            "store/test_cleanup::test_cutoffs",
            "fuzz/test_settings::test_any_environment",
            "flows/test_audio_processing::test_an_unknown_word",
        ),
    ),
    38: Row(
        "model missing, changed, a pickle",
        "`MODEL_UNAVAILABLE` (`MODEL_HASH`, `MODEL_UNTRUSTED`); alarms stay protected",
        "--trust-pickle",
        (
            f"{STORE}::test_row_38",
            "fuzz/test_bundles::test_a_damaged_file",
            "unit/classifier/test_models::test_a_foreign_pickle",
            "unit/classifier/test_models::test_detect_hears_alarms",
        ),
    ),
    39: Row(
        "alarms: edges, one channel, in noise",
        "protected; any channel protects all",
        "",
        (
            "unit/emergency/test_detector::test_alarm_at_the_edge",
            "unit/emergency/test_detector::test_alarm_on_one_channel",
            "properties/test_emergency_laws::test_decisions_do_not_depend",
        ),
    ),
    40: Row(
        "look-alikes of alarms",
        "named with a confidence; a chirp is no event",
        "",
        (
            "unit/emergency/test_detector::test_low_battery_chirp",
            "unit/emergency/test_detector::test_ordinary_sounds",
            "unit/emergency/test_events::test_high_beeps",
        ),
    ),
    41: Row(
        "speech, music, a clean file",
        "do no harm",
        "",
        (
            "unit/processors/test_harmless::test_music_and_bird_song",
            "unit/processors/test_harmless::test_clean_voice",
        ),
    ),
    42: Row(
        "infrasound, hum, clicks, tone, sweep",
        "finite figures, a name or unknown",
        "",
        (f"{STORE}::test_row_42",),
    ),
    43: Row(
        "manifests: BOM, CRLF, ;, bad rows",
        "`BAD_PARAMETER` with the row's number; the good rows run",
        "",
        (
            f"{STORE}::test_row_43",
            "unit/jobs/test_manifest::test_bad_rows",
            "fuzz/test_tables::test_any_manifest",
        ),
    ),
    44: Row(
        "no sessions, all failed, all null",
        "every command answers",
        "",
        (
            f"{STORE}::test_row_44",
            "store/test_analyses::test_an_empty_database",
            "cli/test_analyze::test_every_command_answers",
        ),
    ),
    45: Row(
        "clips under 400 ms",
        "no gain; loudness (LUFS) is null with the reason",
        "",
        (f"{STORE}::test_row_45",),
    ),
    46: Row(
        "no calibration, an expired one, or one of another device, channel or gain",
        "levels stay dBFS (uncalibrated); SPL, Lden and doses are null with the reason",
        "",
        (
            f"{STORE}::test_row_46",
            "store/test_sound_levels::test_a_calibration_of_something_else",
            "store/test_sound_levels::test_a_period_that_is_calibrated_in_part",
        ),
    ),
}

HEAD = """# Bad inputs

What happens to each kind of bad or odd input, and the tests that say so. Bad data fails once, with
its [code](errors.md) and a message that names the file, the value and the cure; it is never
retried, and the batch goes on. Damage of every kind is
[made at random as well](../SECURITY.md#fuzzing).

This page is made by `python -m tests.nasty.table`; a test compares it with the program.

| # | input | what happens | words of the message | tests |
|---|---|---|---|---|
"""


def page() -> str:
    """Return the text of docs/bad-inputs.md."""
    lines = []
    for number, row in TABLE.items():
        tests = "<br>".join(f"`{test}`" for test in row.tests)
        words = f"“{row.words.strip()}”" if row.words else ""
        lines.append(f"| {number} | {row.input} | {row.outcome} | {words} | {tests} |")
    return HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
