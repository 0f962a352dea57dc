"""Who brings settings of the published service that are none here is told what to do."""

import logging
from pathlib import Path

import pytest

from pylon.published_settings import warn_of_published_settings


def test_a_setting_that_changes_nothing_is_told_without_its_value(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    warn_of_published_settings()
    assert not caplog.records
    (tmp_path / ".env").write_text("PYLON_RECENT_OBJECTS_NETUIDS=[1, 12]\n")
    monkeypatch.setenv("PYLON_EVM_RPC_URL", "https://evm.example/v2/a-key")
    monkeypatch.setenv("PYLON_EVM_ARCHIVE_RPC_URL", "")
    warn_of_published_settings()
    assert caplog.record_tuples == [
        (
            "pylon.published_settings",
            logging.WARNING,
            "PYLON_RECENT_OBJECTS_NETUIDS changes nothing: set PYLON_TRACKED_NETUIDS instead",
        ),
        (
            "pylon.published_settings",
            logging.WARNING,
            "PYLON_EVM_RPC_URL changes nothing: Pylon asks no EVM node",
        ),
    ]
