"""A backup file is complete or rejected, and only its owner may read it."""

import contextlib
import io
import json
import zipfile
from pathlib import Path

import pytest

from pylon.cli.backup.backup_file import (
    BackupEntry,
    BackupError,
    BackupFile,
    create_private_file,
    write_archive,
)

ENTRIES = [
    BackupEntry("lane.sn1.weights", b"{}"),
    BackupEntry("job.sn1.a", b'{"state": "ACCEPTED"}'),
    BackupEntry("job.sn1.b", bytes(range(256))),
    BackupEntry("job.sn1.a", b'{"state": "CONFIRMED"}'),
]


def backup() -> bytes:
    file = io.BytesIO()
    with write_archive(file, genesis="0x01", stream="KV_x", made_at="2026-01-01") as writer:
        for entry in ENTRIES:
            writer.add(entry)
    return file.getvalue()


def read(content: bytes) -> BackupFile:
    return BackupFile(io.BytesIO(content), "jobs.zip")


def with_manifest(**changes: object) -> bytes:
    source = zipfile.ZipFile(io.BytesIO(backup()))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("entries.jsonl", source.read("entries.jsonl"))
        manifest = json.loads(source.read("manifest.json")) | changes
        archive.writestr("manifest.json", json.dumps(manifest))
    return file.getvalue()


def test_the_last_version_of_an_entry_is_restored() -> None:
    found = read(backup())
    assert list(found.entries()) == [ENTRIES[0], ENTRIES[2], ENTRIES[3]]
    assert len(found) == 3
    assert (found.manifest.genesis, found.manifest.entries) == ("0x01", 4)


def test_a_changed_byte_is_found_or_harmless_and_any_cut_is_found() -> None:
    content = backup()
    whole = list(read(content).entries())
    found = 0
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 0x10
        try:
            assert list(read(bytes(damaged)).entries()) == whole  # such as in a date of the archive
        except BackupError:
            found += 1
    assert found > len(content) / 2
    for length in range(0, len(content), 7):
        with pytest.raises(BackupError, match=r"jobs\.zip is damaged"):
            read(content[:length])


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"format": 2}, "version 2 of the format"),
        ({"sha256": "0" * 64}, "its entries are not those of its manifest"),
        ({"entries": 3}, "its entries are not those of its manifest"),
        ({"format": "new"}, "its manifest cannot be read"),
    ],
)
def test_other_versions_and_manifests_of_other_entries_are_rejected(
    changes: dict[str, object], why: str
) -> None:
    with pytest.raises(BackupError, match=why):
        read(with_manifest(**changes))


def test_another_zip_archive_is_not_a_backup() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("readme", "x")
    with pytest.raises(BackupError, match="not a backup of Pylon"):
        read(file.getvalue())


def test_a_missing_file_is_named() -> None:
    with pytest.raises(BackupError, match="cannot be read: No such file"):
        BackupFile(Path("/nowhere/jobs.zip"), "/nowhere/jobs.zip")


def test_a_backup_file_is_private_complete_and_replaces_no_file(tmp_path: Path) -> None:
    path = tmp_path / "jobs.zip"
    with contextlib.suppress(BackupError), create_private_file(path) as file:
        file.write(b"half")
        raise BackupError("NATS is away")
    assert list(tmp_path.iterdir()) == []
    with create_private_file(path) as file:
        assert not path.exists()
        file.write(b"all")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"all", 0o600)
    with pytest.raises(BackupError, match="exists already"), create_private_file(path):
        pass
    with pytest.raises(BackupError, match="cannot be written"), create_private_file(path / "below"):
        pass
