"""Parser of the fact tables that declare a runtime.

`facts/*.facts` contain the declarations that all runtimes share, `facts/<runtime>/*.facts` the
additions of one runtime. The tables use a small language similar to Rust, one statement per line; a
statement continues until its brackets are closed, and `#` starts a comment.

    struct path::Name<T>(u32, T)          enum path::Name { A, B(u8), C { f: u8 } = 7 }
    struct path::Name as Alias { f: T }   enum path::Name { Raw{N in 0..=128}([u8; N]) }

    pallet Name = 7 of crate_name
      storage
        Item[Hasher Key, …]: Value? = default      `?`: missing is None; otherwise the default
      calls | events
        index name(argument: Type, …)
      errors
        index Name
      constants
        Name: Type = value

    api Name
      method(argument: Type, …) -> Type
    extensions
      Name: type in the extrinsic + type in the signed data

    pallet Name                           adds to a pallet that another table declares
    alias Name = type                     replaces the type in all tables of this runtime
    spec_version 475

The second argument of `BoundedVec<u8, 1024>` is the maximum number of items; `_` means unlimited.

A default or constant is a number, `true`/`false`, `0x…` SCALE bytes, or a placeholder that the
metadata writer replaces (`version`, `slot_duration`).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pylon_devnet.runtime.runtime_names import NEWEST

_FACTS = Path(__file__).parent / "facts"
_OPEN, _CLOSE = "([{<", ")]}>"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a struct, a variant, a call or an event; unnamed in a tuple struct."""

    name: str | None
    type: str


@dataclass(frozen=True, slots=True)
class Variant:
    """One alternative of an enum, or one call, event or error of a pallet."""

    index: int
    name: str
    fields: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True)
class TypeDeclaration:
    """A struct (`variants` is None) or an enum, with the names of its type parameters."""

    name: str
    path: tuple[str, ...]
    parameters: tuple[str, ...]
    fields: tuple[Field, ...] = ()
    variants: tuple[Variant, ...] | None = None


@dataclass(frozen=True, slots=True)
class StorageItem:
    """A storage value (no keys) or map; `default` is the text in the table, or None."""

    name: str
    hashers: tuple[str, ...]
    keys: tuple[str, ...]
    value: str
    optional: bool
    default: str | None


@dataclass(frozen=True, slots=True)
class Constant:
    """A constant of a pallet; `value` is the text in the table."""

    name: str
    type: str
    value: str


@dataclass(slots=True)
class Pallet:
    """The declarations of a pallet; the paths of its types begin with its crate."""

    name: str
    index: int
    crate: str
    storage: list[StorageItem] = field(default_factory=list[StorageItem])
    calls: list[Variant] = field(default_factory=list[Variant])
    events: list[Variant] = field(default_factory=list[Variant])
    errors: list[Variant] = field(default_factory=list[Variant])
    constants: list[Constant] = field(default_factory=list[Constant])


@dataclass(frozen=True, slots=True)
class ApiMethod:
    """One method of a runtime API."""

    name: str
    inputs: tuple[Field, ...]
    output: str


@dataclass(frozen=True, slots=True)
class Extension:
    """A signed extension, with its type in the extrinsic and its type in the signed payload."""

    name: str
    type: str
    additional: str


@dataclass(slots=True)
class Declaration:
    """The declarations of a runtime."""

    spec_version: int = 0
    types: dict[str, TypeDeclaration] = field(default_factory=dict[str, TypeDeclaration])
    pallets: list[Pallet] = field(default_factory=list[Pallet])
    apis: dict[str, list[ApiMethod]] = field(default_factory=dict[str, list[ApiMethod]])
    extensions: list[Extension] = field(default_factory=list[Extension])

    def pallet(self, name: str) -> Pallet:
        """Return the pallet of that name.

        Raises:
            KeyError: it is not declared.
        """
        for pallet in self.pallets:
            if pallet.name == name:
                return pallet
        raise KeyError(name)


def split_outside_brackets(text: str, separator: str = ",") -> list[str]:
    """Split a text at separators outside of brackets, and strip the parts."""
    parts: list[str] = []
    depth = start = 0
    for position, character in enumerate(text):
        if character in _OPEN:
            depth += 1
        elif character in _CLOSE and text[position - 1 : position + 1] != "->":
            depth -= 1
        elif character == separator and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    parts.append(text[start:])
    return [part.strip() for part in parts if part.strip()]


def load_declaration(runtime: str = NEWEST) -> Declaration:
    """Load the declarations of a runtime, with pallets sorted by index."""
    paths = (*sorted(_FACTS.glob("*.facts")), *sorted((_FACTS / runtime).glob("*.facts")))
    source = "\n".join(path.read_text(encoding="utf-8") for path in paths)
    declaration = Declaration()
    parse_declaration(source, declaration=declaration)
    declaration.pallets.sort(key=lambda pallet: pallet.index)
    return declaration


def parse_declaration(source: str, declaration: Declaration) -> None:
    """Parse a fact table into a declaration.

    Raises:
        ValueError: a statement is invalid; the text quotes it.
    """
    section, pallet = "", None
    for statement in _statements(_without_aliases(source)):
        word, _, rest = statement.partition(" ")
        match word:
            case "struct" | "enum":
                declared = _type(rest, is_enum=word == "enum")
                declaration.types[declared.name] = declared
            case "pallet":
                pallet = _pallet(rest, declaration)
            case "spec_version":
                declaration.spec_version = int(rest)
            case "api":
                declaration.apis[rest] = []
                section = "api"
            case "storage" | "calls" | "events" | "errors" | "constants" | "extensions" if not rest:
                section = word
            case _:
                _member(declaration, pallet, section, statement)


