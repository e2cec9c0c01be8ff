"""What callers say of their requests, kept as far as their tenant has chosen."""

import json
import subprocess
import time

import httpx
import pytest

from budgets import effective
from servers import require, wait_for

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
    request = stack.database.rows("SELECT id FROM requests ORDER BY id LIMIT 1")[0]["id"]
    assert "\ntags      cost center=7, team=red, user=ada\n" in stack.gateway.tool("trace", "show", request)
    # The models get what the caller sent.
    usage = stack.database.rows(
        "SELECT coalesce(nullif(tags, '')::jsonb ->> 'team', '') AS team, sum(requests) AS requests "
        "FROM usage_of_requests GROUP BY 1 ORDER BY 1")
    assert [(row["team"], row["requests"]) for row in usage] == [("", 1), ("5", 1), ("blue", 1), ("red", 1)]


def test_a_chosen_member_is_found_wherever_it_stands(stack):
    stack.gateway.tool("tenant", "tags", "acme", "team")
    effective()
    stack.chat("ten#0", metadata={**{f"m{number}": "x" for number in range(400)}, "team": "red"})
    body = '{"model":"slm","metadata":{"team":"a","team":"b"},"messages":[{"role":"user","content":"[[ten#1]]"}]}'
    assert stack.post(content=body, headers={"content-type": "application/json"}).status_code == 200
    assert [row["tags"] for row in stack.database.rows("SELECT tags FROM requests ORDER BY id")] == [
        {"team": "red"}, {"team": "b"}]


def test_text_is_forgotten_by_its_user_who_is_no_tag(stack):
    stack.gateway.tool("tenant", "tags", "acme", "team")
    stack.gateway.tool("tenant", "capture", "acme", "text")
    effective()
    texts = ("SELECT r.tags ->> 'user' AS who, count(p.body) AS n FROM requests r LEFT JOIN payloads p ON p.request_id = r.id "
             "GROUP BY 1 ORDER BY 1")
    for number, user in enumerate(("u-98", "u-99")):
        stack.chat(f"ten#{number}", user=user)
    held = {row["who"]: row["n"] for row in stack.database.rows(texts)}
    assert set(held) == {"u-98", "u-99"} and min(held.values()) > 0
    forget = [require("relaygate"), "tenant", "forget", "acme", "--yes", "--config", str(stack.gateway.path), "--user"]
    done = subprocess.run([*forget, "u-99"], capture_output=True, text=True, check=True)
    assert done.stderr == "" and "tags of 1 request(s)" in done.stdout
    assert {row["who"]: row["n"] for row in stack.database.rows(texts)} == {"u-98": held["u-98"], None: 0}
    # Again, or a mistyped one: nobody is told that something was done.
    for user in ("u-99", "u-100"):
        done = subprocess.run([*forget, user], capture_output=True, text=True, check=True)
        assert done.stderr.startswith(f'note: nothing of user "{user}" was found')
    # It is kept for that and is no dimension of reports, which the tenant has not chosen.
    assert [row["tags"] for row in stack.database.rows("SELECT DISTINCT tags FROM usage_of_requests")] == [""]


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
    for keys in ("", "a,a", ",", "a,b,c,d,e,f,g,h,i", "x" * 65, "\u4e00" * 43, "a\tb"):
        assert "keys" in stack.gateway.refused_tool("tenant", "tags", "acme", keys)
    assert "at most 128 bytes each" in stack.gateway.refused_tool("tenant", "tags", "acme", "\u4e00" * 43)
    # 42 * 3 + 2 = 128 bytes.
    assert "tags xx" in stack.gateway.tool("tenant", "tags", "acme", "xx" + "\u4e00" * 42)
    assert "tags none" in stack.gateway.tool("tenant", "tags", "acme", "none")


def deltas(stack):
    return stack.database.rows("SELECT count(*) AS n FROM usage_request_deltas")[0]["n"]


def test_the_longest_tags_do_not_stop_the_adding_up(stack):
    # 1 + 31 * 4 = 125 bytes each, and values of 32 * 4 = 128, none of which gets shorter by compression.
    emoji = [chr(0x1F300 + number) for number in range(512)]
    keys = [f"{number}" + "".join(emoji[number * 31:number * 31 + 31]) for number in range(8)]
    stack.gateway.tool("tenant", "tags", "acme", ",".join(keys))
    effective()
    stack.chat("ten#0", metadata={key: "".join(emoji[number * 32 + 200:number * 32 + 232]) for number, key in enumerate(keys)})
    stack.chat("ten#1")
    wait_for(lambda: deltas(stack) == 0, 15, "usage was not added up")
    assert stack.database.rows("SELECT sum(requests) AS n FROM usage_request_days") == [{"n": 2}]
    label = stack.database.rows("SELECT tags FROM usage_request_days WHERE tags <> ''")[0]["tags"]
    told = json.loads(label)
    # With all eight as other 8 * (125 + 5 + 6) + 16 = 1104 bytes; each value takes 123 more: four fit into 1600.
    assert len(label.encode()) == 1104 + 4 * 123
    assert [key for key in keys if told[key] != "other"] == keys[:4]


def test_a_gateway_tells_of_usage_that_cannot_be_added_up(stack):
    stack.chat("ten#0")
    wait_for(lambda: deltas(stack) == 0, 15, "usage was not added up")
    assert "relaygate_usage_failing 0\n" in httpx.get(stack.gateway.url + "/metrics").text
    stack.database.server.psql(stack.database.name, """
        INSERT INTO usage_request_deltas SELECT gen_random_uuid(), hour, key_id, model, policy,
            (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 400) n), 1, 0, 0, 0, 0, 0, 0 FROM usage_requests""")
    wait_for(lambda: "relaygate_usage_failing 1\n" in httpx.get(stack.gateway.url + "/metrics").text, 15, "no metric")
    stack.chat("ten#1")
    wait_for(lambda: deltas(stack) == 1, 15, "other tenants' usage was not added up")
    said = stack.gateway.refused_tool("ledger", "status")
    assert "usage cannot be added up since" in said and "1 row(s) wait" in said and "54000" in said
    assert json.loads(stack.gateway.tool("ledger", "status", "--json", check=False))["usage_failing"]
    stack.database.server.psql(stack.database.name, "DELETE FROM usage_request_deltas")
    wait_for(lambda: "usage is added up again" in stack.gateway.log_path.read_text(), 15, "it does not recover")
    assert stack.gateway.log_path.read_text().count("usage cannot be added up") == 1
    assert "usage cannot" not in stack.gateway.tool("ledger", "status")
