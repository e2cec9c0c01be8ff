"""A client of many streams in one thread: it notes when bytes came and looks at them afterwards."""

import json
import select
import socket
import time


class Stream:
    """One request and what came of its answer: `(microseconds since 1970, bytes)` for each read."""

    def __init__(self, port, body, key):
        payload = json.dumps(body).encode()
        self.pieces = []
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(
            b"POST /v1/completions HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n"
            b"content-type: application/json\r\nauthorization: Bearer %s\r\ncontent-length: %d\r\n\r\n"
            % (key.encode(), len(payload)) + payload)
        self.socket.setblocking(False)

    def read(self):
        """Takes what is there; false at the end."""
        data = self.socket.recv(65536)
        self.pieces.append((time.time_ns() // 1000, data))
        return bool(data)

    def events(self):
        """`(time, object)` for each event of the stream, by the read that completed it."""
        buffer = b""
        for moment, data in self.pieces:
            buffer += data
            while (end := buffer.find(b"\n\n")) >= 0:
                event, buffer = buffer[:end], buffer[end + 2:]
                # Chunk sizes and the response's head stand before `data:`.
                _, mark, text = event.partition(b"data: ")
                if mark and text.startswith(b"{"):
                    yield moment, json.loads(strip_chunks(text))


def strip_chunks(text):
    """The text without the chunk boundaries (`\\r\\nSIZE\\r\\n`) that fell into it: JSON has no bare line ends."""
    parts = text.split(b"\r\n")
    return parts[0] + b"".join(parts[2::2])


def run_streams(make, count, concurrency):
    """Runs `make(0)` … `make(count - 1)`, so many at a time, and returns the streams."""
    done, open_streams, started = [], {}, 0
    poll = select.epoll()
    while len(done) < count:
        while started < count and len(open_streams) < concurrency:
            stream = make(started)
            started += 1
            open_streams[stream.socket.fileno()] = stream
            poll.register(stream.socket.fileno(), select.EPOLLIN)
        for descriptor, _ in poll.poll(30):
            stream = open_streams[descriptor]
            if not stream.read():
                poll.unregister(descriptor)
                stream.socket.close()
                done.append(open_streams.pop(descriptor))
    poll.close()
    return done
