"""The file format of a backup: a zip archive of a manifest and the entries of the job store.

The entries are lines of JSON. The manifest has their SHA-256 and the archive a CRC of each member,
so that damage is found before anything is restored.
"""

import contextlib
import hashlib
import os
import struct
import zipfile
import zlib
from collections.abc import Generator
from pathlib import Path
from typing import IO, BinaryIO, Final

import msgspec

from pylon.common.distribution import service_version

FORMAT: Final = 1
"""Version of the format; files of other versions are rejected."""
PRIVATE_MODE: Final = 0o600
"""Mode of the file: only its owner may read and write it."""

_MANIFEST: Final = "manifest.json"
_ENTRIES: Final = "entries.jsonl"
_COMPRESSION_LEVEL: Final = 6
_CORRUPT_ARCHIVE_ERRORS: Final = (
    ArithmeticError,
    EOFError,
    RuntimeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
"""Errors of `zipfile` for a damaged archive; `NotImplementedError` is a `RuntimeError`."""


class BackupError(Exception):
    """A backup that cannot be made or restored; the text is for the operator."""


class BackupEntry(msgspec.Struct, frozen=True):
    """An entry of the job store: its key, and its value as base64."""

    key: str
    value: bytes


class BackupManifest(msgspec.Struct, frozen=True):
    """The manifest of a backup.

    Attributes:
        format: version of the format.
        pylon: version of the Pylon that wrote it.
        made_at: start of the backup, in UTC.
        genesis: genesis of the chain that the jobs are for; None if it is unknown.
        stream: name of the stream that the entries were read from.
        entries: number of entries.
        sha256: digest of the archive member with the entries.
    """

    format: int
    pylon: str
    made_at: str
    genesis: str | None
    stream: str
    entries: int
    sha256: str


class _FormatVersion(msgspec.Struct):
    """The part of the manifest that every version has."""

    format: int


class BackupWriter:
    """Writes the entries of a backup.

    Attributes:
        count: number of entries written.
    """

    def __init__(self, member: IO[bytes]) -> None:
        self.count = 0
        self._member = member
        self._digest = hashlib.sha256()

    def add(self, entry: BackupEntry) -> None:
        """Write an entry."""
        line = msgspec.json.encode(entry) + b"\n"
        self._digest.update(line)
        self._member.write(line)
        self.count += 1

    @property
    def sha256(self) -> str:
        """Return the digest of the entries written so far."""
        return self._digest.hexdigest()


@contextlib.contextmanager
def create_private_file(path: Path) -> Generator[BinaryIO]:
    """Yield a file to write, and move it to its path when the block ends without an error.

    Only its owner may read it, from the first byte on.

    Raises:
        BackupError: the file exists, or cannot be written.
    """
    unready = path.with_name(f"{path.name}.partial")
    if path.exists():
        raise BackupError(f"{path} exists already: choose another name")
    try:
        unready.unlink(missing_ok=True)
        fd = os.open(unready, os.O_RDWR | os.O_CREAT | os.O_EXCL, PRIVATE_MODE)
        with open(fd, "w+b") as file:  # noqa: PTH123 -- the mode must hold from the first byte on
            yield file
            file.flush()
            os.fsync(file.fileno())
        unready.replace(path)
    except OSError as error:
        raise BackupError(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        with contextlib.suppress(OSError):
            unready.unlink(missing_ok=True)


@contextlib.contextmanager
def write_archive(
    file: BinaryIO, *, genesis: str | None, stream: str, made_at: str
) -> Generator[BackupWriter]:
    """Yield the writer of a backup, and complete the file when the block ends."""
    with zipfile.ZipFile(
        file, "w", compression=zipfile.ZIP_DEFLATED, compresslevel=_COMPRESSION_LEVEL
    ) as archive:
        with archive.open(_ENTRIES, "w", force_zip64=True) as member:
            writer = BackupWriter(member)
            yield writer
        manifest = BackupManifest(
            format=FORMAT,
            pylon=service_version(),
            made_at=made_at,
            genesis=genesis,
            stream=stream,
            entries=writer.count,
            sha256=writer.sha256,
        )
        archive.writestr(_MANIFEST, msgspec.json.encode(manifest))


class BackupFile:
    """Reads a backup, after checking that it is complete.

    Args:
        file: path of the file, or its content.
        name: name of the file, for errors.

    Attributes:
        manifest: the manifest.

    Raises:
        BackupError: the file cannot be read, is damaged, or has another version.
    """

    def __init__(self, file: Path | BinaryIO, name: str) -> None:
        self._file = file
        self._name = name
        self.manifest: Final = self._read_manifest()
        digest, count = hashlib.sha256(), 0
        self._last_line_by_key: dict[str, int] = {}
        for line in self._read_lines():
            digest.update(line)
            self._last_line_by_key[self._decode_entry(line).key] = count
            count += 1
        if digest.hexdigest() != self.manifest.sha256 or count != self.manifest.entries:
            raise self._corrupt("its entries are not those of its manifest")

    def __len__(self) -> int:
        """Return the number of entries that `entries` yields."""
        return len(self._last_line_by_key)

    def entries(self) -> Generator[BackupEntry]:
        """Yield the last entry of each key, in the order of the file."""
        for number, line in enumerate(self._read_lines()):
            entry = self._decode_entry(line)
            if self._last_line_by_key[entry.key] == number:
                yield entry

    def _read_manifest(self) -> BackupManifest:
        with self._open() as archive:
            text = archive.read(_MANIFEST)
        try:
            found = msgspec.json.decode(text, type=_FormatVersion).format
            if found != FORMAT:
                raise BackupError(
                    f"{self._name} has version {found} of the format, and this Pylon reads "
                    f"{FORMAT}: restore it with the Pylon that made it"
                )
            return msgspec.json.decode(text, type=BackupManifest)
        except msgspec.DecodeError:
            raise self._corrupt("its manifest cannot be read") from None

    def _read_lines(self) -> Generator[bytes]:
        with self._open() as archive, archive.open(_ENTRIES) as member:
            yield from member

    def _decode_entry(self, line: bytes) -> BackupEntry:
        try:
            return msgspec.json.decode(line, type=BackupEntry)
        except msgspec.DecodeError:
            raise self._corrupt("an entry cannot be read") from None

    @contextlib.contextmanager
    def _open(self) -> Generator[zipfile.ZipFile]:
        try:
            with zipfile.ZipFile(self._file) as archive:
                yield archive
        except OSError as error:
            raise BackupError(f"{self._name} cannot be read: {error.strerror or error}") from None
        except KeyError:
            raise self._corrupt("it is not a backup of Pylon") from None
        except _CORRUPT_ARCHIVE_ERRORS:
            raise self._corrupt("it is not whole, or not a backup of Pylon") from None

    def _corrupt(self, why: str) -> BackupError:
        return BackupError(f"{self._name} is damaged, {why}: restore another backup")
