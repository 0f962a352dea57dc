"""The file of a backup: a zip archive of a manifest and the entries of the ledger.

The entries are lines of JSON. Their SHA-256 stands in the manifest, and the archive has a CRC of
each member, so that damage is found before anything is restored.
"""

import contextlib
import hashlib
import os
import struct
import zipfile
import zlib
from collections.abc import Generator
from importlib.metadata import version
from pathlib import Path
from typing import IO, BinaryIO, Final

import msgspec

from pylon.rpc.discovery import DISTRIBUTION

FORMAT: Final = 1
"""Version of the format; a file of another version is not restored."""
PRIVATE_MODE: Final = 0o600

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
"""What `zipfile` raises when it reads a damaged archive; `NotImplementedError` is one of them."""


class BackupError(Exception):
    """Why there is no backup, or why it is not restored, in words for the operator."""


class BackupEntry(msgspec.Struct, frozen=True):
    """An entry of the ledger: its key, and its value as base64."""

    key: str
    value: bytes


class BackupManifest(msgspec.Struct, frozen=True):
    """What a backup holds.

    Attributes:
        format: version of the format.
        pylon: version of the Pylon that wrote it.
        made_at: when the backup was begun, in UTC.
        genesis: of the chain that the jobs are for; None where no worker has noted one.
        stream: where the entries are from.
        entries: how many there are.
        sha256: of the member that holds the entries.
    """

    format: int
    pylon: str
    made_at: str
    genesis: str | None
    stream: str
    entries: int
    sha256: str


class _FormatVersion(msgspec.Struct):
    """What every version of the manifest says."""

    format: int


class BackupWriter:
    """Takes the entries of a backup.

    Attributes:
        count: how many it has taken.
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
        """Of all that was written."""
        return self._digest.hexdigest()


@contextlib.contextmanager
def create_private_file(path: Path) -> Generator[BinaryIO]:
    """Give a file to write, which is at its path, whole, when the block has ended.

    Its owner alone may read it, from the first byte on.

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
    """Write a backup into a file within the block."""
    with zipfile.ZipFile(
        file, "w", compression=zipfile.ZIP_DEFLATED, compresslevel=_COMPRESSION_LEVEL
    ) as archive:
        with archive.open(_ENTRIES, "w", force_zip64=True) as member:
            writer = BackupWriter(member)
            yield writer
        manifest = BackupManifest(
            format=FORMAT,
            pylon=version(DISTRIBUTION),
            made_at=made_at,
            genesis=genesis,
            stream=stream,
            entries=writer.count,
            sha256=writer.sha256,
        )
        archive.writestr(_MANIFEST, msgspec.json.encode(manifest))


class BackupFile:
    """A backup that was found whole.

    Args:
        file: its path, or what it holds.
        name: of the file, for errors.

    Attributes:
        manifest: what it holds.

    Raises:
        BackupError: the file cannot be read, is damaged, or is of another version.
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
        """Return how many entries it gives."""
        return len(self._last_line_by_key)

    def entries(self) -> Generator[BackupEntry]:
        """Give the entries in the order of the file: of each key the one that was read last."""
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
