"""The bridge's app, for ASGI servers: `uvicorn pylon_client.service.main:app`."""

try:
    from bridge.asgi import app
except ModuleNotFoundError as error:
    raise ImportError(
        f"the REST service needs the module {error.name!r}, which is not installed: "
        "pip install 'pylon-client[service]'"
    ) from error

__all__ = ["app"]
