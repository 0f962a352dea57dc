"""A flood: one anonymous connection to NATS that publishes requests as fast as the server reads."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

SUBJECT: Final = "pylon.v1.open.chain.block.latest"
_MESSAGES: Final = 2000
"""Requests in one write."""
_PROGRAM: Final = """
import socket, sys, threading
host, port, subject, count = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
connection = socket.create_connection((host, port))
connection.sendall(b'CONNECT {"verbose":false,"pedantic":false}\\r\\nPING\\r\\n')
sending = threading.Lock()
def answer_pings():
    while data := connection.recv(65536):
        if b"PING" in data:
            with sending:
                connection.sendall(b"PONG\\r\\n")
threading.Thread(target=answer_pings, daemon=True).start()
requests = b"".join(
    b"PUB %b _INBOX.open.flood.%d 0\\r\\n\\r\\n" % (subject.encode(), number)
    for number in range(count)
)
while True:
    with sending:
        connection.sendall(requests)
"""


@asynccontextmanager
async def flood(nats_url: str, subject: str = SUBJECT) -> AsyncGenerator[None]:
    """Flood a server within the block, from a separate process."""
    place = urlsplit(nats_url.partition(",")[0])
    arguments = (str(place.hostname), str(place.port), subject, str(_MESSAGES))
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _PROGRAM, *arguments)
    try:
        yield
        assert process.returncode is None, "the flood has ended by itself"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
