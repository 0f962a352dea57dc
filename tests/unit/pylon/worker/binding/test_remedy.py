"""Commands in remedies."""

import pytest

from pylon.worker.binding.remedy import HOME_VARIABLE, reset_command


def test_the_reset_command_contains_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME_VARIABLE, "/a home")
    assert reset_command("ws://x:1") == "pylon reset --network ws://x:1 --home '/a home'"
