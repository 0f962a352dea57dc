"""A reverse proxy that publishes a service under a path prefix, and removes the prefix."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tests.support.product.eventually import HANGS_AFTER_S, eventually

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
OF_ONE_HOP = {"connection", "transfer-encoding", "keep-alive"}


@asynccontextmanager
async def prefix_proxy(prefix: str, target: str) -> AsyncGenerator[str]:
    """Run a proxy to the service at the URL `target`; yield its URL without the prefix."""
    async with httpx.AsyncClient(
        base_url=target, timeout=HANGS_AFTER_S, trust_env=False
    ) as upstream:

        async def forward(request: Request) -> Response:
            path = request.url.path.removeprefix(prefix)
            forwarded = upstream.build_request(
                request.method,
                httpx.URL(path=path, query=request.url.query.encode()),
                headers=request.headers.raw,
                content=await request.body(),
            )
            answer = await upstream.send(forwarded, stream=True)
            response = StreamingResponse(
                answer.aiter_raw(),
                status_code=answer.status_code,
                background=BackgroundTask(answer.aclose),
            )
            response.raw_headers = [
                (name.lower(), text)
                for name, text in answer.headers.raw
                if name.decode().lower() not in OF_ONE_HOP
            ]
            return response

        app = Starlette(routes=[Route(f"{prefix}{{path:path}}", forward, methods=METHODS)])
        config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            serving = asyncio.create_task(server.serve([listening]))
            await eventually(lambda: server.started)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
            server.should_exit = True
            await serving
