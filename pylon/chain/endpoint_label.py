"""How a chain node is named where people read it."""

from urllib.parse import urlsplit


def is_node_url(text: str) -> bool:
    """Whether this could be where a node listens for WebSockets."""
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises where it is none
    except ValueError:
        return False
    return parts.scheme in {"ws", "wss"} and bool(parts.hostname)


def endpoint_label(network: str) -> str:
    """A network's name, or its URL without credentials, path and query: they may be secret."""
    if "://" not in network:
        return network
    parts = urlsplit(network)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")
