"""A scale-info type registry, built from Rust-like type strings as they are asked for.

`Vec<(u64, AccountId32)>` becomes portable types with numbers; the same string gets the same number
every time, so the numbering depends only on the order of the questions.
"""

import re

from pylon_devnet.runtime.declaration import Declaration, Field, TypeDeclaration, Variant, split
from pylon_devnet.runtime.scale_encoding import compact, option, text, u32, vector

_PRIMITIVES = (
    "bool", "char", "str", "u8", "u16", "u32", "u64", "u128", "u256",
    "i8", "i16", "i32", "i64", "i128", "i256",
)  # fmt: skip
_NO_DOCS = vector(())


class TypeRegistry:
    """The types of one metadata blob.

    Args:
        declaration: where named types are looked up.
    """

    def __init__(self, declaration: Declaration) -> None:
        self._types = declaration.types
        self._numbers: dict[str, int] = {}
        self._encoded: list[bytes] = []

    def number(self, type_: str) -> int:
        """The number of a type, which is entered (with all that it is made of) when new.

        Raises:
            KeyError: no table declares a name in it.
        """
        known = self._numbers.get(type_)
        if known is not None:
            return known
        # The number is taken before the definition is written: types may contain themselves.
        number = self._numbers[type_] = len(self._encoded)
        self._encoded.append(b"")
        path, parameters, definition = self._define(type_)
        self._encoded[number] = path + parameters + definition + _NO_DOCS
        return number

    def declare(self, name: str, path: tuple[str, ...], variants: list[Variant]) -> None:
        """Gives an enum that no table declares (the calls of a pallet, say) a name for others."""
        self._types[name] = TypeDeclaration(name, path, (), variants=tuple(variants))

    def encode(self) -> bytes:
        """The portable registry: every type with its number."""
        return vector(compact(number) + body for number, body in enumerate(self._encoded))

    def _define(self, type_: str) -> tuple[bytes, bytes, bytes]:
        anonymous = (vector(()), vector(()))
        if type_ in _PRIMITIVES:
            return *anonymous, bytes([5, _PRIMITIVES.index(type_)])
        if type_.startswith("("):
            parts = split(type_[1:-1])
            return *anonymous, b"\x04" + vector(compact(self.number(part)) for part in parts)
        if type_.startswith("["):
            item, _, length = type_[1:-1].rpartition("; ")
            return *anonymous, b"\x03" + u32(int(length)) + compact(self.number(item))
        if match := re.match(r"(Vec|Compact)<(.*)>$", type_):
            kind = b"\x02" if match[1] == "Vec" else b"\x06"
            return *anonymous, kind + compact(self.number(match[2]))
        return self._named(type_)

    def _named(self, type_: str) -> tuple[bytes, bytes, bytes]:
        name, _, rest = type_.partition("<")
        declared = self._types[name]
        arguments = split(rest[:-1]) if rest else []
        if len(arguments) != len(declared.parameters):
            raise ValueError(f"{type_} needs {len(declared.parameters)} type arguments")
        bound = dict(zip(declared.parameters, arguments, strict=True))
        parameters = vector(
            text(parameter)
            + option(None if _is_bound(argument) else compact(self.number(argument)))
            for parameter, argument in bound.items()
        )
        path = vector(text(part) for part in declared.path)
        if declared.variants is not None:
            return path, parameters, self._variants(declared.variants, bound)
        return path, parameters, b"\x00" + self._fields(declared.fields, bound)

    def _variants(
        self, variants: tuple[Variant, ...], bound: dict[str, str] | None = None
    ) -> bytes:
        return b"\x01" + vector(
            text(variant.name)
            + self._fields(variant.fields, bound or {})
            + bytes([variant.index])
            + _NO_DOCS
            for variant in variants
        )

    def _fields(self, fields: tuple[Field, ...], bound: dict[str, str]) -> bytes:
        return vector(
            option(None if field.name is None else text(field.name))
            + compact(self.number(_substitute(field.type, bound)))
            + option(text(field.type))
            + _NO_DOCS
            for field in fields
        )


def _is_bound(argument: str) -> bool:
    """Return whether a type argument limits a length, which metadata does not show."""
    return argument == "_" or argument.isdigit()


def _substitute(type_: str, bound: dict[str, str]) -> str:
    return re.sub(r"\w+", lambda word: bound.get(word[0], word[0]), type_) if bound else type_
