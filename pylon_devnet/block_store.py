"""SQLite store of blocks and state versions.

Each block is one transaction, so a killed devnet resumes at its last complete block.
"""

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from pylon_devnet.block import BlockHeader, DevnetBlock
from pylon_devnet.state_folder import LOCK_FILE, StateFolderLock, require_writable

_FILE = "chain.sqlite3"
_FILES = (_FILE, f"{_FILE}-wal", f"{_FILE}-shm")
_SCHEMA = """
create table if not exists facts (name text primary key, value blob not null) without rowid;
create table if not exists blocks (
    number integer primary key,
    hash blob not null unique,
    slot integer,
    state_root blob not null,
    extrinsics_root blob not null,
    extrinsics blob not null
);
create table if not exists retracted (hash blob primary key, number integer) without rowid;
create table if not exists versions (
    key blob not null,
    number integer not null,
    value blob,
    primary key (key, number)
) without rowid;
"""


class BlockStore:
    """All blocks since genesis.

    Args:
        directory: folder of the database; None stores no versions, and older blocks only in an
            unnamed temporary file of SQLite.
        fresh: delete the state of an earlier run.

    Raises:
        OSError: the folder (or that for temporary files) cannot be written, is used by another
            devnet, or belongs to another user.
    """

    def __init__(self, directory: Path | None, *, fresh: bool = False) -> None:
        self._on_disk = directory is not None
        self._lock: StateFolderLock | None = None
        if directory is not None:
            require_writable([directory])
            directory.mkdir(parents=True, exist_ok=True)
            require_writable(directory / name for name in (*_FILES, LOCK_FILE))
            self._lock = StateFolderLock(directory)
            self._lock.acquire()
            if fresh:
                for name in _FILES:
                    (directory / name).unlink(missing_ok=True)
        else:
            # Fail now: SQLite would need the folder only after thousands of blocks.
            tempfile.gettempdir()
        # Unlike ":memory:", a database without a name can spill to disk.
        name = "" if directory is None else str(directory / _FILE)
        self._db = sqlite3.connect(name, isolation_level=None)
        try:
            self._db.execute("pragma journal_mode = wal")
            self._db.execute("pragma synchronous = normal")
            self._db.executescript(_SCHEMA)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the database, and release the lock."""
        self._db.close()
        if self._lock is not None:
            self._lock.release()

    def get_property(self, name: str) -> bytes | None:
        """Return a property of the chain that was stored by `set_property`, or None."""
        row = self._row("select value from facts where name = ?", name)
        return None if row is None else row[0]

    def set_property(self, name: str, value: bytes) -> None:
        """Store a property of the chain."""
        self._db.execute("insert or replace into facts values (?, ?)", (name, value))

    def add(
        self,
        block: DevnetBlock,
        changes: dict[bytes, bytes | None],
        dropped: Iterable[tuple[bytes, int]],
    ) -> None:
        """Store a block and its changes, and delete dropped versions, in one transaction."""
        header = block.header
        body = msgspec.msgpack.encode(block.extrinsics)
        row = (header.number, block.hash, header.slot, header.state_root, header.extrinsics_root)
        self._db.execute("begin")
        self._db.execute("insert into blocks values (?, ?, ?, ?, ?, ?)", (*row, body))
        if self._on_disk:
            versions = ((key, header.number, value) for key, value in changes.items())
            self._db.executemany("insert into versions values (?, ?, ?)", versions)
            self._delete_versions(dropped)
        self._db.execute("commit")

    def prune(self, dropped: Iterable[tuple[bytes, int]], oldest: int) -> None:
        """Delete versions, and store the number of the oldest state."""
        self._db.execute("begin")
        if self._on_disk:
            self._delete_versions(dropped)
        self.set_property("oldest", str(oldest).encode())
        self._db.execute("commit")

    def rewind(self, number: int) -> None:
        """Retract all blocks after `number`; their hashes are stored as retracted."""
        self._db.execute("begin")
        self._db.execute(
            "insert or replace into retracted select hash, number from blocks where number > ?",
            (number,),
        )
        self._db.execute("delete from blocks where number > ?", (number,))
        self._db.execute("delete from versions where number > ?", (number,))
        self._db.execute("commit")

    def best(self) -> DevnetBlock | None:
        """Return the newest block, or None before genesis."""
        row = self._row("select max(number) from blocks")
        return None if row is None or row[0] is None else self.block(row[0])

    def block(self, number: int) -> DevnetBlock | None:
        """Return the block of that number, or None."""
        row = self._row("select * from blocks where number = ?", number)
        if row is None:
            return None
        parent = self.hash(number - 1) or bytes(32)
        header = BlockHeader(parent, number, row[3], row[4], row[2])
        return DevnetBlock(row[1], header, msgspec.msgpack.decode(row[5], type=tuple[bytes, ...]))

    def hash(self, number: int) -> bytes | None:
        """Return the hash of the block of that number, or None."""
        row = self._row("select hash from blocks where number = ?", number)
        return None if row is None else row[0]

    def number(self, hash_: bytes) -> int | None:
        """Return the number of a block of the chain, or None."""
        row = self._row("select number from blocks where hash = ?", hash_)
        return None if row is None else row[0]

    def is_retracted(self, hash_: bytes) -> bool:
        """Return whether a block was retracted."""
        return self._row("select 1 from retracted where hash = ?", hash_) is not None

    def versions(self) -> Iterator[tuple[bytes, int, bytes | None]]:
        """Yield all stored versions, sorted by key and block."""
        yield from self._db.execute("select key, number, value from versions order by key, number")

    def _delete_versions(self, dropped: Iterable[tuple[bytes, int]]) -> None:
        self._db.executemany("delete from versions where key = ? and number = ?", dropped)

    def _row(self, query: str, *parameters: Any) -> tuple[Any, ...] | None:
        return self._db.execute(query, parameters).fetchone()
