"""The environment of the tree is that of `pylon up`, with what `.env` adds to it."""

from pathlib import Path

import pytest

from pylon.cli.up.environments import supervisor_environment


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def pylons(own: dict[str, str]) -> dict[str, str]:
    return {
        name: text
        for name, text in supervisor_environment(own).items()
        if name.upper().startswith("PYLON_")
    }


def test_the_environment_wins_over_the_file_and_the_tree_over_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path(".env").write_text(
        "PYLON_LOG_LEVEL=DEBUG\npylon_max_requests=5\nPYLON_NATS_URL=nats://a:1\n"
        "PYLON_BITTENSOR_ARCHIVE_NETWORK=\nPYLON_NATS_WORKER_PASSWORD_FILE=/nowhere\n"
    )
    monkeypatch.setenv("pylon_log_level", "ERROR")
    monkeypatch.setenv("PYLON_NATS_URL", "nats://b:2")
    own = {"PYLON_NATS_URL": "nats://c:3", "PYLON_NATS_WORKER_PASSWORD": "made-up"}
    assert pylons(own) == {
        "pylon_log_level": "ERROR",
        "pylon_max_requests": "5",
        "PYLON_BITTENSOR_ARCHIVE_NETWORK": "",
        "PYLON_ENV_FILE": "",
        **own,
    }


@pytest.mark.parametrize(
    ("in_file", "given"),
    [
        ("PYLON_OPEN_ACCESS_TOKEN_FILE=/a", "PYLON_OPEN_ACCESS_TOKEN"),
        ("PYLON_OPEN_ACCESS_TOKEN=a", "PYLON_OPEN_ACCESS_TOKEN_FILE"),
    ],
)
def test_a_secret_of_the_environment_wins_over_both_spellings_in_the_file(
    monkeypatch: pytest.MonkeyPatch, in_file: str, given: str
) -> None:
    Path(".env").write_text(in_file)
    monkeypatch.setenv(given, "/b")
    assert pylons({}) == {given: "/b", "PYLON_ENV_FILE": ""}
