"""What all records are: immutable, closed, finite, and readable like the dict they become."""

from __future__ import annotations

import json
from collections.abc import Set as AbstractSet
from typing import Any, Self

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticSerializationError

from anc_core.titles import title_of


class Record(BaseModel):
    """Base of all records: immutable, closed, finite, and readable like the dict it becomes."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        field_title_generator=lambda name, _info: title_of(name),
    )

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - the type is that of the named field
        """Return the field ``name``; ``record["status"]`` is ``record.status``."""
        if name not in type(self).model_fields:
            raise KeyError(name)
        return getattr(self, name)

    def to_json(self, *, indent: int | None = None, exclude: AbstractSet[str] | None = None) -> str:
        r"""Return the record as JSON; undecodable bytes of file names become ``\udcNN``.

        Those stand in a name as lone surrogates, which UTF-8 cannot hold and pydantic refuses.
        """
        fields = set(exclude or ())
        try:
            return self.model_dump_json(indent=indent, exclude=fields)
        except PydanticSerializationError:
            return json.dumps(self.model_dump(mode="json", exclude=fields), indent=indent)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Return the record that :meth:`to_json` wrote.

        Raises
        ------
        ValueError
            If it is no JSON or no such record.
        """
        return cls.model_validate(json.loads(text))
