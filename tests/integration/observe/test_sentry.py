"""Reports to Sentry, received by a stand-in server."""

import gzip
import json
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.product.pylon_command import command_environment, pylon_command
from tests.support.product.secret_texts import SHORT_SECRET, secret_of, with_keys
from tests.support.product.subprocesses import output_of

TOKEN = secret_of("alice")
SCRIPT = """
import logging
from pylon.worker.settings import WorkerSettings
from pylon.common.logs import set_up_logging
from pylon.common.redaction import REDACTOR, collect_secrets
from pylon.common.sentry import set_up_sentry

settings = WorkerSettings()
set_up_logging()
REDACTOR.add_secrets(collect_secrets(settings))
set_up_sentry(settings, "worker")
token = settings.identity_settings["alice"].token.get_secret_value()
logging.getLogger("pylon").info("a breadcrumb with %s", token)
logging.getLogger("pylon").info("another with %s", settings.bittensor_network)
try:
    raise ValueError(f"refused {token}")
except ValueError:
    logging.getLogger("pylon").exception("It failed for %s at %s", token, "wss://u:pw-1@node")
"""


@contextmanager
def sentry() -> Generator[tuple[str, list[bytes]]]:
    """A place for reports: its DSN, and the bodies that came."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            is_zipped = self.headers.get("Content-Encoding") == "gzip"
            bodies.append(gzip.decompress(body) if is_zipped else body)
            self.send_response(200)
            self.end_headers()

        def log_request(self, code: Any = "-", size: Any = "-") -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"http://{secret_of('the-dsn')}@127.0.0.1:{server.server_port}/1", bodies
        server.shutdown()
        serving.join()


def variables(dsn: str) -> dict[str, str]:
    return {
        "PYLON_IDENTITIES": '["alice"]',
        "PYLON_ID_ALICE_NETUID": "1",
        "PYLON_ID_ALICE_TOKEN": TOKEN,
        "PYLON_SENTRY_DSN": dsn,
        "PYLON_BITTENSOR_NETWORK": with_keys("wss://node.example:443"),
        "PYLON_SENTRY_ENVIRONMENT": "of-a-test",
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }


async def test_an_error_is_reported_without_anything_secret(tmp_path: Path) -> None:
    with sentry() as (dsn, bodies):
        environment = command_environment(tmp_path, variables(dsn))
        await output_of(sys.executable, "-c", SCRIPT, cwd=tmp_path, env=environment)
        reports = [
            json.loads(line)
            for body in bodies
            for line in body.splitlines()
            if line.startswith(b"{") and b'"exception"' in line
        ]
        (report,) = reports
        assert report["environment"] == "of-a-test"
        assert report["tags"]["component"] == "worker"
        assert report["release"].startswith("pylon-service@")
        assert report["exception"]["values"][0]["value"] == "refused [secret]"
        everything = b"".join(bodies)
        assert b"node.example:443" in everything
        keys = (secret_of("node-path"), secret_of("node-query"), SHORT_SECRET)
        for secret in (TOKEN, "pw-1", "PYLON_ID_ALICE", *keys):
            assert secret.encode() not in everything
        assert "vars" not in json.dumps(report)
        for part in ("request", "user", "extra", "modules"):
            assert part not in report


@pytest.mark.parametrize("dsn", [""])
async def test_without_a_dsn_nothing_is_reported(tmp_path: Path, dsn: str) -> None:
    script = SCRIPT + "import sentry_sdk; print(sentry_sdk.is_initialized())"
    environment = command_environment(tmp_path, variables(dsn))
    out = await output_of(sys.executable, "-c", script, cwd=tmp_path, env=environment)
    assert out.strip() == "False"


async def test_an_invalid_dsn_is_reported_in_one_line(tmp_path: Path) -> None:
    ended = await pylon_command(tmp_path, {"PYLON_SENTRY_DSN": "no-dsn"}, "worker")
    assert ended.code == 2
    assert ended.err == "wrong setting: PYLON_SENTRY_DSN: is not a valid DSN\n"
