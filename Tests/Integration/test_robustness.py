"""Bad input, bad keys, and the end of the process."""

import json
import signal
import threading
import time

import httpx
import pytest

from servers import Stack, end

SCRIPT = {
    "plain": {"slm": ["I think <call>3</call>", " done."], "llm": ["a b c d e f"]},
    "steady": {"slm": [{"text": "one two three four five six seven eight nine ten", "delay_ms": 100}]},
}
MESSAGES = [{"role": "user", "content": "[[plain#1]]"}]
CHAT = {"model": "relay", "messages": MESSAGES}


@pytest.fixture(scope="module")
def stack(postgres, tmp_path_factory):
    stack = Stack(postgres, tmp_path_factory.mktemp("robustness"), script=SCRIPT)
    yield stack
    assert stack.stop() == 0


def error(answer, status):
    assert answer.status_code == status, answer.text
    body = answer.json()["error"]
    assert set(body) == {"message", "type", "param", "code"}
    assert body["message"]
    return body


@pytest.mark.parametrize("headers", [
    pytest.param({}, id="no key"),
    pytest.param({"authorization": "Bearer"}, id="empty"),
    pytest.param({"authorization": "Basic abc"}, id="another scheme"),
    pytest.param({"authorization": "Bearer sk-relay-" + "a" * 12 + "-" + "b" * 43 + "-cccccc"}, id="wrong checksum"),
    pytest.param({"authorization": "Bearer " + "x" * 4000}, id="long"),
])
def test_unknown_key(stack, headers):
    answer = httpx.post(stack.gateway.url + "/v1/chat/completions", json=CHAT, headers=headers)
    assert error(answer, 401)["code"] == "invalid_api_key"


def test_revoked_key_is_refused_within_two_seconds(stack):
    key = stack.gateway.create_key()
    assert stack.post(key=key, json=CHAT).status_code == 200
    stack.gateway.revoke(key)
    revoked = asked = time.monotonic()
    # A slow machine may answer late; nobody who asks after two seconds is let in.
    while (status := stack.post(key=key, json=CHAT).status_code) != 401:
        assert asked < revoked + (2 if status == 200 else 30), status
        time.sleep(0.1)
        asked = time.monotonic()


@pytest.mark.parametrize("body", [
    b"", b"{", b"[]", b"null", b'{"model":', b'{"model":"relay"}', b"\xff\xfe", b'{"model":"relay","messages":"x"}',
    b"[" * 5000, b'{"model":"relay","messages":[]}', b'{"model":"relay","messages":[{"role":"king","content":"x"}]}',
    b'{"model":"relay","model":"slm","messages":[{"role":"user","content":"x"}]}',
], ids=repr)
def test_bad_body(stack, body):
    error(stack.post(content=body, headers={"content-type": "application/json"}), 400)


def test_body_over_the_limit(stack):
    content = json.dumps({**CHAT, "user": "x" * (300 << 10)}).encode()
    error(stack.post(content=content, headers={"content-type": "application/json"}), 413)


def test_wrong_content_type(stack):
    error(stack.post(content=json.dumps(CHAT).encode(), headers={"content-type": "text/plain"}), 415)


def test_unknown_path_and_method(stack):
    error(stack.post("/v1/nothing", json=CHAT), 404)
    answer = httpx.get(stack.gateway.url + "/v1/chat/completions", headers={"authorization": f"Bearer {stack.key}"})
    error(answer, 405)
    assert "POST" in answer.headers["allow"]


@pytest.mark.parametrize("name, value", [
    ("echo", True), ("best_of", 2), ("suffix", "x"), ("audio", {}), ("modalities", ["audio"]), ("prediction", {}),
    ("store", True), ("web_search_options", {}), ("api_base", "http://x"), ("base_url", "http://x"),
    ("include_stop_str_in_output", True), ("continue_final_message", True), ("add_generation_prompt", False),
    ("stop_token_ids", [1]), ("ignore_eos", True), ("return_token_ids", True), ("min_tokens", 5),
    ("logits_processors", ["x"]), ("use_beam_search", True), ("truncate_prompt_tokens", 5), ("prompt_logprobs", 1),
    ("stream_options", {"include_usage": True}), ("logprobs", True), ("top_logprobs", 2), ("tools", [{}]),
    ("tool_choice", "auto"), ("functions", [{}]), ("response_format", {"type": "json_object"}),
    ("parallel_tool_calls", True), ("grammar", "root ::= x"), ("guided_json", {}), ("structured_outputs", {}),
    ("n", 0), ("n", 9), ("n", "2"), ("n", 1.5), ("max_tokens", 0), ("max_tokens", -1),
    ("max_tokens", 2**53), ("max_tokens", "7"), ("stop", 5), ("stop", [""]), ("stop", ["a"] * 5), ("stream", "yes"),
    ("temperature", "hot"), ("relay", {"unknown": 1}), ("relay", 1),
])
def test_parameter_is_refused_by_name(stack, name, value):
    body = error(stack.post(json={**CHAT, name: value}), 400)
    assert body["param"].split(".")[0] == name


def test_both_limits_that_differ(stack):
    error(stack.post(json={**CHAT, "max_tokens": 5, "max_completion_tokens": 6}), 400)


@pytest.mark.parametrize("model", ["relay\r\nx-evil: 1", "relay\n", "../relay", "x" * 10000, "", "\u0000"])
def test_model_name_reaches_no_header(stack, model):
    answer = stack.post(json={**CHAT, "model": model})
    assert answer.status_code in (400, 404)
    assert "x-evil" not in answer.headers
    assert len(answer.text) < 2000


def test_request_id_of_the_caller_is_no_header_injection(stack):
    answer = stack.post(json=CHAT, headers={"x-request-id": "a" * 5000})
    assert answer.status_code in (200, 400, 431)
    assert len(answer.headers.get("x-request-id", "")) < 200


def test_sigterm_lets_streams_end_and_keeps_the_ledger(make_stack):
    stack = make_stack(script=SCRIPT)
    answers = []

    def ask(index):
        answers.append(stack.chat(f"steady#{index}", model="slm", stream=True))

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(20)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 20
    while not any(line == "vllm:requests_total 20" for line in stack.slm.metrics()):
        assert time.monotonic() < deadline
    status = end(stack.gateway.process, signal.SIGTERM, within=20)
    for thread in threads:
        thread.join()
    assert status == 0
    assert len(answers) == 20
    assert all(answer.text.rstrip().endswith("data: [DONE]") for answer in answers)
    ids = {row["id"] for row in stack.database.rows("SELECT id FROM requests WHERE outcome = 'completed'")}
    assert {answer.headers["x-request-id"] for answer in answers} <= ids
