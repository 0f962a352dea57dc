"""Codecs of the parts of runtime APIs' answers: of a list's records, and of a struct's fields."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol


class RuntimeTypes(Protocol):
    """The part of the SDK's codec of one runtime that is used here.

    Attributes:
        runtime_api_map: the declaration of each method, by runtime API and name.
    """

    runtime_api_map: Any

    def encode(self, type_string: str, value: Any) -> bytes:
        """Return the SCALE bytes of a value of a type."""
        ...

    def decode(self, type_string: str, data: bytes) -> Any:
        """Return the value of exactly these SCALE bytes; otherwise raise ValueError."""
        ...

    def type_id_of(self, type_name: str) -> int | None:
        """Return the number of a type."""
        ...

    def type_name_of(self, type_id: int) -> str | None:
        """Return the name of a type."""
        ...

    def registry_types(self) -> list[dict[str, Any]]:
        """Return the declarations of all types."""
        ...


@dataclass(frozen=True, slots=True)
class RecordCodec:
    """Encodes and decodes one record of an answer that is a list.

    Attributes:
        codec: the codec of the runtime.
        type: name of the record's type in the codec.
    """

    codec: RuntimeTypes
    type: str

    def encode(self, record: Any) -> bytes:
        """Return the SCALE bytes of a record."""
        return self.codec.encode(self.type, record)

    def decode(self, data: bytes) -> Any:
        """Return the record of SCALE bytes.

        Raises:
            ValueError: the bytes are not exactly those of a record.
        """
        return self.codec.decode(self.type, data)


@dataclass(frozen=True, slots=True)
class FieldsCodec:
    """Encodes and decodes some fields of an answer that is a struct or nothing.

    Attributes:
        codec: the codec of the runtime.
        types: names of the fields' types in the codec, by field, in the order of the struct.
    """

    codec: RuntimeTypes
    types: dict[str, str]

    def encode_first(self, count: int, struct: Mapping[str, Any]) -> bytes:
        """Return the first SCALE bytes of an answer: up to the end of the first fields."""
        fields = list(self.types.items())[:count]
        return b"\x01" + b"".join(self.codec.encode(type_, struct[name]) for name, type_ in fields)

    def decode_rest(self, count: int, data: bytes) -> dict[str, Any]:
        """Return all fields but the first ones.

        Args:
            count: number of the first fields.
            data: the SCALE bytes of the answer after these fields.

        Raises:
            ValueError: the bytes are not exactly those of the fields.
        """
        rest = list(self.types.items())[count:]
        values = self.codec.decode(f"({','.join(type_ for _, type_ in rest)})", data)
        return dict(zip((name for name, _ in rest), values, strict=True))


class AnswerTypes:
    """The types of the answers of one runtime.

    Args:
        codec: the codec of the runtime.
    """

    def __init__(self, codec: RuntimeTypes) -> None:
        self._codec = codec
        self._found: dict[tuple[str, str], RecordCodec | FieldsCodec | None] = {}

    def of(self, api: str, method: str) -> RecordCodec | FieldsCodec | None:
        """Return the codec of an answer's parts; None if it is neither a list nor a struct."""
        key = (api, method)
        if key not in self._found:
            self._found[key] = self._find(api, method)
        return self._found[key]

    def _find(self, api: str, method: str) -> RecordCodec | FieldsCodec | None:
        definition = self._codec.runtime_api_map.get(api, {}).get(method)
        if definition is None:
            return None
        name = self._codec.type_name_of(_number(definition["output"])) or ""
        outer, _, inner = name.removesuffix(">").partition("<")
        number = self._codec.type_id_of(inner)
        if number is None:
            return None
        if outer == "Vec":
            return RecordCodec(self._codec, _type(number))
        if outer == "Option":
            return self._fields(number)
        return None

    def _fields(self, number: int) -> FieldsCodec | None:
        fields = self._structs.get(number)
        if not fields or not all(field.get("name") for field in fields):
            return None
        return FieldsCodec(self._codec, {field["name"]: _type(field["type"]) for field in fields})

    @cached_property
    def _structs(self) -> dict[int, list[dict[str, Any]]]:
        """The fields of each struct of the runtime."""
        return {
            one["id"]: one["type"]["def"].get("composite", {}).get("fields", [])
            for one in self._codec.registry_types()
        }


def _number(type_: str) -> int:
    return int(type_.removeprefix("scale_info::"))


def _type(number: int) -> str:
    return f"scale_info::{number}"
