"""Rules of the relay that a script can show, seen from outside."""

import json

import pytest

from servers import Stack

SCRIPT = {
    "plain": {"slm": ["I think <call>3</call>", " done."], "llm": ["a b c d e f"]},
    "zero": {"slm": ["x <call>0</call>", " y."]},
    "huge": {"slm": ["x <call>99999999999999999999</call>", " y."], "llm": ["a b"]},
    "spaced": {"slm": ["x <call> 2\n</call>", " y."], "llm": [" a b c"]},
    "letters": {"slm": ["x <call>many</call>", " y."]},
    "lone": {"slm": ["x </call>", " y."]},
    "nested": {"slm": ["x <call>1<call>2</call>", " y."]},
    "expert": {"slm": ["x <call>9</call>", " y."], "llm": [{"text": " <call>5</call> z", "finish": "length"}]},
    "eos": {"slm": ["x <call>9</call>", " y."], "llm": [" z"]},
    "many": {"slm": ["a <call>1</call>"] * 4 + [" end <call>1</call>"] * 3 + [" never."], "llm": [" b c"]},
    "alone": {"slm": ["one two three."], "llm": ["four five six."]},
    "border": {"slm": ["go <call>2</call>", " on and on"], "llm": [" EN D"]},
    "stopped": {"slm": ["go EN", "x"], "llm": [" x"]},
    "first": {"slm": ["<call>8</call>", " y z."], "llm": ["a b c d e f g h i"]},
    "smile": {"slm": ["hi <call>3</call>", " bye."], "llm": ["🙂🙂"]},
}


@pytest.fixture(scope="module")
def stack(postgres, tmp_path_factory):
    stack = Stack(postgres, tmp_path_factory.mktemp("policies"), script=SCRIPT)
    yield stack
    assert stack.stop() == 0


@pytest.fixture(autouse=True)
def fresh(stack):
    stack.slm.reset()
    stack.llm.reset()


def ask(stack, marker, model="relay", **fields):
    answer = stack.chat(f"{marker}#1", model, **fields)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return body["choices"][0]["message"]["content"], body["choices"][0]["finish_reason"], body["relay"], answer


# The texts follow from the rules by hand: a command goes, of white space on both its sides one run stays.
@pytest.mark.parametrize("marker, text, calls, malformed", [
    pytest.param("plain", "I think a b c done.", 1, 0, id="C1 a command calls the expert for n tokens"),
    pytest.param("zero", "x y.", 0, 0, id="C3 n = 0 calls nobody"),
    pytest.param("huge", "x a b", 1, 0, id="C4 a huge n is the cap"),
    pytest.param("spaced", "x a b y.", 1, 0, id="C1 white space around the number"),
    pytest.param("letters", "x y.", 0, 1, id="C5 no digits"),
    pytest.param("lone", "x y.", 0, 1, id="C5 a closing tag alone"),
    pytest.param("nested", "x y.", 0, 1, id="C5 a command inside a command"),
    pytest.param("expert", "x <call>5</call> z y.", 1, 0, id="C6 the expert's command is text"),
    pytest.param("eos", "x z", 1, 0, id="T2 the expert's end ends the answer"),
])
def test_commands(stack, marker, text, calls, malformed):
    content, finish, report, answer = ask(stack, marker)
    assert (content, finish) == (text, "stop")
    assert (report["calls"], report["malformed"]) == (calls, malformed)
    row = stack.request_row(answer.headers["x-request-id"])
    assert (row["calls"], row["malformed"]) == (calls, malformed)


def test_huge_n_is_recorded_as_requested_and_granted(stack):
    _, _, report, answer = ask(stack, "huge")
    call = [row for row in stack.segment_rows(answer.headers["x-request-id"]) if row["role"] == "llm"][0]
    assert call["granted"] == 512 and call["requested"] >= 512
    assert answer.headers["x-relay-calls"] == "1"


def test_resume_gives_control_back_at_the_experts_end(stack):
    assert ask(stack, "eos", "resume")[0] == "x z y."


def test_last_turn_is_completed_not_cut(stack):
    content, finish, report, _ = ask(stack, "many")
    # Four calls of one token, then commands forbidden: three written ones are removed, after the third it ends.
    assert content == "a b" + "a b" * 3 + " end end end "
    assert report["calls"] == 4 and finish == "stop"
    assert [line["banned"] for line in stack.slm.log()] == [False] * 4 + [True] * 3


