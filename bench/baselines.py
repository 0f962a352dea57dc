"""The bare parts, each a separate process.

    python -m bench.baselines KIND PATH [NATS_URL_VARIABLE]

They serve the bytes of a file, or `websocket` those of all files of a folder, each at its name, and
do nothing else. Each prints one line when it is ready.
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
from websockets.asyncio.server import ServerConnection, serve

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
    client = await nats.connect(url)  # pyright: ignore[reportUnknownMemberType] -- untyped callbacks

    async def answer(message: Msg) -> None:
        await message.respond(body)

    await client.subscribe(ECHO_SUBJECT, cb=answer)  # pyright: ignore[reportUnknownMemberType] -- the library leaves a parameter open
    await client.flush()
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
        _serve_http(path.read_bytes())
    elif kind == "nats":
        asyncio.run(_serve_nats(path.read_bytes(), url[0]))
    else:
        asyncio.run(_serve_websocket(path))


if __name__ == "__main__":
    main()
