"""Relays of the hash models through the gateway, compared with a second implementation and with the truth logs."""

import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from reference_relay import relay

BANS = {"vllm": {"bad_words": ["<call>"]}, "llamacpp": {"logit_bias": [["<", False]]}}
# The gateway's dialect, and what the server really is: `openai` stands for everything that only looks like it.
PAIRS = [(name, name) for name in ("vllm", "llamacpp", "sglang", "openai")] + [("openai", "transformers")]


def question(marker):
    return f"[[{marker}]] How many apples are in the box?"


def prompt(marker):
    return f"<|im_start|>user\n{question(marker)}<|im_end|>\n<|im_start|>assistant\n"


def stream(stack, marker, model="relay", within=60):
    """Streams one chat; returns the text, the report, the request's id and the last finish reason."""
    body = {"model": model, "messages": [{"role": "user", "content": question(marker)}], "stream": True,
            "stream_options": {"include_usage": True}, "relay": {"annotate": True}}
    own = ""
    text, report, finish, isDone = "", None, None, False
    url, headers = stack.gateway.url + "/v1/chat/completions", {"authorization": f"Bearer {stack.key}"}
    with httpx.stream("POST", url, json=body, headers=headers, timeout=within) as answer:
        if answer.status_code != 200:
            raise AssertionError(f"{answer.status_code}: {answer.read().decode()}")
        for line in answer.iter_lines():
            if line == "data: [DONE]":
                isDone = True
            elif line.startswith("data: "):
                chunk = json.loads(line[6:])
                assert "error" not in chunk, chunk
                writer = chunk.get("relay", {}).get("role")
                if not writer:
                    report = chunk.get("relay", report)
                for choice in chunk["choices"]:
                    piece = choice["delta"].get("content") or ""
                    text += piece
                    own += piece if writer == "slm" else "\0" * len(piece)
                    finish = choice["finish_reason"] or finish
        return {"text": text, "report": report, "id": answer.headers["x-request-id"], "finish": finish, "done": isDone, "own": own}


def check_ledger(stack, answers):
    """The ledger has each answer, and its sums are those of the truth logs."""
    truth = {}
    for line in stack.truth():
        sums = truth.setdefault(line["marker"], {"slm": 0, "llm": 0, "segments": 0})
        sums[line["role"]] += line["generated_tokens"]
        sums["segments"] += 1
    rows = {row["id"]: row for row in stack.database.rows("SELECT * FROM requests")}
    sums = {row["request_id"]: row for row in stack.database.rows(
        "SELECT request_id, sum(generated_tokens) FILTER (WHERE role = 'slm') AS slm, "
        "sum(generated_tokens) FILTER (WHERE role = 'llm') AS llm, count(*) AS segments FROM segments GROUP BY 1")}
    for marker, answer in answers.items():
        row, segments = rows[answer["id"]], sums[answer["id"]]
        found = {"slm": segments["slm"] or 0, "llm": segments["llm"] or 0, "segments": segments["segments"]}
        assert found == truth[marker], marker
        assert (row["slm_tokens"], row["llm_tokens"]) == (found["slm"], found["llm"]), marker
        assert row["outcome"] == "completed"
        assert len(answer["report"]["segments"]) == found["segments"]
    usage = stack.database.rows("SELECT role, sum(generated_tokens) AS tokens FROM usage_of_segments GROUP BY 1")
    assert sum(row["tokens"] for row in usage) == sum(row["slm_tokens"] + row["llm_tokens"] for row in rows.values())


def run_many(stack, markers, workers, **options):
    with ThreadPoolExecutor(workers) as pool:
        return dict(zip(markers, pool.map(lambda marker: stream(stack, marker, **options), markers)))


def expected(stack, marker, **options):
    """The answer that the rules ask for. Whether commands can be forbidden is read off what the gateway did."""
    isBanning = stack.dialect in BANS and any(line["banned"] for line in stack.log)
    return relay(stack.slm, stack.llm, prompt(marker), BANS[stack.dialect] if isBanning else None, **options)


def check_answers(stack, answers, **options):
    stack.log = stack.truth()
    with ThreadPoolExecutor(8) as pool:
        wanted = dict(zip(answers, pool.map(lambda marker: expected(stack, marker, **options), answers)))
    for marker, answer in answers.items():
        assert answer["done"] and answer["finish"] == "stop", marker
        assert answer["text"] == wanted[marker], marker


def test_200_concurrent_streams(make_stack):
    stack = make_stack(slm_flags=["--token-delay", "1ms"], llm_flags=["--token-delay", "1ms"])
    markers = [f"load#{index}" for index in range(200)]
    answers = run_many(stack, markers, 200)
    check_ledger(stack, answers)
    assert len({answer["text"] for answer in answers.values()}) > 190, "the answers must differ"
    # What the LLM writes is ordinary text, also where it begins a tag that the SLM ends (rule C6): its text is masked.
    assert sum(tag in answer["own"] for answer in answers.values() for tag in ["<call>", "</call>"]) == 0
    assert sum(answer["report"]["malformed"] for answer in answers.values()) > 0, "malformed commands must occur"
    assert sum(answer["report"]["calls"] for answer in answers.values()) > 200, "the test must exercise the relay"
    check_answers(stack, answers)


@pytest.mark.parametrize("dialect, speaks", PAIRS)
def test_each_dialect_relays_the_same(make_stack, dialect, speaks):
    flags = ["--malformed", "no"]
    stack = make_stack(dialect=dialect, speaks=speaks, slm_flags=flags)
    answers = run_many(stack, [f"{speaks}#{index}" for index in range(40)], 8)
    check_ledger(stack, answers)
    check_answers(stack, answers)


def test_fixed_policy_replaces_n(make_stack):
    stack = make_stack(slm_flags=["--malformed", "no"])
    answers = run_many(stack, [f"fixed#{index}" for index in range(30)], 8, model="fixed-3")
    check_answers(stack, answers, fixed=3)
    assert all(line["max_tokens"] <= 3 for line in stack.log if line["role"] == "llm")


@pytest.mark.parametrize("dialect", ["vllm", "llamacpp", "sglang", "openai"])
def test_without_usage_tokens_are_counted_or_estimated_and_said_to_be(make_stack, dialect):
    flags = ["--usage", "never", "--running-usage", "no", "--malformed", "no"]
    stack = make_stack(dialect=dialect, slm_flags=flags, llm_flags=flags)
    answers = run_many(stack, [f"blind#{index}" for index in range(10)], 4)
    sources = {row["source"] for row in stack.database.rows("SELECT DISTINCT source FROM segments")}
    assert sources <= {"counted", "estimated"}
    assert all(segment["source"] in sources for answer in answers.values() for segment in answer["report"]["segments"])
    check_answers(stack, answers)


def test_kill_loses_no_answer_that_a_client_has(make_stack):
    stack = make_stack(slm_flags=["--token-delay", "10ms"], llm_flags=["--token-delay", "10ms"])
    finished = []

    def ask(index):
        try:
            answer = stream(stack, f"kill#{index}", within=20)
            if answer["done"]:
                finished.append(answer)
                if len(finished) == 40:
                    stack.gateway.kill()
        except httpx.TransportError:
            pass

    with ThreadPoolExecutor(100) as pool:
        list(pool.map(ask, range(100)))
    assert 40 <= len(finished) < 100
    ids = {row["id"] for row in stack.database.rows("SELECT id FROM requests")}
    assert [answer["id"] for answer in finished if answer["id"] not in ids] == []
    stack.gateway.start()
    answers = {"again#1": stream(stack, "again#1")}
    check_answers(stack, answers)
