"""The fake alone: what the other tests rest on."""

import time

import httpx
import pytest

from reference_relay import relay
from servers import Fake

PROMPT = "<|im_start|>user\nHow many apples?<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture
def make_fake(tmp_path):
    fakes = []

    def make(role="slm", dialect="vllm", **options):
        fakes.append(Fake(role, dialect, tmp_path, **options))
        return fakes[-1]

    yield make
    for fake in fakes:
        assert fake.stop() == 0


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("step", [1, 2, 7])
def test_hash_model_goes_on_the_same_whatever_the_chunks(make_fake, seed, step):
    fake = make_fake()
    whole = fake.complete(prompt=PROMPT, seed=seed, max_tokens=60)["choices"][0]
    text, limit = "", step
    while True:
        choice = fake.complete(prompt=PROMPT + text, seed=seed, max_tokens=limit)["choices"][0]
        piece = choice["text"].removesuffix("\ufffd")
        # A character that was cut is asked for again with more room.
        text, limit = text + piece, step if piece else limit + 1
        if choice["finish_reason"] == "stop" or len(text.encode()) >= len(whole["text"].encode()):
            break
    size = len(whole["text"].removesuffix("\ufffd"))
    assert text[:size] == whole["text"].removesuffix("\ufffd")


def test_script_plays_its_turns_in_order_and_repeats_the_last(make_fake):
    fake = make_fake(script={"two": {"slm": ["first", "second"]}})
    prompts = ["[[two#1]]", "[[two#1]]", "[[two#2]]", "[[two#1]]"]
    texts = [fake.complete(prompt=prompt)["choices"][0]["text"] for prompt in prompts]
    assert texts == ["first", "second", "first", "second"]


def test_truth_log_counts_what_usage_hides(make_fake):
    fake = make_fake(script={"lie": {"slm": [{"text": "one two", "usage": "x100"}]}})
    usage = fake.complete(prompt="[[lie#1]]")["usage"]
    # Two words and the end of the sequence.
    assert usage["completion_tokens"] == 300
    assert [line["generated_tokens"] for line in fake.log()] == [3]


def test_leaving_client_is_in_the_truth_log(make_fake):
    script = {"long": {"slm": [{"text": "a ", "faults": {"endless": True}}]}}
    fake = make_fake(flags=["--token-delay", "5ms"], script=script)
    with httpx.stream("POST", fake.url + "/v1/completions", json={"prompt": "[[long#1]]", "stream": True}) as stream:
        next(stream.iter_lines())
    for _ in range(100):
        if log := fake.log():
            break
        time.sleep(0.01)
    assert log[0]["client_left"] and log[0]["sent_tokens"] < 50


def test_reference_relay_calls_the_expert_and_shows_no_command(make_fake):
    slm, llm = make_fake("slm"), make_fake("llm")
    prompts = [PROMPT.replace("apples", f"apples {index}") for index in range(40)]
    answers = [relay(slm, llm, prompt, {"bad_words": ["<call>"]}) for prompt in prompts]
    assert not any("<call>" in answer or "</call>" in answer for answer in answers)
    assert len(set(answers)) > 30
    assert len(llm.log()) > 40, "about three calls a request are expected"
    assert any(line["banned"] for line in slm.log()), "some request must reach its last turn"
