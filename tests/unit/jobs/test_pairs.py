"""Which file is whose reference, by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anc_core.errors import InputError
from anc_core.jobs.pairs import PairRule, pair_up

NAMES = st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=12)


@given(stem=NAMES, suffix=st.sampled_from(["wav", "flac", "x.y"]))
def test_each_side_leads_to_the_other(stem: str, suffix: str) -> None:
    rule = PairRule.parse("*_primary.*=*_reference.*")
    primary = Path("in") / f"{stem}_primary.{suffix}"
    reference = rule.reference_of(primary)
    assert reference is not None
    assert rule.primary_of(reference) == primary


@pytest.mark.parametrize(
    ("rule", "primary", "reference"),
    [
        ("mic1/*=mic2/*", "day/mic1/a.wav", "day/mic2/a.wav"),
        ("*.wav=refs/*.wav", "day/a.wav", "day/refs/a.wav"),
        ("take?_a.wav=take?_b.wav", "take7_a.wav", "take7_b.wav"),
        ("[x]*_p.wav=[x]*_r.wav", "[x]1_p.wav", "[x]1_r.wav"),
        (" *_p.wav = *_r.wav ", "ü_p.wav", "ü_r.wav"),
    ],
)
def test_wildcards_stand_for_the_same_on_both_sides(
    rule: str, primary: str, reference: str
) -> None:
    assert PairRule.parse(rule).reference_of(Path(primary)) == Path(reference)


@pytest.mark.parametrize("name", ["b.wav", "a_primary", "mic1/b_primary.wav/c"])
def test_another_name_has_no_reference(name: str) -> None:
    assert PairRule.parse("a*_primary.wav=a*_reference.wav").reference_of(Path(name)) is None


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("*_primary.*", "PRIMARY=REFERENCE"),
        ("*=*=*", "PRIMARY=REFERENCE"),
        ("=*", "PRIMARY=REFERENCE"),
        ("a.wav=b.wav", "same wildcards"),
        ("*_a.?=*_b.*", "same wildcards"),
        ("*_a.wav=*_a.wav", "own reference"),
    ],
)
def test_a_rule_that_cannot_work_says_why(rule: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        PairRule.parse(rule)


def test_a_name_that_fits_both_sides_is_a_references() -> None:
    paths = [Path("in") / name for name in ("a.wav", "a_ref.wav", "b_ref.wav", "c.wav", "d.txt")]
    found = pair_up(paths, "*.wav=*_ref.wav")
    assert found.references == {Path("in/a_ref.wav"), Path("in/b_ref.wav")}
    assert found.orphans == (Path("in/b_ref.wav"),)
    # That c_ref.wav is not there is said when c.wav is processed.
    assert found.reference_of == {
        Path("in/a.wav"): Path("in/a_ref.wav"),
        Path("in/c.wav"): Path("in/c_ref.wav"),
    }


def test_without_a_rule_there_are_no_pairs() -> None:
    found = pair_up([Path("a_ref.wav")], None)
    assert (found.reference_of, found.references, found.orphans) == ({}, frozenset(), ())
