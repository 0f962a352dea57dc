"""Light subscribers of NATS in a process of their own, which note when each message arrived.

    python -m bench.subscriber_fleet HOST PORT COUNT SUBJECT...

They speak the protocol on plain sockets, so that the time of a client library is not measured. A
message is identified by its header `Pylon-Block-Number`. When all have subscribed, the process
prints a line; it answers each line of its input with all arrivals so far, as JSON: subject, number,
and seconds of the monotonic clock, which all processes of a machine share.
"""

import json
import resource
import select
import socket
import sys
import time
from collections import defaultdict
from typing import Final

from pylon_client.contract import headers

BUFFER_BYTES: Final = 1 << 20
_NUMBER: Final = f"\r\n{headers.BLOCK_NUMBER}: ".encode()
_CONNECT: Final = b'CONNECT {"verbose":false,"pedantic":false,"headers":true,"protocol":1}\r\n'
_END: Final = b"\r\n"

Arrivals = dict[str, dict[int, list[float]]]
"""Times in seconds, by subject and number."""


class Subscriber:
    """One connection.

    Args:
        address: host and port of the server.
        subjects: what it subscribes to.
        arrivals: where it notes its messages.
    """

    def __init__(self, address: tuple[str, int], subjects: list[str], arrivals: Arrivals) -> None:
        self.socket = socket.create_connection(address)
        self._arrivals = arrivals
        self._rest = b""
        self._message: tuple[str, int] | None = None
        self._missing_bytes = 0
        subscribe = b"".join(b"SUB %b %d\r\n" % (s.encode(), n) for n, s in enumerate(subjects))
        self.socket.sendall(_CONNECT + subscribe + b"PING\r\n")
        received = b""
        while b"PONG\r\n" not in received:
            received += self.socket.recv(BUFFER_BYTES)

    def receive(self) -> None:
        """Read what has arrived, and note the messages that are complete."""
        data = self._rest + self.socket.recv(BUFFER_BYTES)
        now_s = time.perf_counter()
        position = 0
        while position < len(data):
            if self._missing_bytes:
                taken = min(self._missing_bytes, len(data) - position)
                self._missing_bytes -= taken
                position += taken
                if self._missing_bytes == 0 and self._message is not None:
                    subject, number = self._message
                    self._arrivals[subject][number].append(now_s)
                continue
            end = data.find(_END, position)
            if end < 0:
                break
            line, begin = data[position:end], end + len(_END)
            if line.startswith(b"HMSG "):
                _, subject, *_, header_bytes, total_bytes = line.split()
                header = data[begin : begin + int(header_bytes)]
                if len(header) < int(header_bytes):
                    break
                _, _, value = header.partition(_NUMBER)
                number = int(value.partition(_END)[0] or -1)
                self._message = subject.decode(), number
                self._missing_bytes = int(total_bytes) + len(_END)
            elif line.startswith(b"MSG "):
                self._message = None
                self._missing_bytes = int(line.rpartition(b" ")[2]) + len(_END)
            elif line == b"PING":
                self.socket.sendall(b"PONG\r\n")
            position = begin
        self._rest = data[position:]


def main() -> None:
    """Subscribe, and answer requests until the input ends."""
    host, port, count, *subjects = sys.argv[1:]
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    arrivals: Arrivals = defaultdict(lambda: defaultdict(list))
    poll = select.epoll()
    fleet: dict[int, Subscriber] = {}
    for _ in range(int(count)):
        one = Subscriber((host, int(port)), subjects, arrivals)
        fleet[one.socket.fileno()] = one
        poll.register(one.socket, select.EPOLLIN)
    poll.register(sys.stdin, select.EPOLLIN)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        for descriptor, _ in poll.poll():
            if descriptor in fleet:
                fleet[descriptor].receive()
                continue
            if not sys.stdin.readline():
                return
            sys.stdout.write(json.dumps(arrivals) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
