"""The openai package, unchanged, against the gateway."""

import openai
import pytest

from servers import Stack

SCRIPT = {
    "hi": {"slm": ["Let me see. <call>3</call>", " So it is four."], "llm": ["one two three four"]},
    "limited": {"slm": [{"text": "", "faults": {"status": 429}}]},
}
ANSWER = "Let me see. one two three So it is four."
MESSAGES = [{"role": "user", "content": "[[hi#1]] Question."}]


@pytest.fixture(scope="module")
def stack(postgres, tmp_path_factory):
    stack = Stack(postgres, tmp_path_factory.mktemp("openai"), script=SCRIPT)
    yield stack
    assert stack.stop() == 0


@pytest.fixture
def client(stack):
    stack.slm.reset()
    stack.llm.reset()
    return stack.client()


def test_chat(client):
    answer = client.chat.completions.create(model="relay", messages=MESSAGES)
    assert answer.choices[0].message.content == ANSWER
    assert answer.choices[0].finish_reason == "stop"
    assert answer.object == "chat.completion"
    report = answer.model_extra["relay"]
    # The SLM's second turn ends by itself, and the end of the sequence is a token.
    assert (report["calls"], report["llm_tokens"], report["degraded"]) == (1, 3, None)
    assert [segment["role"] for segment in report["segments"]] == ["slm", "llm", "slm"]
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_chat_stream(client):
    chunks = list(client.chat.completions.create(model="relay", messages=MESSAGES, stream=True))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == ANSWER
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert len({chunk.id for chunk in chunks}) == 1
    assert "relay" in chunks[-1].model_extra
    assert all(chunk.usage is None for chunk in chunks)


def test_include_usage_puts_usage_and_report_in_the_last_chunk(client):
    chunks = list(client.chat.completions.create(
        model="relay", messages=MESSAGES, stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens > 0
    assert chunks[-1].model_extra["relay"]["calls"] == 1


def test_completions(client):
    answer = client.completions.create(model="relay", prompt="[[hi#1]] Question.")
    assert answer.choices[0].text == ANSWER
    assert answer.object == "text_completion"


def test_completions_stream(client):
    chunks = client.completions.create(model="relay", prompt="[[hi#1]] Question.", stream=True)
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == ANSWER


def test_models(client):
    names = [model.id for model in client.models.list()]
    assert {"relay", "slm", "llm", "fixed-3"} <= set(names)


def test_two_choices(client):
    messages = [{"role": "user", "content": "How many apples? [[free#1]]"}]
    answer = client.chat.completions.create(model="relay", messages=messages, n=2)
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert not any("call>" in choice.message.content for choice in answer.choices)


def test_two_choices_streamed(client):
    messages = [{"role": "user", "content": "How many apples? [[free#2]]"}]
    finishes = {}
    for chunk in client.chat.completions.create(model="relay", messages=messages, n=2, stream=True):
        for choice in chunk.choices:
            if choice.finish_reason:
                assert finishes.setdefault(choice.index, choice.finish_reason) == choice.finish_reason
    assert set(finishes) == {0, 1}


def test_bad_parameter_names_itself(client):
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model="relay", messages=MESSAGES, n=0)
    assert raised.value.body["param"] == "n"


def test_unknown_key(stack):
    with pytest.raises(openai.AuthenticationError) as raised:
        stack.client(key="sk-relay-nobody").models.list()
    assert raised.value.body["code"] == "invalid_api_key"


def test_unknown_model(client):
    with pytest.raises(openai.NotFoundError) as raised:
        client.chat.completions.create(model="nobody", messages=MESSAGES)
    assert raised.value.body["code"] == "model_not_found"


def test_upstream_rate_limit_is_passed_on(client):
    with pytest.raises(openai.RateLimitError):
        client.chat.completions.create(model="relay", messages=[{"role": "user", "content": "[[limited#1]]"}])


def test_no_upstream_is_unavailable(make_stack):
    stack = make_stack(script=SCRIPT)
    stack.slm.stop()
    with pytest.raises(openai.InternalServerError) as raised:
        stack.client().chat.completions.create(model="relay", messages=MESSAGES)
    assert raised.value.status_code == 503
