"""Light HTTP clients in a process of their own, which poll at an interval with `If-None-Match`.

    python -m bench.polling_clients PATH COUNT INTERVAL_S ROUNDS URL...

Each client has a connection and knows the tag of its last response. The requests of all clients are
spread evenly over the interval. At the end the process prints the number of responses by status as
JSON; before, it prints one line when all are connected, and starts at a line of its input.
"""

import heapq
import json
import select
import socket
import sys
import time
from collections import Counter
from typing import Final
from urllib.parse import urlsplit

BUFFER_BYTES: Final = 1 << 20
TIMEOUT_S: Final = 60.0
_HEAD_END: Final = b"\r\n\r\n"


class PollingClient:
    """One connection.

    Args:
        url: of the server.
        path: of its requests.

    Attributes:
        is_waiting: whether a response is due.
    """

    def __init__(self, url: str, path: str) -> None:
        parts = urlsplit(url)
        self.socket = socket.create_connection((str(parts.hostname), parts.port or 80))
        self.is_waiting = False
        self._request = f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\n".encode()
        self._tag = b""
        self._data = b""

    def send(self) -> None:
        """Send a request."""
        condition = b"If-None-Match: %b\r\n" % self._tag if self._tag else b""
        self.socket.sendall(self._request + condition + b"\r\n")
        self.is_waiting = True

    def receive(self) -> int | None:
        """Read what has arrived; return the status of a response that is complete.

        Raises:
            ConnectionError: the server has closed the connection.
        """
        received = self.socket.recv(BUFFER_BYTES)
        if not received:
            raise ConnectionError("the server closed a connection")
        self._data += received
        head, end, body = self._data.partition(_HEAD_END)
        if not end:
            return None
        lines = head.split(b"\r\n")
        status = int(lines[0].split()[1])
        fields = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(b":") for line in lines[1:])
        }
        length = 0 if status == 304 else int(fields.get(b"content-length", b"0"))  # noqa: PLR2004 -- not modified
        if len(body) < length:
            return None
        self._tag = fields.get(b"etag", self._tag)
        self._data = b""
        self.is_waiting = False
        return status


def poll(clients: list[PollingClient], interval_s: float, rounds: int) -> Counter[int]:
    """Send all requests; return the number of responses by status.

    Raises:
        TimeoutError: responses are missing.
    """
    responses: Counter[int] = Counter()
    waiting = select.epoll()
    by_descriptor = {client.socket.fileno(): client for client in clients}
    for client in clients:
        waiting.register(client.socket, select.EPOLLIN)
    began_s = time.monotonic()
    due = [(began_s + n * interval_s / len(clients), n, 0) for n in range(len(clients))]
    expected = rounds * len(clients)
    give_up_s = began_s + interval_s * (rounds + 1) + TIMEOUT_S
    while responses.total() < expected:
        now_s = time.monotonic()
        if now_s > give_up_s:
            raise TimeoutError(f"{responses.total()} of {expected} responses arrived")
        while due and due[0][0] <= now_s:
            at_s, number, sent = heapq.heappop(due)
            # A client whose response is late sends its next request after it.
            if clients[number].is_waiting:
                heapq.heappush(due, (now_s + interval_s / 100, number, sent))
                continue
            clients[number].send()
            if sent + 1 < rounds:
                heapq.heappush(due, (at_s + interval_s, number, sent + 1))
        pause_s = max(0.0, due[0][0] - time.monotonic()) if due else 1.0
        for descriptor, _ in waiting.poll(min(pause_s, 1.0)):
            status = by_descriptor[descriptor].receive()
            if status is not None:
                responses[status] += 1
    return responses


def main() -> None:
    """Connect, and poll when a line arrives."""
    path, count, interval_s, rounds, *urls = sys.argv[1:]
    clients = [PollingClient(urls[number % len(urls)], path) for number in range(int(count))]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    responses = poll(clients, float(interval_s), int(rounds))
    sys.stdout.write(json.dumps(responses) + "\n")
    sys.stdout.flush()
    sys.stdin.readline()


if __name__ == "__main__":
    main()
