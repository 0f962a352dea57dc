"""Labels of chain nodes for logs and errors, without secrets."""

from urllib.parse import urlsplit


def is_node_url(text: str) -> bool:
    """Return whether a text is a WebSocket URL with a host."""
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises ValueError for an invalid port
    except ValueError:
        return False
    return parts.scheme in {"ws", "wss"} and bool(parts.hostname)


def endpoint_label(network: str) -> str:
    """Return a network's name, or its URL without credentials, path and query."""
    if "://" not in network:
        return network
    parts = urlsplit(network)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")
