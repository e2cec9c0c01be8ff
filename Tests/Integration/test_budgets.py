"""Budgets and rates as their callers see them."""

import concurrent.futures
import datetime
import itertools
import json
import random
import socket
import struct
import time

import httpx
import openai
import pytest

from budgets import LIES, SCRIPT, audit, effective, llm_tokens, set_budget, settled, show
from servers import wait_for


@pytest.fixture
def stack(make_stack):
    return make_stack(script=SCRIPT)


def test_a_budget_is_used_up_to_the_last_token_and_then_the_answer_degrades(stack):
    assert "created" in set_budget(stack, 25)
    effective()
    answers = [stack.chat(f"ten#{i}").json()["relay"] for i in range(4)]
    # 25 = 10 + 10 + 5: the third call is clamped, the fourth refused.
    assert [answer["llm_tokens"] for answer in answers] == [10, 10, 5, 0]
    assert [answer["clamped"] for answer in answers] == [0, 0, 1, 0]
    assert [answer["degraded"] for answer in answers] == [None, None, None, "budget"]
    budget = settled(stack)
    assert (budget["used"], budget["left"], budget["unreconciled"], budget["overrun"]) == (25, 0, 0, 0)
    assert llm_tokens(stack) == 25
    rows = stack.database.rows("SELECT sum(charged) AS charged, count(*) AS rows FROM charges")
    assert rows == [{"charged": 25, "rows": 3}]
    audit(stack)


def test_without_clamping_the_rest_stays(stack):
    set_budget(stack, 25, clamp="off")
    effective()
    answers = [stack.chat(f"ten#{i}").json()["relay"]["llm_tokens"] for i in range(4)]
    assert answers == [10, 10, 0, 0]
    assert settled(stack)["left"] == 5
    audit(stack)


def test_reject_is_429_before_the_first_byte_and_says_when_to_come_again(stack):
    set_budget(stack, 10, on_exhausted="reject")
    effective()
    assert stack.chat("ten#0").status_code == 200
    slm_requests = len(stack.slm.log())
    for stream in (False, True):
        answer = stack.chat("ten#1", stream=stream)
        assert answer.status_code == 429
        error = answer.json()["error"]
        assert (error["code"], error["type"], error["budget"]) == ("insufficient_quota", "insufficient_quota", "daily")
        midnight = datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=1)
        assert error["resets_at"] == f"{midnight}T00:00:00Z"
        assert answer.headers["x-ratelimit-remaining-llm-tokens"] == "0"
        assert answer.headers["x-should-retry"] == "false"
        assert 0 < int(answer.headers["retry-after"]) <= 86400
    assert len(stack.slm.log()) == slm_requests, "no model was asked for a rejected request"
    client = stack.client()
    with pytest.raises(openai.RateLimitError):
        client.chat.completions.create(model="relay", messages=[{"role": "user", "content": "[[ten#2]]"}])
    # What needs no LLM is served.
    assert stack.chat("alone#0", model="slm").status_code == 200
    audit(stack)


def test_an_answer_that_was_paid_for_is_not_thrown_away(stack):
    set_budget(stack, 10, on_exhausted="reject")
    effective()
    answer = stack.chat("twice#0")
    assert answer.status_code == 200
    assert (answer.json()["relay"]["llm_tokens"], answer.json()["relay"]["degraded"]) == (10, "budget")
    assert stack.chat("twice#1").status_code == 429


def test_several_budgets_must_all_grant(stack):
    set_budget(stack, 1000, name="monthly", window="month")
    set_budget(stack, 12, name="daily")
    effective()
    answers = [stack.chat(f"ten#{i}").json()["relay"]["llm_tokens"] for i in range(3)]
    assert answers == [10, 2, 0]
    assert settled(stack, "daily")["used"] == 12
    assert settled(stack, "monthly")["used"] == 12
    audit(stack)


def test_a_key_has_its_own_budget(stack):
    other = stack.gateway.create_key()
    public = other.removeprefix("sk-relay-").split("-")[0]
    set_budget(stack, 10, name="of-key", key=public)
    effective()
    tokens = [stack.chat(f"ten#{i}", key=key).json() for i, key in enumerate([])]
    messages = lambda i: {"model": "relay", "messages": [{"role": "user", "content": f"[[ten#{i}]]"}]}
    answers = [stack.post(key=other, json=messages(i)).json()["relay"]["llm_tokens"] for i in range(2)]
    assert answers == [10, 0]
    assert stack.post(json=messages(9)).json()["relay"]["llm_tokens"] == 10, "the tenant's other key is not limited"
    audit(stack)


def test_a_whole_answer_of_the_llm_is_granted_whole_or_written_by_the_slm(stack):
    set_budget(stack, 30)
    effective()
    first = stack.chat("alone#0", model="llm", max_tokens=20).json()
    assert first["choices"][0]["message"]["content"] == "The large one writes."
    used = settled(stack)["used"]
    assert used == llm_tokens(stack) > 0
    second = stack.chat("alone#1", model="llm", max_tokens=40).json()
    assert second["choices"][0]["message"]["content"] == "I write alone."
    assert second["relay"]["degraded"] == "budget" and second["relay"]["llm_tokens"] == 0
    audit(stack)


