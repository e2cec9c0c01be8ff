"""Requests whose end is unclear are refused and their connection is closed, so that none can hide behind another."""

import os
import socket
import time
from urllib.parse import urlsplit

import pytest

from servers import Stack


@pytest.fixture(scope="module")
def stack(postgres, tmp_path_factory):
    stack = Stack(postgres, tmp_path_factory.mktemp("framing"))
    yield stack
    stack.stop()

HIDDEN = b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
CASES = {
    "length and chunked": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "two lengths": POST + b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN,
    "space before the colon": POST + b"Content-Length : %d\r\n\r\n" % len(HIDDEN) + HIDDEN,
    "two encodings": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + HIDDEN,
    "an unknown encoding": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "a length beyond counting": POST + b"Content-Length: 9223372036854775808\r\n\r\n{}",
    "two hosts": b"GET /health/liveness HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n" + HIDDEN,
    "two keys": POST + b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\nContent-Length: 2\r\n\r\n{}",
}


def talk(stack, data, within=5):
    """Sends bytes and returns all that comes back until the gateway closes."""
    address = urlsplit(stack.gateway.url)
    with socket.create_connection((address.hostname, address.port), timeout=within) as connection:
        connection.sendall(data)
        answer = b""
        try:
            while piece := connection.recv(65536):
                answer += piece
        except ConnectionResetError:
            pass
        return answer


@pytest.mark.parametrize("case", CASES)
def test_unclear_framing_is_refused_and_the_connection_closed(stack, case):
    answer = talk(stack, CASES[case])
    assert answer.startswith(b"HTTP/1.1 400 "), answer
    assert answer.count(b"\r\nDate: ") == 1, "nothing behind the refused request is answered"


def test_a_target_in_absolute_form_is_served(stack):
    answer = talk(stack, b"GET http://gateway.example/health/liveness HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("length, status", [(9_000_000, b"413"), (10, b"401")])
def test_who_waits_for_100_continue_is_refused_before_the_body(stack, length, status):
    key = b"Authorization: Bearer %s\r\n" % stack.key.encode() if status == b"413" else b""
    answer = talk(stack, POST + key + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % length)
    assert answer.startswith(b"HTTP/1.1 " + status), answer


@pytest.mark.parametrize("part", [POST, POST + b"Content-Length: 50\r\n\r\n{", POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"])
def test_who_leaves_in_the_middle_of_a_request_is_let_go(stack, part):
    address = urlsplit(stack.gateway.url)

    def open_descriptors():
        return len(os.listdir(f"/proc/{stack.gateway.process.pid}/fd"))

    before = open_descriptors()
    for _ in range(20):
        with socket.create_connection((address.hostname, address.port)) as connection:
            connection.sendall(part)
    deadline = time.monotonic() + 5
    while open_descriptors() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert open_descriptors() <= before
