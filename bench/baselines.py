"""The bare parts, each a process of its own: `python -m bench.baselines http|nats FILE [NATS_URL]`.

Both serve the bytes of a file and do nothing else; each says in one line when it is ready.
"""

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import nats
import uvicorn
from nats.aio.msg import Msg

ECHO_SUBJECT: Final = "bench.echo"

Send = Callable[[dict[str, Any]], Awaitable[None]]


def _app(body: bytes) -> Callable[[dict[str, Any], Any, Send], Awaitable[None]]:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]

    async def app(_scope: dict[str, Any], _receive: Any, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def _serve_http(body: bytes) -> None:
    config = uvicorn.Config(
        _app(body), http="httptools", ws="none", lifespan="off", log_config=None, access_log=False
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        _say(f"ready http://127.0.0.1:{listening.getsockname()[1]}")
        uvicorn.Server(config).run([listening])


async def _serve_nats(body: bytes, url: str) -> None:
    client = await nats.connect(url)

    async def answer(message: Msg) -> None:
        await message.respond(body)

    await client.subscribe(ECHO_SUBJECT, cb=answer)  # pyright: ignore[reportUnknownMemberType] -- the library leaves a parameter open
    await client.flush()
    _say("ready")
    await asyncio.Event().wait()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Serve until killed."""
    kind, path, *url = sys.argv[1:]
    body = Path(path).read_bytes()
    if kind == "http":
        _serve_http(body)
    else:
        asyncio.run(_serve_nats(body, url[0]))


if __name__ == "__main__":
    main()