def _without_aliases(source: str) -> str:
    """Replace aliases by their types, and remove the alias statements."""
    declared = r"^alias (\w+) = (.+)$"
    aliases = dict(re.findall(declared, source, re.MULTILINE))
    source = re.sub(declared, "", source, flags=re.MULTILINE)
    # A word before a parenthesis is a variant or a call, not a type.
    return re.sub(r"\b\w+\b(?!\()", lambda word: aliases.get(word[0], word[0]), source)


def _pallet(text: str, into: Declaration) -> Pallet:
    """Return the pallet that a statement declares or extends."""
    name, _, place = text.partition(" = ")
    if not place:
        return into.pallet(name)
    index, _, crate = place.partition(" of ")
    into.pallets.append(Pallet(name, int(index), crate))
    return into.pallets[-1]


def _member(into: Declaration, pallet: Pallet | None, section: str, statement: str) -> None:
    match section, pallet:
        case "storage", Pallet():
            pallet.storage.append(_storage(statement))
        case "calls", Pallet():
            pallet.calls.append(_indexed(statement))
        case "events", Pallet():
            pallet.events.append(_indexed(statement))
        case "errors", Pallet():
            pallet.errors.append(_indexed(statement))
        case "constants", Pallet():
            head, _, value = statement.partition(" = ")
            name, _, type_ = head.partition(": ")
            pallet.constants.append(Constant(name, type_, value.strip()))
        case "api", _:
            call, _, output = statement.rpartition(" -> ")
            name, _, inputs = call.partition("(")
            methods = into.apis[next(reversed(into.apis))]
            methods.append(ApiMethod(name, _fields(inputs[:-1]), output))
        case "extensions", _:
            name, _, types = statement.partition(": ")
            type_, _, additional = types.partition(" + ")
            into.extensions.append(Extension(name, type_, additional))
        case _:
            raise ValueError(f"fact table: {statement!r} is outside of a section")


def _statements(source: str) -> Iterator[str]:
    pending = ""
    for line in source.splitlines():
        code = line.partition("#")[0].strip()
        if not code:
            continue
        pending = f"{pending} {code}" if pending else code
        unclosed = sum(pending.count(c) for c in "([{") - sum(pending.count(c) for c in ")]}")
        generic = pending.replace("->", "").count("<") - pending.replace("->", "").count(">")
        if unclosed == 0 and generic == 0 and not pending.endswith(("=", "->")):
            yield pending
            pending = ""
    if pending:
        raise ValueError(f"fact table: the text ends inside {pending!r}")


def _fields(text: str) -> tuple[Field, ...]:
    result: list[Field] = []
    for part in split_outside_brackets(text):
        match = re.match(r"(\w+): (.+)$", part)
        result.append(Field(match[1], match[2]) if match else Field(None, part))
    return tuple(result)


def _body(text: str) -> tuple[Field, ...]:
    return _fields(text[1:-1]) if text[:1] in {"(", "{"} else ()


def _type(text: str, *, is_enum: bool) -> TypeDeclaration:
    match = re.match(r"([\w:]+)(<[^>]*>)?(?: as (\w+))?\s*(.*)$", text)
    if match is None:
        raise ValueError(f"fact table: invalid type {text!r}")
    path = tuple(match[1].split("::"))
    parameters = tuple(split_outside_brackets(match[2][1:-1])) if match[2] else ()
    name, body = match[3] or path[-1], match[4]
    if is_enum:
        return TypeDeclaration(name, path, parameters, variants=_variants(body[1:-1]))
    return TypeDeclaration(name, path, parameters, fields=_body(body))


def _variants(text: str) -> tuple[Variant, ...]:
    result: list[Variant] = []
    following = 0
    for part in split_outside_brackets(text):
        family = re.match(r"(\w+)\{N in (\d+)\.\.=(\d+)\}\((.+)\)$", part)
        if family:
            for number in range(int(family[2]), int(family[3]) + 1):
                type_ = re.sub(r"\bN\b", str(number), family[4])
                result.append(Variant(following, f"{family[1]}{number}", (Field(None, type_),)))
                following += 1
            continue
        head, _, index = part.partition(" = ")
        if index:
            following = int(index)
        match = re.match(r"(\w+)\s*(.*)$", head)
        if match is None:
            raise ValueError(f"fact table: invalid variant {part!r}")
        result.append(Variant(following, match[1], _body(match[2])))
        following += 1
    return tuple(result)


def _indexed(statement: str) -> Variant:
    match = re.match(r"(\d+) (\w+)\s*(.*)$", statement)
    if match is None:
        raise ValueError(f"fact table: {statement!r} does not begin with an index")
    return Variant(int(match[1]), match[2], _body(match[3]))


def _storage(statement: str) -> StorageItem:
    head, _, default = statement.partition(" = ")
    match = re.match(r"(\w+)(?:\[(.*?)\])?: (.+)$", head)
    if match is None:
        raise ValueError(f"fact table: invalid storage item {statement!r}")
    pairs = [key.split(" ", 1) for key in split_outside_brackets(match[2] or "")]
    return StorageItem(
        name=match[1],
        hashers=tuple(hasher for hasher, _ in pairs),
        keys=tuple(key for _, key in pairs),
        value=match[3].removesuffix("?"),
        optional=match[3].endswith("?"),
        default=default.strip() or None,
    )
