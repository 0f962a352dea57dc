"""The look for secrets at the end of all tests finds them, however they are written."""

import base64
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from pylon_devnet.population import dev_hotkey_seed
from tests.support.product.leaks import known_secrets, leaks_in, leaks_under
from tests.support.product.secret_texts import MARK, SHORT_SECRET, secret_of, with_keys

ROOT = Path(__file__).parents[3]
TOKEN = secret_of("somebody")
SESSION = """
import logging
from tests.support.product.secret_texts import secret_of

def test_writes_a_file(tmp_path):
    (tmp_path / "some.log").write_text(secret_of("somebody"))

def test_logs():
    logging.getLogger("x").warning("it is %s", secret_of("somebody"))

def test_is_configuration(tmp_path):
    (tmp_path / ".env").write_text(secret_of("somebody"))
"""


@pytest.fixture
def elsewhere() -> Generator[Path]:
    """Not where the tests' own folders are: that is looked through in earnest."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.mark.parametrize(
    "written",
    [
        TOKEN.encode(),
        b"Authorization: Bearer " + TOKEN.encode(),
        b"Basic " + base64.b64encode(f"a:{TOKEN}".encode()),
        b"Basic " + base64.b64encode(f"ab:{TOKEN}".encode()),
        base64.urlsafe_b64encode(f"abc:{TOKEN}".encode()),
        TOKEN.encode().hex().encode(),
        b"-----BEGIN EC PRIVATE KEY-----\n",
        b"seed 0x" + dev_hotkey_seed("sn1").hex().encode(),
        b"x" + dev_hotkey_seed("sn12") + b"x",
        b"token devnet-sn1-token",
        b"Connected to " + with_keys("ws://node").encode(),
        b"GET /v1/" + SHORT_SECRET.encode() + b" HTTP/1.1",
    ],
)
def test_a_secret_is_found_however_it_is_written(written: bytes) -> None:
    assert leaks_in(written, known_secrets())
    assert not leaks_in(written[:8], known_secrets())


@pytest.mark.parametrize("key", [secret_of("node-path"), SHORT_SECRET, secret_of("node-query")])
def test_nodes_have_keys_in_path_and_query(key: str) -> None:
    assert key in with_keys("ws://127.0.0.1:9944/")


def test_a_short_secret_within_another_word_is_none() -> None:
    for around in ("a{}", "{}b", "_{}_"):
        assert not leaks_in(around.format(SHORT_SECRET).encode(), known_secrets())
    assert leaks_in(f"'{SHORT_SECRET}'".encode(), known_secrets())


def test_the_banner_of_the_devnet_shows_its_tokens_and_nothing_else_does() -> None:
    banner = b"Pylon is ready\n  identity sn1  netuid 1  token devnet-sn1-token\n  state home\n"
    assert not leaks_in(banner, known_secrets())
    for other in (
        banner.replace(b"devnet-sn1-token", TOKEN.encode()),
        banner.replace(b"devnet-sn1-token", b"devnet-sn1-token and more"),
        banner + b"failed for devnet-sn1-token",
    ):
        assert leaks_in(other, known_secrets())


def test_what_is_made_up_for_one_run_is_a_secret_too(elsewhere: Path) -> None:
    password = "A-made_up-password-of-32-letters"
    (elsewhere / "nats.conf").write_text(f'{{ user: "worker", password: "{password}" }}')
    (elsewhere / "log").write_text("all is well")
    assert leaks_under(elsewhere) == []
    (elsewhere / "log").write_text(f"connected with {password}")
    assert leaks_under(elsewhere) == [f"{elsewhere / 'log'} holds a password of `pylon up`"]


@pytest.mark.integration
@pytest.mark.parametrize("processes", [[], ["-n", "2"]], ids=["alone", "distributed"])
def test_a_session_that_writes_a_secret_fails_and_names_where(
    elsewhere: Path, processes: list[str]
) -> None:
    (elsewhere / "test_it.py").write_text(SESSION)
    options = ["--basetemp", str(elsewhere / "base"), "-p", "tests.conftest", *processes]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, str(elsewhere)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "3 passed" in done.stdout, done.stdout + done.stderr
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    _, _, summary = done.stdout.partition("secrets were written")
    assert "some.log holds a token or password of the tests" in summary
    assert "test_logs: 'Captured log call' holds" in summary
    assert ".env" not in summary
    assert MARK not in summary
