"""The last event of an answer waits for the commit of its rows (`receipt: committed`).

A kill at a random moment hits the short time between answer and commit too seldom to show it, so here the commit is held
up: the ledger's table is locked while an answer is written.
"""

import time

import httpx
import pytest

from servers import Stack

LOCKED_SECONDS = 3


@pytest.fixture
def stack(postgres, tmp_path):
    stack = Stack(postgres, tmp_path, script={"brief": {"slm": ["one two three"]}})
    yield stack
    stack.stop()


@pytest.mark.parametrize("stream", [True, False])
def test_no_answer_ends_before_its_rows_are_committed(stack, stream):
    holder = stack.database.hold("LOCK TABLE requests IN ACCESS EXCLUSIVE MODE", LOCKED_SECONDS)
    body = {"model": "slm", "stream": stream, "messages": [{"role": "user", "content": "[[brief#1]]"}]}
    headers = {"authorization": f"Bearer {stack.key}"}
    started, text_after = time.monotonic(), None
    url = stack.gateway.url + "/v1/chat/completions"
    with httpx.stream("POST", url, json=body, headers=headers, timeout=30) as answer:
        for line in answer.iter_lines():
            if "three" in line and text_after is None:
                text_after = time.monotonic() - started
    ended_after = time.monotonic() - started
    holder.wait(30)
    if stream:
        assert text_after < ended_after - 0.5, "text does not wait for the ledger"
    assert ended_after > LOCKED_SECONDS - 1.5, "the end waits for the commit"
    assert stack.database.rows("SELECT count(*) AS n FROM requests")[0]["n"] == 1
