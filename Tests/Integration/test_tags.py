"""What callers say of their requests, kept as far as their tenant has chosen."""

import time

import pytest

from budgets import effective

SCRIPT = {"ten": {"slm": ["Well <call>10</call>", " so."], "llm": ["a b c d e f g h i j k l m n o p"]}}


@pytest.fixture
def stack(make_stack):
    return make_stack(script=SCRIPT)


def test_chosen_members_of_metadata_and_user_are_kept_and_counted(stack):
    stack.gateway.tool("tenant", "tags", "acme", "team,user,cost center")
    effective()
    stack.chat("ten#0", metadata={"team": "red", "secret": "no", "cost center": "7"}, user="ada")
    stack.chat("ten#1", metadata={"team": "blue"})
    stack.chat("ten#2", metadata={"team": 5, "nested": {"x": 1}})
    stack.chat("ten#3")
    rows = stack.database.rows("SELECT tags FROM requests ORDER BY id")
    assert [row["tags"] for row in rows] == [
        {"team": "red", "user": "ada", "cost center": "7"}, {"team": "blue"}, {"team": "5"}, {}]
    # The models get what the caller sent.
    usage = stack.database.rows(
        "SELECT coalesce(nullif(tags, '')::jsonb ->> 'team', '') AS team, sum(requests) AS requests "
        "FROM usage_of_requests GROUP BY 1 ORDER BY 1")
    assert [(row["team"], row["requests"]) for row in usage] == [("", 1), ("5", 1), ("blue", 1), ("red", 1)]


def test_values_beyond_the_limit_are_other(stack):
    stack.gateway.tool("tenant", "tags", "acme", "team", "--limit", "3")
    effective()
    for number in range(6):
        stack.chat(f"ten#{number}", metadata={"team": f"t{number}"})
    stack.chat("ten#6", metadata={"team": "t1"})
    usage = stack.database.rows(
        "SELECT tags::jsonb ->> 'team' AS team, sum(requests) AS requests FROM usage_of_requests GROUP BY 1 ORDER BY 1")
    # The first three keep their names; the other three of six are one.
    assert {row["team"]: row["requests"] for row in usage} == {"other": 3, "t0": 1, "t1": 2, "t2": 1}


def test_refused_requests_are_counted_by_code(stack):
    stack.gateway.tool("limit", "set", "acme", "--concurrent", "0")
    effective()
    for number in range(4):
        assert stack.chat(f"ten#{number}").status_code == 429
    assert stack.chat("ten#9", model="no such model").status_code == 404
    deadline = time.monotonic() + 8
    while True:
        rows = stack.database.rows("SELECT model, code, sum(requests) AS n FROM usage_refusals GROUP BY 1, 2 ORDER BY 1")
        if len(rows) == 2 or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    assert [(row["model"], row["code"], row["n"]) for row in rows] == [
        ("", "model_not_found", 1), ("relay", "rate_limit_exceeded", 4)]


def test_bad_keys_are_refused_by_the_tool(stack):
    for keys in ("", "a,a", ",", "a,b,c,d,e,f,g,h,i", "x" * 65):
        assert "keys" in stack.gateway.refused_tool("tenant", "tags", "acme", keys)
    assert "tags none" in stack.gateway.tool("tenant", "tags", "acme", "none")
