"""Windows, one by one and by the hundred thousand: a day of recording has 172 800 a channel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from pydantic import Field
from pydantic_core import core_schema

from anc_core.record import Record

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from pydantic import GetCoreSchemaHandler


class Window(Record):
    """One decision of a classifier or detector."""

    start_s: float
    end_s: float
    channel: int
    noise_type: str
    confidence: float = Field(ge=0, le=1)
    level_dbfs: float | None = None


SILENCE, SPEECH, UNKNOWN = "silence", "speech", "unknown"
NOT_NOISE = frozenset({SILENCE, SPEECH})
"""Names of windows that say that there is no noise to name: they make no events."""

_ROW = np.dtype(
    [
        ("start_s", np.float64),
        ("end_s", np.float64),
        ("channel", np.int64),
        ("name", np.int32),
        ("confidence", np.float64),
        ("level_dbfs", np.float64),
    ]
)
"""44 bytes a window, where a record of its own takes 1 200. NaN: a window without a level."""
_ROWS_AT_ONCE = 1024


class WindowTable(Sequence[Window]):
    """Windows as a tuple has them, in a thirtieth of its memory; immutable.

    Parameters
    ----------
    windows : iterable of Window

    Attributes
    ----------
    rows : structured array, shape (num_windows,)
        The fields of a window; ``name`` is a place in ``names``, a level of NaN is none.
    names : tuple of str

    Examples
    --------
    >>> table = WindowTable([Window(start_s=0, end_s=1, channel=0, noise_type="fan", confidence=1)])
    >>> len(table), table[0].noise_type, table[0].level_dbfs
    (1, 'fan', None)
    """

    __slots__ = ("names", "rows")

    def __init__(self, windows: Iterable[Window] = ()) -> None:
        names: dict[str, int] = {}
        rows = [
            (
                w.start_s,
                w.end_s,
                w.channel,
                names.setdefault(w.noise_type, len(names)),
                w.confidence,
                np.nan if w.level_dbfs is None else w.level_dbfs,
            )
            for w in windows
        ]
        self.rows: NDArray[Any] = np.array(rows, _ROW)
        self.names = tuple(names)

    @classmethod
    def of_columns(
        cls,
        *,
        start_s: ArrayLike,
        end_s: ArrayLike,
        channel: ArrayLike,
        name: ArrayLike,
        names: Sequence[str],
        confidence: ArrayLike,
        level_dbfs: ArrayLike,
    ) -> WindowTable:
        """Return the windows whose figures are in columns (n,) of equal length.

        ``name`` holds places in ``names``; a ``level_dbfs`` of NaN is none.
        """
        rows = np.empty(np.shape(start_s), _ROW)
        columns = {
            "start_s": start_s,
            "end_s": end_s,
            "channel": channel,
            "name": name,
            "confidence": confidence,
            "level_dbfs": level_dbfs,
        }
        for field, values in columns.items():
            rows[field] = values
        return cls._made(rows, tuple(names))

    @classmethod
    def joined(cls, tables: Iterable[WindowTable]) -> WindowTable:
        """Return the windows of all ``tables``, one table after the other."""
        names: dict[str, int] = {}
        parts = []
        for table in tables:
            part = table.rows.copy()
            places = [names.setdefault(name, len(names)) for name in table.names]
            if places:
                part["name"] = np.array(places, np.int32)[part["name"]]
            parts.append(part)
        return cls._made(np.concatenate(parts) if parts else np.empty(0, _ROW), tuple(names))

    @property
    def noise_types(self) -> tuple[str, ...]:
        """The names that occur, sorted."""
        return tuple(sorted(self.names[k] for k in np.unique(self.rows["name"])))

    def in_order(self) -> WindowTable:
        """Return the windows in order of time, then of channel."""
        rows = self.rows
        order = np.lexsort((rows["end_s"], rows["channel"], rows["start_s"]))
        return self._made(rows[order], self.names)

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Window: ...
    @overload
    def __getitem__(self, index: slice) -> WindowTable: ...
    def __getitem__(self, index: int | slice) -> Window | WindowTable:
        if isinstance(index, slice):
            return self._made(self.rows[index], self.names)
        return self._window(self.rows[index].item())

    def __iter__(self) -> Iterator[Window]:
        for start in range(0, len(self), _ROWS_AT_ONCE):
            yield from map(self._window, self.rows[start : start + _ROWS_AT_ONCE].tolist())

    def __eq__(self, other: object) -> bool:
        """Return whether ``other``, a table, tuple or list, holds the same windows."""
        if not isinstance(other, WindowTable | tuple | list):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    def __hash__(self) -> int:
        return hash((len(self), self.rows["start_s"].tobytes(), self.noise_types))

    def __repr__(self) -> str:
        return f"WindowTable({len(self)} windows, {', '.join(self.noise_types) or 'no names'})"

    @classmethod
    def _made(cls, rows: NDArray[Any], names: tuple[str, ...]) -> WindowTable:
        table = cls.__new__(cls)
        table.rows, table.names = rows, names
        return table

    def _window(self, row: tuple[Any, ...]) -> Window:
        start_s, end_s, channel, name, confidence, level = row
        return Window.model_construct(  # what was checked is not checked again
            start_s=start_s,
            end_s=end_s,
            channel=channel,
            noise_type=self.names[name],
            confidence=confidence,
            level_dbfs=None if level != level else level,  # noqa: PLR0124 - NaN
        )

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Let a record hold a table and read and write it as the list of windows that it is."""

        def validated(value: object, as_list: core_schema.ValidatorFunctionWrapHandler) -> object:
            return value if isinstance(value, cls) else cls(as_list(value))

        def serialised(value: WindowTable, info: core_schema.SerializationInfo) -> object:
            # JSON is written as the windows come; nothing holds them all.
            return iter(value) if info.mode_is_json() else [window.model_dump() for window in value]

        return core_schema.no_info_wrap_validator_function(
            validated,
            core_schema.list_schema(handler.generate_schema(Window)),
            serialization=core_schema.plain_serializer_function_ser_schema(
                serialised, info_arg=True
            ),
        )
