"""The last event of an answer waits for the commit of its rows (`receipt: committed`), and says what they cost.

A kill at a random moment hits the short time between answer and commit too seldom to show it, so here the commit is held
up: the ledger's table is locked while an answer is written.
"""

import json
import time
from decimal import Decimal

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


def relay_of(stack, marker, model="relay", stream=False):
    """The relay object of an answer, and the request's id."""
    answer = stack.chat(marker, model, stream=stream)
    assert answer.status_code == 200, answer.text
    if not stream:
        return answer.json()["relay"], answer.headers["x-request-id"]
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
    return events[-1]["relay"], answer.headers["x-request-id"]


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_says_what_it_cost(make_stack, stream):
    stack = make_stack(script={"call": {"slm": ["I think <call>3</call>", " done."], "llm": ["a b c d e f"]}})

    def price(model, *options):
        stack.gateway.tool("price", "set", model, "--reason", "test", *options)

    # Nobody knows; then somebody knows of one of the two, which is not enough.
    assert relay_of(stack, "call#1", stream=stream)[0]["cost"] == "unpriced"
    price("fake-slm", "--input", "0.15", "--output", "0.60", "--request", "0.001")
    assert relay_of(stack, "call#2", stream=stream)[0]["cost"] == "unpriced"
    price("fake-llm", "--input", "2.50", "--output", "10")
    relay, request = relay_of(stack, "call#3", stream=stream)
    rows = stack.segment_rows(request)
    assert [row["role"] for row in rows] == ["slm", "llm", "slm"] and not any(row["cached_tokens"] for row in rows)
    # Dollars for a million tokens, and a tenth of a cent for each turn of the SLM.
    prices = {"slm": ("0.15", "0.60", "0.001"), "llm": ("2.50", "10", "0")}
    expected = sum(
        (row["prompt_tokens"] * Decimal(prices[row["role"]][0]) + row["generated_tokens"] * Decimal(prices[row["role"]][1]))
        / 1_000_000 + Decimal(prices[row["role"]][2]) for row in rows)
    assert expected > Decimal("0.002") and Decimal(relay["cost"]) == expected
    assert sum(row["cost_pico"] for row in rows) == expected * 10**12
    assert f"\ncost      {relay['cost']} $\n" in stack.gateway.tool("trace", "show", request)


def test_a_queued_answer_does_not_guess_its_cost(make_stack):
    stack = make_stack(script={"call": {"slm": ["one two three"]}}, config={"ledger": {"receipt": "queued"}})
    stack.gateway.tool("price", "set", "fake-slm", "--input", "1", "--output", "1", "--reason", "test")
    assert relay_of(stack, "call", "slm")[0]["cost"] is None
