"""What happens when something fails: F1 to F5, and servers that misbehave."""

import json
import time

import httpx
import pytest

from servers import wait_for

SCRIPT = {
    "plain": {"slm": ["I think <call>3</call>", " done."], "llm": ["a b c d e f"]},
    "slow": {"slm": [{"text": " word", "faults": {"endless": True}, "delay_ms": 10}]},
    "flood": {"slm": [{"text": " word", "faults": {"endless": True}}]},
    "partial": {"slm": ["x <call>5</call>", " y."], "llm": [{"text": "a b c d e", "faults": {"reset_after": 2}}]},
}

FAULTS = {
    "status 400": {"status": 400}, "status 429": {"status": 429}, "status 500": {"status": 500},
    "status 503": {"status": 503}, "status 500 with HTML": {"status": 500, "body": "<html>oops</html>"},
    "context exceeded": {"context_exceeded": True}, "redirect": {"redirect": "http://127.0.0.1:1/"},
    "hang before": {"hang_before": True}, "hang after": {"hang_after": 2}, "reset at once": {"reset_after": 0},
    "reset": {"reset_after": 2}, "end without finish": {"end_after": 2}, "error event": {"error_after": 2},
    "garbage": {"garbage_after": 2}, "NUL": {"nul_after": 2}, "invalid UTF-8": {"invalid_utf8_after": 2},
    "10 MB line": {"long_line": 10 << 20}, "overrun": {"overrun": 50},
}
LIES = ["missing", "zero", "x100", "negative", "string", "huge"]


def turn(**fields):
    return {"text": "one two three four five six", **fields}


def test_f1_without_expert_the_answer_degrades_and_says_so(make_stack):
    stack = make_stack(script=SCRIPT)
    stack.llm.stop()
    answer = stack.chat("plain#1")
    assert answer.status_code == 200
    assert answer.json()["choices"][0]["message"]["content"] == "I think done."
    assert answer.json()["relay"]["degraded"]
    row = stack.request_row(answer.headers["x-request-id"])
    assert row["degraded"] and row["llm_tokens"] == 0 and row["outcome"] == "completed"
    assert any(segment["role"] == "llm" and segment["error"] for segment in stack.segment_rows(row["id"]))
    stack.restart_llm()

    def recovered():
        stack.slm.reset()
        return stack.chat("plain#1").json()["choices"][0]["message"]["content"] == "I think a b c done."

    wait_for(recovered, 30)


def test_f1_fail_ends_the_request_with_an_error(make_stack):
    stack = make_stack(script=SCRIPT)
    stack.llm.stop()
    answer = stack.chat("plain#1", model="strict")
    assert answer.status_code >= 500 and answer.json()["error"]["message"]


def test_f2_text_before_a_failure_is_kept(make_stack):
    stack = make_stack(script=SCRIPT)
    answer = stack.chat("partial#1")
    assert answer.json()["choices"][0]["message"]["content"] == "x a b y."
    assert stack.request_row(answer.headers["x-request-id"])["llm_tokens"] == 2


def test_f3_another_replica_takes_over(make_stack):
    stack = make_stack(script=SCRIPT, replicas=2)
    stack.slms[0].stop()
    for index in range(6):
        answer = stack.chat(f"plain#{index}")
        assert answer.status_code == 200, answer.text
        assert answer.json()["choices"][0]["message"]["content"] == "I think a b c done."


def test_f4_a_client_that_leaves_frees_the_upstream_at_once(make_stack):
    stack = make_stack(script=SCRIPT)
    body = {"model": "slm", "messages": [{"role": "user", "content": "[[slow#1]]"}], "stream": True}
    headers = {"authorization": f"Bearer {stack.key}"}
    url = stack.gateway.url + "/v1/chat/completions"
    with httpx.stream("POST", url, json=body, headers=headers) as answer:
        request_id = answer.headers["x-request-id"]
        lines = answer.iter_lines()
        for _ in range(10):
            next(lines)
    left = time.time()
    line = wait_for(stack.slm.log, 5)[0]
    assert line["client_left"]
    assert line["ended_us"] / 1e6 - left < 5
    row = wait_for(lambda: stack.database.rows(f"SELECT * FROM requests WHERE id = '{request_id}'"), 5)[0]
    assert row["outcome"] == "client_gone"
    assert row["slm_tokens"] > 0


