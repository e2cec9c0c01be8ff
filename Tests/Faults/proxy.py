"""A proxy in front of PostgreSQL or of a model server that fails on purpose, at a chosen operation.

An operation on PostgreSQL is one message `Sync` (or simple `Query`) of a client, on a model server one HTTP request.
Operation number `at`, counted over all connections, fails in one of three ways: before its effect (it is never
forwarded), after it (the answer is swallowed), or it hangs (no answer ever comes). The connection is closed, except
where it hangs. A plan counts only operations whose text (SQL, or the first line of HTTP) it looks for.
"""

import socket
import struct
import threading


class Plan:
    """Which operation fails, and how. `count` is the number of operations seen so far.

    `of` and `but` are words: an operation counts when its text has one of `of`, if there are any, and none of `but`.
    """

    def __init__(self, at=None, mode="before", of=(), but=()):
        self.at, self.mode = at, mode
        self.of, self.but = [word.encode() for word in of], [word.encode() for word in but]
        self.count = 0
        self.fired = None  # the text of the operation that failed
        self.lock = threading.Lock()

    def next(self, text):
        """The fate of the next operation: None, or the mode."""
        if self.of and not any(word in text for word in self.of) or any(word in text for word in self.but):
            return None
        with self.lock:
            self.count += 1
            if self.count != self.at:
                return None
            self.fired = text
            return self.mode


class Proxy:
    """Listens on a Unix socket (`path`) or on a port of the loopback and forwards to `target`."""

    def __init__(self, target, path=None, kind="postgres"):
        self.target, self.kind = target, kind
        self.plan = Plan()
        self.frozen = threading.Event()
        family = socket.AF_UNIX if path else socket.AF_INET
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        self.listener.bind(path or ("127.0.0.1", 0))
        self.listener.listen(256)
        self.port = None if path else self.listener.getsockname()[1]
        self.open = set()
        self.lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.close()
        self.cut()

    def cut(self):
        """Closes every connection at once."""
        with self.lock:
            open_now, self.open = list(self.open), set()
        for end in open_now:
            drop(end)

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        server = socket.socket(socket.AF_UNIX if isinstance(self.target, str) else socket.AF_INET, socket.SOCK_STREAM)
        try:
            server.connect(self.target)
        except OSError:
            return drop(client)
        with self.lock:
            self.open |= {client, server}
        link = Link(client, server, self)
        threading.Thread(target=link.answers, daemon=True).start()
        link.requests()


def drop(end):
    try:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    end.close()


class Link:
    """One connection through the proxy."""

    def __init__(self, client, server, proxy):
        self.client, self.server, self.proxy = client, server, proxy
        self.swallow = None  # the mode whose operation's answer is swallowed

    def requests(self):
        framer = PostgresFramer() if self.proxy.kind == "postgres" else HTTPFramer()
        try:
            while data := self.client.recv(65536):
                for part, text in framer.cut(data):
                    fate = self.proxy.plan.next(text) if text is not None else None
                    if fate == "before":
                        return self.end()
                    if fate:
                        self.swallow = fate
                        if fate == "hang":
                            continue
                    self.server.sendall(part)
        except OSError:
            pass
        self.end()

    def answers(self):
        try:
            while data := self.server.recv(65536):
                if self.swallow == "after":
                    # The effect has happened when the answer is here.
                    return self.end()
                if self.swallow == "hang":
                    continue
                self.client.sendall(data)
        except OSError:
            pass
        self.end()

    def end(self):
        drop(self.client)
        drop(self.server)


class PostgresFramer:
    """Cuts a client's bytes behind each message that ends an operation; with each operation comes its SQL."""

    def __init__(self):
        self.started = False
        self.buffer = b""
        self.prepared = {}
        self.text = b""

    def cut(self, data):
        self.buffer += data
        done = b""
        while True:
            if not self.started:
                if len(self.buffer) < 8:
                    break
                length, code = struct.unpack("!II", self.buffer[:8])
                if len(self.buffer) < length:
                    break
                # SSL and GSS requests are answered by one byte, then the true startup message follows.
                self.started = code not in (80877103, 80877104)
                yield self.buffer[:length], None
                self.buffer = self.buffer[length:]
                continue
            if len(self.buffer) < 5:
                break
            kind, length = self.buffer[:1], struct.unpack("!I", self.buffer[1:5])[0] + 1
            if len(self.buffer) < length:
                break
            self.read(kind, self.buffer[5:length])
            done += self.buffer[:length]
            self.buffer = self.buffer[length:]
            if kind in (b"S", b"Q"):
                yield done, self.text
                done = self.text = b""
        if done:
            yield done, None

    def read(self, kind, body):
        """Notes which SQL a message is about."""
        if kind == b"P":
            name, sql = body.split(b"\0")[:2]
            self.prepared[name] = sql
            self.text += sql
        elif kind == b"B":
            self.text += self.prepared.get(body.split(b"\0")[1], b"")
        elif kind == b"Q":
            self.text += body


class HTTPFramer:
    """Counts a request when its head is whole; bodies pass as they come."""

    def __init__(self):
        self.head = b""
        self.body = 0

    def cut(self, data):
        while data:
            if self.body:
                yield data[:self.body], None
                taken = min(self.body, len(data))
                self.body -= taken
                data = data[taken:]
                continue
            self.head += data
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return
            head, data = self.head[:end + 4], self.head[end + 4:]
            self.head = b""
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    self.body = int(line.split(b":")[1])
            yield head, head.split(b"\r\n")[0]
