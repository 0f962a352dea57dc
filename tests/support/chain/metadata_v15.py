"""Decode V15 metadata into plain values, independently of the encoder under test."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

HASHERS = (
    "Blake2_128",
    "Blake2_256",
    "Blake2_128Concat",
    "Twox128",
    "Twox256",
    "Twox64Concat",
    "Identity",
)
PRIMITIVES = (
    *("bool", "char", "str"),
    *("u8", "u16", "u32", "u64", "u128", "u256"),
    *("i8", "i16", "i32", "i64", "i128", "i256"),
)


@dataclass
class Field:
    name: str | None
    type: int


@dataclass
class Variant:
    name: str
    index: int
    fields: list[Field]


@dataclass
class Type:
    path: list[str]
    kind: str
    detail: Any


@dataclass
class Storage:
    hashers: list[str]
    key: int | None
    value: int
    optional: bool
    default: bytes


@dataclass
class Pallet:
    index: int
    storage: dict[str, Storage]
    calls: int | None
    events: int | None
    errors: int | None
    constants: dict[str, tuple[int, bytes]]


@dataclass
class Metadata:
    types: list[Type] = field(default_factory=list)
    pallets: dict[str, Pallet] = field(default_factory=dict)
    extensions: list[tuple[str, int, int]] = field(default_factory=list)
    apis: dict[str, dict[str, tuple[list[tuple[str, int]], int]]] = field(default_factory=dict)

    def variants(self, number: int | None) -> list[Variant]:
        return [] if number is None else self.types[number].detail

    def shape(self, number: int, *, depth: int = 12) -> Any:
        """Return the layout of a type's bytes: newtypes are resolved, names are left out."""
        type_ = self.types[number]
        if depth == 0:
            return "…"

        def inner(one: int) -> Any:
            return self.shape(one, depth=depth - 1)

        if type_.kind in {"struct", "tuple"}:
            members = [
                (one.name, inner(one.type)) if isinstance(one, Field) else (None, inner(one))
                for one in type_.detail
            ]
            return members[0][1] if len(members) == 1 else tuple(members)
        match type_.kind, type_.detail:
            case "enum", variants:
                shape = {
                    one.name: (one.index, [inner(field.type) for field in one.fields])
                    for one in variants
                }
            case "primitive", name:
                shape = name
            case "array", (length, item):
                shape = (length, inner(item))
            case kind, item:
                shape = (kind, inner(item))
        return shape


class Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.offset = 0

    def take(self, count: int) -> bytes:
        taken = self.data[self.offset : self.offset + count]
        assert len(taken) == count, "the metadata is cut short"
        self.offset += count
        return taken

    def u8(self) -> int:
        return self.take(1)[0]

    def compact(self) -> int:
        mode = self.data[self.offset] & 3
        if mode == 3:
            return int.from_bytes(self.take((self.u8() >> 2) + 4), "little")
        return int.from_bytes(self.take(1 << mode), "little") >> 2

    def text(self) -> str:
        return self.take(self.compact()).decode()

    def octets(self) -> bytes:
        return self.take(self.compact())

    def option(self, read: Callable[[], Any]) -> Any:
        return read() if self.u8() else None

    def vector(self, read: Callable[[], Any]) -> list[Any]:
        return [read() for _ in range(self.compact())]


def read(data: bytes) -> Metadata:
    reader = Reader(data)
    assert reader.take(5) == b"meta\x0f"
    metadata = Metadata()
    metadata.types = reader.vector(lambda: _type(reader))
    for name, pallet in reader.vector(lambda: _pallet(reader)):
        metadata.pallets[name] = pallet
    reader.u8()
    for _ in range(4):
        reader.compact()
    metadata.extensions = reader.vector(lambda: (reader.text(), reader.compact(), reader.compact()))
    reader.compact()
    metadata.apis = dict(reader.vector(lambda: _api(reader)))
    for _ in range(3):
        reader.compact()
    reader.vector(lambda: (reader.text(), reader.compact(), reader.octets()))
    assert reader.offset == len(data), "the metadata goes on behind its end"
    return metadata


def _field(reader: Reader) -> Field:
    name, type_ = reader.option(reader.text), reader.compact()
    reader.option(reader.text)
    reader.vector(reader.text)
    return Field(name, type_)


def _variant(reader: Reader) -> Variant:
    name, fields = reader.text(), reader.vector(lambda: _field(reader))
    index = reader.u8()
    reader.vector(reader.text)
    return Variant(name, index, fields)


def _type(reader: Reader) -> Type:
    reader.compact()
    path = reader.vector(reader.text)
    reader.vector(lambda: (reader.text(), reader.option(reader.compact)))
    kinds: list[tuple[str, Callable[[], Any]]] = [
        ("struct", lambda: reader.vector(lambda: _field(reader))),
        ("enum", lambda: reader.vector(lambda: _variant(reader))),
        ("vec", reader.compact),
        ("array", lambda: (int.from_bytes(reader.take(4), "little"), reader.compact())),
        ("tuple", lambda: reader.vector(reader.compact)),
        ("primitive", lambda: PRIMITIVES[reader.u8()]),
        ("compact", reader.compact),
        ("bits", lambda: (reader.compact(), reader.compact())),
    ]
    kind, detail = kinds[reader.u8()]
    type_ = Type(path, kind, detail())
    reader.vector(reader.text)
    return type_


def _storage(reader: Reader) -> tuple[str, Storage]:
    name, optional = reader.text(), reader.u8() == 0
    hashers: list[str] = []
    key = None
    if reader.u8() == 1:
        hashers = reader.vector(lambda: HASHERS[reader.u8()])
        key = reader.compact()
    storage = Storage(hashers, key, reader.compact(), optional, reader.octets())
    reader.vector(reader.text)
    return name, storage


def _constant(reader: Reader) -> tuple[str, tuple[int, bytes]]:
    name, value = reader.text(), (reader.compact(), reader.octets())
    reader.vector(reader.text)
    return name, value


def _pallet(reader: Reader) -> tuple[str, Pallet]:
    name = reader.text()
    storage = reader.option(lambda: (reader.text(), reader.vector(lambda: _storage(reader))))
    calls, events = reader.option(reader.compact), reader.option(reader.compact)
    constants = dict(reader.vector(lambda: _constant(reader)))
    errors = reader.option(reader.compact)
    pallet = Pallet(
        index=reader.u8(),
        storage=dict(storage[1]) if storage else {},
        calls=calls,
        events=events,
        errors=errors,
        constants=constants,
    )
    reader.vector(reader.text)
    return name, pallet


def _api(reader: Reader) -> tuple[str, dict[str, tuple[list[tuple[str, int]], int]]]:
    def method() -> tuple[str, tuple[list[tuple[str, int]], int]]:
        name = reader.text()
        inputs = reader.vector(lambda: (reader.text(), reader.compact()))
        output = reader.compact()
        reader.vector(reader.text)
        return name, (inputs, output)

    name, methods = reader.text(), dict(reader.vector(method))
    reader.vector(reader.text)
    return name, methods