def test_a_slow_client_holds_the_server_back(make_stack):
    stack = make_stack(script=SCRIPT)
    body = {"model": "slm", "messages": [{"role": "user", "content": "[[flood#1]]"}], "stream": True,
            "max_tokens": 1000000}
    headers = {"authorization": f"Bearer {stack.key}"}
    with httpx.stream("POST", stack.gateway.url + "/v1/chat/completions", json=body, headers=headers) as answer:
        next(answer.iter_lines())
        before = stack.gateway.memory_bytes()
        # The server writes all the while; what nobody reads would pile up here.
        time.sleep(3)
        assert stack.gateway.memory_bytes() - before < 16 << 20
    assert stack.gateway.is_alive()


@pytest.mark.parametrize("role", ["slm", "llm"])
def test_no_misbehaving_server_brings_the_gateway_down(make_stack, role):
    """Every fault, streamed and not, in one gateway: it answers each with text or an error, and goes on."""
    script = {}
    for name, faults in FAULTS.items():
        bad = turn(faults=faults)
        script[name] = {"slm": [bad]} if role == "slm" else {"slm": ["x <call>4</call>", " y."], "llm": [bad]}
    for lie in LIES:
        script[f"usage {lie}"] = {"slm": [turn(usage=lie)], "llm": [turn(usage=lie)]}
    script["plain"] = SCRIPT["plain"]
    stack = make_stack(script=script)
    for name in [*FAULTS, *(f"usage {lie}" for lie in LIES)]:
        for is_stream in (False, True):
            answer = stack.chat(f"{name}#{is_stream}", stream=is_stream, max_tokens=50)
            assert stack.gateway.is_alive(), name
            if answer.status_code != 200:
                assert role == "slm" and answer.json()["error"]["message"], name
            elif is_stream:
                events = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
                assert events, name
                for event in events:
                    assert event == "[DONE]" or json.loads(event), name
            else:
                assert "choices" in answer.json(), name
    assert stack.chat("plain#1").json()["choices"][0]["message"]["content"] == "I think a b c done."
    for row in stack.database.rows("SELECT * FROM segments"):
        assert 0 <= row["generated_tokens"] < 10_000, row


def test_endless_server_is_cut_at_the_limit(make_stack):
    stack = make_stack(script=SCRIPT)
    answer = stack.chat("flood#1", model="slm", max_tokens=20)
    assert answer.json()["choices"][0]["finish_reason"] == "length"
    line = wait_for(stack.slm.log, 5)[0]
    assert line["client_left"], "the gateway must cut the transfer"


@pytest.mark.parametrize("dialect", ["vllm", "llamacpp", "sglang", "openai"])
def test_t6_a_transcript_that_no_longer_fits_ends_with_length(make_stack, dialect):
    # Template and question have about 35 tokens, the first turn 10, the expert's text 50: the SLM cannot resume.
    script = {"grow": {"slm": ["a <call>50</call>", " end"], "llm": [" w" * 60]}}
    stack = make_stack(dialect=dialect, script=script, slm_flags=["--context-window", "60"])
    choice = stack.chat("grow#1").json()["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("a " + "w " * 49 + "w", "length")


def test_f5_a_retry_is_a_row(make_stack):
    script = {"again": {"slm": [{"text": "", "faults": {"status": 503}}, "fine."]}}
    stack = make_stack(script=script)
    answer = stack.chat("again#1", model="slm")
    assert answer.json()["choices"][0]["message"]["content"] == "fine."
    rows = stack.segment_rows(answer.headers["x-request-id"])
    assert [row["attempt"] for row in rows] == [1, 2]
    assert rows[0]["error"] and not rows[1]["error"]