def test_fixed(stack):
    assert ask(stack, "huge", "fixed-3")[0] == "x a b"
    assert [line["max_tokens"] for line in stack.llm.log()] == [3]


@pytest.mark.parametrize("model, text, role", [("slm", "one two three.", "slm"), ("llm", "four five six.", "llm")])
def test_one_model_alone(stack, model, text, role):
    content, _, report, _ = ask(stack, "alone", model)
    assert content == text
    assert [segment["role"] for segment in report["segments"]] == [role]


def test_slm_alone_never_calls(stack):
    content, _, report, _ = ask(stack, "plain", "slm")
    assert "call>" not in content and report["calls"] == 0 and stack.llm.log() == []


def test_prompted_teaches_the_command(stack):
    content, _, report, _ = ask(stack, "plain", "prompted")
    assert content.strip() == "I think a b c done."
    assert stack.slm.log()[0]["prompt_tokens"] > 100, "the system text and examples are in the prompt"
    assert stack.llm.log()[0]["prompt_tokens"] < stack.slm.log()[0]["prompt_tokens"]


def test_other_policies_can_be_prompted_alike(stack):
    content, _, report, _ = ask(stack, "plain", "prompted-slm")
    assert "call>" not in content and report["calls"] == 0
    before = stack.slm.log()
    ask(stack, "plain", "slm")
    plain = stack.slm.log()[len(before)]
    assert before[0]["prompt_tokens"] > plain["prompt_tokens"] + 100, "the system text and examples are in the prompt"


def test_random_draws_with_its_propensity(stack):
    for _ in range(300):
        assert stack.chat("alone#1", "random-30").status_code == 200
    rows = stack.database.rows("SELECT propensity, llm_tokens > 0 AS by_llm FROM requests WHERE policy = 'random(0.3)'")
    assert len(rows) == 300
    share = sum(row["by_llm"] for row in rows) / 300
    # Five standard deviations of a share of 0.3 over 300 draws: 5 * sqrt(0.3 * 0.7 / 300) = 0.132.
    assert abs(share - 0.3) < 0.132
    assert all(abs(row["propensity"] - (0.3 if row["by_llm"] else 0.7)) < 1e-9 for row in rows)


def test_annotate_names_the_writer_of_each_chunk(stack):
    answer = stack.chat("plain#1", stream=True, relay={"annotate": True})
    chunks = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
    written = [(chunk["relay"]["role"], chunk["choices"][0]["delta"]["content"]) for chunk in chunks
               if chunk["choices"] and chunk["choices"][0]["delta"].get("content")]
    assert "".join(text for role, text in written if role == "llm").strip() == "a b c"
    assert "".join(text for _, text in written) == "I think a b c done."


def test_stop_string_across_a_segment_border(stack):
    # The client view is "go EN D on and on": the stop string lies over both writers.
    content, finish, _, _ = ask(stack, "border", stop=["EN D on"])
    assert (content, finish) == ("go ", "stop")


def test_stop_string_that_only_begins_is_shown(stack):
    assert ask(stack, "stopped", stop=["END"])[0] == "go EN"


# The command of "first" has seven tokens, which are not visible: with a limit of 7 all seven are left for the expert.
@pytest.mark.parametrize("marker, limit, text", [
    ("plain", 1, "I"), ("plain", 2, "I think"), ("first", 7, "a b c d e f g"), ("first", 8, "a b c d e f g h"),
    ("first", 9, "a b c d e f g h y"),
])
def test_max_tokens_limits_visible_tokens(stack, marker, limit, text):
    content, finish, _, answer = ask(stack, marker, max_tokens=limit)
    assert (content, finish) == (text, "length")
    assert stack.request_row(answer.headers["x-request-id"])["visible_tokens"] == limit


def test_half_a_character_is_not_shown_and_is_counted(stack):
    # Three of the four byte tokens of the first smile are granted.
    content, _, report, _ = ask(stack, "smile")
    assert content == "hi bye."
    assert report["llm_tokens"] == 3


def test_whole_usage_is_of_visible_tokens(stack):
    answer = stack.chat("plain#1").json()
    report = answer["relay"]
    total = report["slm_tokens"] + report["llm_tokens"]
    assert answer["usage"]["completion_tokens"] == total - report["command_tokens"]
    assert report["call_ratio"] == pytest.approx(report["llm_tokens"] / total, abs=1e-6)
