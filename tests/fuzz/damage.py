"""Damage to bytes as hypothesis draws it: what disks, networks and hostile people do to files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

HEAD_BYTES = 200
"""Headers lie here: half of all damage does, however long the file is."""

# Lengths and counts that programs trip over: none, one, sign bits, all ones, a billion seconds.
_VALUES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_NUMBERS = (*_VALUES, 16_000 * 10**9, 2**36 - 1, 2**62, 2**63, 2**64 - 1)


@dataclass(frozen=True, slots=True)
class Edit:
    """One change; ``at`` is a place from 0 to 1 in the head or in all of the content."""

    kind: str
    at: float
    in_head: bool
    size: int
    content: bytes

    def apply(self, content: bytes) -> bytes:
        span = min(len(content), HEAD_BYTES) if self.in_head else len(content)
        at = int(self.at * span)
        before, after = content[:at], content[at:]
        if self.kind == "replace":
            return before + self.content + after[len(self.content) :]
        if self.kind == "insert":
            return before + self.content + after
        if self.kind == "delete":
            return before + after[self.size :]
        if self.kind == "repeat":
            return before + after[: self.size] * 2 + after[self.size :]
        return before  # cut


def _number(value: int, width: int, order: str) -> bytes:
    return (value % 2 ** (8 * width)).to_bytes(width, order)  # type: ignore[arg-type]


NUMBERS = st.builds(
    _number,
    st.sampled_from(_NUMBERS),
    st.sampled_from((1, 2, 4, 8)),
    st.sampled_from(("little", "big")),
)

EDITS = st.lists(
    st.builds(
        Edit,
        kind=st.sampled_from(
            ("replace", "replace", "replace", "insert", "delete", "repeat", "cut")
        ),
        at=st.floats(0.0, 1.0),
        in_head=st.booleans(),
        size=st.integers(1, 64),
        content=st.one_of(NUMBERS, st.binary(min_size=1, max_size=16)),
    ),
    min_size=1,
    max_size=6,
)


def damaged(seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Return damaged ones of ``seeds``, and now and then bytes that never were one."""

    def apply(content: bytes, edits: list[Edit]) -> bytes:
        for edit in edits:
            content = edit.apply(content)
        return content

    whole = st.builds(apply, st.sampled_from(seeds), EDITS)
    heads = st.builds(lambda seed, tail: seed[:12] + tail, st.sampled_from(seeds), st.binary())
    return st.one_of(whole, whole, whole, heads)