@pytest.mark.parametrize("dialect", ["vllm", "llamacpp", "openai"])
@pytest.mark.parametrize("lie", LIES)
def test_a_server_that_lies_about_its_usage_is_charged_what_nobody_can_disprove(make_stack, dialect, lie):
    stack = make_stack(dialect=dialect, script=SCRIPT)
    set_budget(stack, 1000)
    effective()
    report = stack.chat(f"lie-{lie}#0").json()["relay"]
    budget = settled(stack)
    # Ten tokens were asked for and sent: nobody pays for more, and not for less either.
    assert llm_tokens(stack) == 10
    assert budget["used"] == 10, report
    assert budget["overrun"] == 0
    audit(stack)


def test_a_server_that_sends_more_is_cut_and_its_excess_recorded(stack):
    set_budget(stack, 10)
    effective()
    report = stack.chat("overrun#0").json()["relay"]
    budget = settled(stack)
    assert report["llm_tokens"] > 10
    # The lease had nothing left: what came beyond it is an overrun, and charged.
    assert budget["used"] >= report["llm_tokens"]
    assert budget["overrun"] == budget["used"] - 10 > 0
    audit(stack)


def test_a_server_that_goes_on_behind_its_own_end_is_cut_too(stack):
    set_budget(stack, 10)
    effective()
    relay = stack.chat("early#0").json()["relay"]
    # It is cut at the second token too many; all that came with it is charged, of at most 10 + 50.
    assert 11 <= relay["llm_tokens"] <= 60, relay
    assert len(relay["segments"]) == 3
    budget = settled(stack)
    assert budget["used"] == relay["llm_tokens"] == 10 + budget["overrun"]
    audit(stack)


def test_what_cannot_be_bounded_is_refused_where_prompts_are_counted(make_stack):
    stack = make_stack(dialect="openai", script=SCRIPT)
    image = [{"type": "text", "text": "[[alone#0]]"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}]
    body = {"model": "llm", "messages": [{"role": "user", "content": image}], "max_tokens": 5}
    assert stack.post(json=body).status_code == 200
    set_budget(stack, 100_000, counts="billed")
    effective()
    answer = stack.post(json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "messages[0].content")
    answer = stack.chat("alone#1", model="llm", max_tokens=5, chat_template="{{ messages }}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "chat_template")
    # What has bytes has a bound: tools of 20 kB are reserved for, and given back.
    tools = [{"type": "function", "function": {"name": "f", "description": "x" * 20_000, "parameters": {}}}]
    set_budget(stack, 15_000, name="small", counts="billed")
    effective()
    answer = stack.chat("alone#2", model="llm", max_tokens=5, tools=tools)
    assert answer.json()["relay"]["degraded"] == "budget", answer.text
    audit(stack)


def test_a_deleted_tenant_spends_no_more_than_its_budget(stack):
    set_budget(stack, 10)
    effective()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(stack.chat, f"slow#{i}") for i in range(8)]
        wait_for(lambda: stack.database.rows("SELECT FROM leases WHERE granted > 0"), 10, "nothing is granted")
        stack.gateway.tool("tenant", "delete", "acme")
        for answer in answers:
            answer.result()
    assert llm_tokens(stack) <= 10


def test_failed_attempts_are_charged_unless_they_did_nothing(stack):
    set_budget(stack, 1000)
    effective()
    stack.chat("refuses#0")
    assert settled(stack)["used"] == 0, "a 400 did no work"
    stack.chat("fails#0")
    # A 500 may have done all of it; the first attempt and its retry held ten tokens each.
    assert settled(stack)["used"] == 20
    audit(stack)


def test_a_caller_that_leaves_is_charged_once_and_frees_the_rest(stack):
    set_budget(stack, 1000)
    effective()
    body = {"model": "relay", "stream": True, "messages": [{"role": "user", "content": "[[slow#0]]"}]}
    with httpx.stream("POST", stack.gateway.url + "/v1/chat/completions", json=body,
                      headers={"authorization": f"Bearer {stack.key}"}, timeout=30) as stream:
        for line in stream.iter_lines():
            if '"content":" a' in line or '"content":"a' in line:
                break
    budget = settled(stack)
    assert budget["used"] == 10, "the call's reservation: what the server did after the cut is not known"
    assert llm_tokens(stack) <= 10
    audit(stack)


def test_callers_that_leave_while_a_limit_is_asked_do_no_harm(stack):
    stack.gateway.tool("limit", "set", "acme", "--requests-per-minute", "1")
    effective()
    body = json.dumps({"model": "slm", "messages": [{"role": "user", "content": "[[alone#0]]"}]}).encode()
    request = (b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: "
               b"Bearer %s\r\ncontent-length: %d\r\n\r\n" % (stack.key.encode(), len(body)) + body)
    port = int(stack.gateway.url.rsplit(":", 1)[1])
    for number in range(400):
        with socket.create_connection(("127.0.0.1", port)) as caller:
            caller.sendall(request)
            # It goes at any moment between its request and the answer.
            time.sleep(random.random() * 0.006)
            if number % 2:
                caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert stack.gateway.is_alive(), stack.gateway.log_path.read_text()[-2000:]
    assert stack.chat("alone#1", model="slm").status_code in (200, 429)


