"""A scale-info type registry, built on demand from Rust-like type strings.

`Vec<(u64, AccountId32)>` becomes portable types with ids. Equal strings have equal ids, so the ids
depend only on the order of the requests.
"""

import re

from pylon_devnet.runtime.declaration import (
    Declaration,
    Field,
    TypeDeclaration,
    Variant,
    split_outside_brackets,
)
from pylon_devnet.runtime.scale_encoding import (
    encode_compact,
    encode_option,
    encode_str,
    encode_u32,
    encode_vector,
)

_PRIMITIVES = (
    "bool", "char", "str", "u8", "u16", "u32", "u64", "u128", "u256",
    "i8", "i16", "i32", "i64", "i128", "i256",
)  # fmt: skip
_NO_DOCS = encode_vector(())


class TypeRegistry:
    """The types of one metadata blob.

    Args:
        declaration: declarations of named types.
    """

    def __init__(self, declaration: Declaration) -> None:
        self._types = declaration.types
        self._type_ids: dict[str, int] = {}
        self._encoded: list[bytes] = []

    def type_id(self, type_: str) -> int:
        """Return the id of a type; register it, and the types that it contains, if it is new.

        Raises:
            KeyError: a name in it is not declared.
        """
        known = self._type_ids.get(type_)
        if known is not None:
            return known
        # The id is assigned before the definition is encoded: types may be recursive.
        number = self._type_ids[type_] = len(self._encoded)
        self._encoded.append(b"")
        path, parameters, definition = self._define(type_)
        self._encoded[number] = path + parameters + definition + _NO_DOCS
        return number

    def declare(self, name: str, path: tuple[str, ...], variants: list[Variant]) -> None:
        """Declare an enum that is in no table, such as the calls of a pallet."""
        self._types[name] = TypeDeclaration(name, path, (), variants=tuple(variants))

    def encode(self) -> bytes:
        """Encode the portable registry: every type with its id."""
        return encode_vector(
            encode_compact(number) + body for number, body in enumerate(self._encoded)
        )

    def _define(self, type_: str) -> tuple[bytes, bytes, bytes]:
        anonymous = (encode_vector(()), encode_vector(()))
        if type_ in _PRIMITIVES:
            return *anonymous, bytes([5, _PRIMITIVES.index(type_)])
        if type_.startswith("("):
            parts = split_outside_brackets(type_[1:-1])
            return *anonymous, b"\x04" + encode_vector(
                encode_compact(self.type_id(part)) for part in parts
            )
        if type_.startswith("["):
            item, _, length = type_[1:-1].rpartition("; ")
            return *anonymous, b"\x03" + encode_u32(int(length)) + encode_compact(
                self.type_id(item)
            )
        if match := re.match(r"(Vec|Compact)<(.*)>$", type_):
            kind = b"\x02" if match[1] == "Vec" else b"\x06"
            return *anonymous, kind + encode_compact(self.type_id(match[2]))
        return self._named(type_)

    def _named(self, type_: str) -> tuple[bytes, bytes, bytes]:
        name, _, rest = type_.partition("<")
        declared = self._types[name]
        arguments = split_outside_brackets(rest[:-1]) if rest else []
        if len(arguments) != len(declared.parameters):
            raise ValueError(f"{type_} needs {len(declared.parameters)} type arguments")
        bound = dict(zip(declared.parameters, arguments, strict=True))
        parameters = encode_vector(
            encode_str(parameter)
            + encode_option(None if _is_bound(argument) else encode_compact(self.type_id(argument)))
            for parameter, argument in bound.items()
        )
        path = encode_vector(encode_str(part) for part in declared.path)
        if declared.variants is not None:
            return path, parameters, self._variants(declared.variants, bound)
        return path, parameters, b"\x00" + self._fields(declared.fields, bound)

    def _variants(
        self, variants: tuple[Variant, ...], bound: dict[str, str] | None = None
    ) -> bytes:
        return b"\x01" + encode_vector(
            encode_str(variant.name)
            + self._fields(variant.fields, bound or {})
            + bytes([variant.index])
            + _NO_DOCS
            for variant in variants
        )

    def _fields(self, fields: tuple[Field, ...], bound: dict[str, str]) -> bytes:
        return encode_vector(
            encode_option(None if field.name is None else encode_str(field.name))
            + encode_compact(self.type_id(_substitute(field.type, bound)))
            + encode_option(encode_str(field.type))
            + _NO_DOCS
            for field in fields
        )


def _is_bound(argument: str) -> bool:
    """Return whether a type argument is a length limit, which metadata omits."""
    return argument == "_" or argument.isdigit()


def _substitute(type_: str, bound: dict[str, str]) -> str:
    return re.sub(r"\w+", lambda word: bound.get(word[0], word[0]), type_) if bound else type_
