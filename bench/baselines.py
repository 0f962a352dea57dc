"""The bare parts, each a separate process.

    python -m bench.baselines KIND PATH [NATS_URL_VARIABLE]

They serve the bytes of a file, `http` and `websocket` those of all files of a folder, each at its
name, and do nothing else. Each prints one line when it is ready.
"""

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import uvicorn
from nats.aio.msg import Msg
from websockets.asyncio.server import ServerConnection, serve

from bench.nats_client import connect_bare, subscribe

ECHO_SUBJECT: Final = "bench.echo"
NOT_MODIFIED: Final = "/304"
"""The path of `http` that answers 304."""

Send = Callable[[dict[str, Any]], Awaitable[None]]


def _app(folder: Path) -> Callable[[dict[str, Any], Any, Send], Awaitable[None]]:
    answers = {f"/{path.name}": _messages(200, path.read_bytes()) for path in folder.iterdir()}
    answers[NOT_MODIFIED] = _messages(304, b"")

    async def app(scope: dict[str, Any], _receive: Any, send: Send) -> None:
        for message in answers[scope["path"]]:
            await send(message)

    return app


def _messages(status: int, body: bytes) -> list[dict[str, Any]]:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    return [
        {"type": "http.response.start", "status": status, "headers": headers if body else []},
        {"type": "http.response.body", "body": body},
    ]


def _serve_http(folder: Path) -> None:
    config = uvicorn.Config(
        _app(folder), http="httptools", ws="none", lifespan="off", log_config=None, access_log=False
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        _say(f"ready http://127.0.0.1:{listening.getsockname()[1]}")
        uvicorn.Server(config).run([listening])


async def _serve_nats(body: bytes, url: str) -> None:
    async def answer(message: Msg) -> None:
        await message.respond(body)

    async with connect_bare(url) as client:
        await subscribe(client, ECHO_SUBJECT, answer)
        _say("ready")
        await asyncio.Event().wait()


async def _serve_websocket(folder: Path) -> None:
    async def answer(connection: ServerConnection) -> None:
        path = "" if connection.request is None else connection.request.path
        body = (folder / Path(path).name).read_bytes()
        async for _ in connection:
            await connection.send(body, text=True)

    # As the devnet does; compression would measure zlib.
    async with serve(answer, "127.0.0.1", 0, compression=None) as server:
        _say(f"ready ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}")
        await asyncio.Event().wait()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Serve until killed."""
    kind, name, *url = sys.argv[1:]
    path = Path(name)
    if kind == "http":
        _serve_http(path)
    elif kind == "nats":
        asyncio.run(_serve_nats(path.read_bytes(), url[0]))
    else:
        asyncio.run(_serve_websocket(path))


if __name__ == "__main__":
    main()