def test_billed_budgets_count_the_prompt_that_the_server_counts(make_stack):
    for dialect in ("vllm", "openai"):
        stack = make_stack(dialect=dialect, script=SCRIPT)
        set_budget(stack, 10_000, counts="billed")
        effective()
        stack.chat("ten#0")
        budget = settled(stack)
        line = next(line for line in stack.llm.log() if line["generated_tokens"])
        assert budget["used"] == line["prompt_tokens"] + line["generated_tokens"]
        audit(stack)


@pytest.mark.parametrize("dialect", ["vllm", "llamacpp", "openai"])
def test_several_answers_at_once_count_their_prompts_each(make_stack, dialect):
    stack = make_stack(dialect=dialect, script=SCRIPT)
    set_budget(stack, 100_000, counts="billed")
    effective()
    answer = stack.chat("alone#0", model="llm", n=3, max_tokens=20)
    assert len(answer.json()["choices"]) == 3
    lines = [line for line in stack.llm.log() if line["generated_tokens"]]
    assert len(lines) == 3
    assert settled(stack)["used"] == sum(line["prompt_tokens"] + line["generated_tokens"] for line in lines)
    audit(stack)


def test_strict_budgets_write_an_intent_before_each_call(stack):
    set_budget(stack, 25, mode="strict")
    effective()
    answers = [stack.chat(f"ten#{i}").json()["relay"]["llm_tokens"] for i in range(4)]
    assert answers == [10, 10, 5, 0]
    assert settled(stack)["used"] == 25
    assert stack.database.rows("SELECT * FROM intents") == [], "they go with their lease"
    audit(stack)


def test_windows_begin_anew_by_the_databases_clock(stack):
    set_budget(stack, 10, window="hour")
    effective()
    assert [stack.chat(f"ten#{i}").json()["relay"]["llm_tokens"] for i in range(2)] == [10, 0]
    settled(stack)
    stack.database.server.psql(
        "postgres", f"ALTER DATABASE {stack.database.name} SET relaygate.clock_offset = '1 hour';"
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{stack.database.name}'")
    # The gateway has to connect anew, and then to hear of the new window.
    numbers = itertools.count(3)
    wait_for(lambda: stack.chat(f"ten#{next(numbers)}").json().get("relay", {}).get("llm_tokens") == 10, 10,
             "the new window grants nothing")
    windows = stack.database.rows("SELECT charged FROM budget_windows ORDER BY window_start")
    assert len(windows) == 2 and windows[0]["charged"] == 10


def test_headers_say_how_the_caller_stands(stack):
    set_budget(stack, 1000)
    stack.gateway.tool("limit", "set", "acme", "--requests-per-minute", "50", "--tokens-per-minute", "1M")
    effective()
    assert "x-ratelimit-remaining-llm-tokens" not in stack.chat("ten#0").headers, "nobody has asked the database yet"
    settled(stack)
    headers = stack.chat("ten#1").headers
    assert headers["x-ratelimit-limit-requests"] == "50"
    assert 0 < int(headers["x-ratelimit-remaining-requests"]) < 50
    assert headers["x-ratelimit-limit-llm-tokens"] == "1000"
    assert headers["x-ratelimit-remaining-llm-tokens"] == "990"
    assert headers["x-ratelimit-limit-tokens"] == "1000000"
    assert headers["x-ratelimit-reset-requests"].endswith("s")


def wait_for_room_in_the_minute():
    """A test that fills a minute needs one that does not end under it."""
    if time.time() % 60 > 45:
        time.sleep(61 - time.time() % 60)


def test_requests_per_minute(stack):
    wait_for_room_in_the_minute()
    stack.gateway.tool("limit", "set", "acme", "--requests-per-minute", "3")
    effective()
    answers = [stack.chat("alone#0", model="slm") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    error = answers[3].json()["error"]
    assert error["code"] == "rate_limit_exceeded" and "requests-per-minute" in error["message"]
    assert 0 < int(answers[3].headers["retry-after"]) <= 60


def test_concurrent_requests(stack):
    stack.gateway.tool("limit", "set", "acme", "--concurrent", "2")
    effective()
    import concurrent.futures
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        codes = sorted(pool.map(lambda i: stack.chat(f"slow#{i}").status_code, range(6)))
    assert codes == [200, 200, 429, 429, 429, 429]
    wait_for(lambda: stack.chat("ten#9").status_code == 200, 2, "slots do not come back")


def test_tokens_per_minute_names_the_remedy_when_a_request_can_never_fit(stack):
    stack.gateway.tool("limit", "set", "acme", "--tokens-per-minute", "100")
    effective()
    answer = stack.chat("alone#0", model="slm", max_tokens=500)
    assert answer.status_code == 400 and answer.json()["error"]["param"] == "max_tokens"
    assert stack.chat("alone#0", model="slm", max_tokens=20).status_code == 200
