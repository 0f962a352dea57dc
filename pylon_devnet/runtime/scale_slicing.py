"""Slices SCALE bytes into parts according to the declarations.

Decoded byte strings are ambiguous (text or hex). Bytes that must be stored exactly as signed are
sliced out of the encoded call instead.
"""

import re

from pylon_devnet.runtime.declaration import (
    Declaration,
    Field,
    TypeDeclaration,
    split_outside_brackets,
)
from pylon_devnet.runtime.scale_encoding import decode_compact

_WIDTHS = {
    "bool": 1, "u8": 1, "i8": 1, "u16": 2, "i16": 2, "u32": 4, "i32": 4, "u64": 8, "i64": 8,
    "u128": 16, "i128": 16, "u256": 32, "i256": 32,
}  # fmt: skip


class Slicer:
    """Finds the ends of encoded values.

    Args:
        declaration: declarations of the types.
    """

    def __init__(self, declaration: Declaration) -> None:
        self._types: dict[str, TypeDeclaration] = declaration.types

    def arguments(self, pallet: str, function: str, call: bytes) -> dict[str, bytes]:
        """Return the bytes of each argument of a call, by name.

        Args:
            pallet: pallet of the call.
            function: function of the call.
            call: SCALE bytes of the call, including the two index bytes.

        Raises:
            ValueError: the bytes are too short or too long.
        """
        variants = self._types[f"{pallet}Call"].variants or ()
        fields = next(variant.fields for variant in variants if variant.name == function)
        offset, parts = 2, dict[str, bytes]()
        for field in fields:
            end = self.skip(field.type, call, offset)
            parts[field.name or ""] = call[offset:end]
            offset = end
        if offset != len(call):
            raise ValueError("the call has bytes behind its last argument")
        return parts

    def items(self, item: str, vector: bytes) -> list[bytes]:
        """Return the bytes of each item of an encoded `Vec`."""
        count, offset = decode_compact(vector, 0)
        parts: list[bytes] = []
        for _ in range(count):
            end = self.skip(item, vector, offset)
            parts.append(vector[offset:end])
            offset = end
        return parts

    def skip(self, type_: str, data: bytes, offset: int) -> int:
        """Return the offset after a value of a type.

        Raises:
            ValueError: the data is too short, contains an unknown variant, or exceeds the limit of
                a bounded vector.
        """
        end = self._skip(type_, data, offset)
        if end > len(data):
            raise ValueError(f"the data ends inside {type_}")
        return end

    def _skip(self, type_: str, data: bytes, offset: int) -> int:
        if type_ in _WIDTHS:
            return offset + _WIDTHS[type_]
        if type_ == "str" or type_.startswith("Compact<"):
            number, behind = decode_compact(data, offset)
            return behind + number if type_ == "str" else behind
        if type_.startswith("("):
            for part in split_outside_brackets(type_[1:-1]):
                offset = self._skip(part, data, offset)
            return offset
        if type_.startswith("["):
            item, _, length = type_[1:-1].rpartition("; ")
            return self._repeat(item, int(length), data, offset)
        if type_.startswith("Vec<"):
            count, offset = decode_compact(data, offset)
            return self._repeat(type_[4:-1], count, data, offset)
        return self._named(type_, data, offset)

    def _repeat(self, item: str, count: int, data: bytes, offset: int) -> int:
        if item in _WIDTHS:
            return offset + count * _WIDTHS[item]
        for _ in range(count):
            if offset > len(data):
                break
            offset = self._skip(item, data, offset)
        return offset

    def _named(self, type_: str, data: bytes, offset: int) -> int:
        name, _, rest = type_.partition("<")
        declared = self._types[name]
        bound = (
            dict(zip(declared.parameters, split_outside_brackets(rest[:-1]), strict=True))
            if rest
            else {}
        )
        if bound.get("S", "_").isdigit() and decode_compact(data, offset)[0] > int(bound["S"]):
            raise ValueError(f"the data has more items than {type_} holds")
        fields = declared.fields
        if declared.variants is not None:
            if offset >= len(data):
                raise ValueError(f"the data ends before {type_}")
            fields = _variant_fields(declared, data[offset])
            offset += 1
        for field in fields:
            inner = re.sub(r"\w+", lambda word: bound.get(word[0], word[0]), field.type)
            offset = self._skip(inner if bound else field.type, data, offset)
        return offset


def _variant_fields(declared: TypeDeclaration, index: int) -> tuple[Field, ...]:
    for variant in declared.variants or ():
        if variant.index == index:
            return variant.fields
    raise ValueError(f"{declared.name} has no variant {index}")
