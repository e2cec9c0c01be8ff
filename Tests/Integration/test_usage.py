"""Usage as operators report it and as tenants ask for it.

Most tests write the rows of hours themselves, so that what must come out is arithmetic.
"""

import csv
import io
import json
import subprocess
import threading
import time

import httpx
import pytest

from budgets import SCRIPT
from metering import fill
from servers import require, wait_for

@pytest.fixture
def stack(make_stack):
    return make_stack()


def reader(stack, tenant="acme"):
    """A key of a tenant that may read usage."""
    return json.loads(
        stack.gateway.tool("key", "create", "--tenant", tenant, "--scope", "usage.read", "--json"))["key"]


def ask(stack, key, **parameters):
    return httpx.get(stack.gateway.url + "/v1/usage", params=parameters, timeout=20,
                     headers={"authorization": f"Bearer {key}"})


RANGE = {"from": "2026-10-25", "to": "2026-10-26"}


def test_a_tenant_reads_its_own_usage_and_nobody_elses(stack):
    stack.gateway.tool("tenant", "create", "other")
    other = reader(stack, "other")
    mine = reader(stack)
    fill(stack)
    answer = ask(stack, mine, by="hour", **RANGE)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    report = answer.json()
    assert [row["hour"] for row in report["rows"]] == [f"2026-10-25T{hour}:00+00:00" for hour in (10, 11, 12)]
    row = report["rows"][0]
    assert (row["requests"], row["degraded"], row["refused"], row["calls"]) == (2, 1, 7, 3)
    # 30 / (10 + 30)
    assert (row["slm_tokens"], row["llm_tokens"], row["call_ratio"]) == (10, 30, 0.75)
    assert row["cost_usd"] == "0.000000000005"
    # 1300 ms is in the bucket from 2^(41/4) = 1217.7 to 2^(42/4) = 1448.2 ms, whose middle is 2^(41.5/4) = 1327.9 ms.
    assert row["latency_p50_ms"] == row["latency_p95_ms"] == 1328.0
    totals = report["totals"]
    assert (totals["requests"], totals["llm_tokens"], totals["cost_usd"]) == (6, 90, "0.000000000015")

    for parameters in ({"by": "hour"}, {"by": "key"}, {"by": "model"}, {"by": "tag:team"}):
        nothing = ask(stack, other, **parameters, **RANGE)
        assert nothing.status_code == 200
        assert nothing.json()["rows"] == [] and nothing.json()["totals"]["requests"] == 0
    # Neither can one ask for another tenant.
    for by in ("tenant", "upstream", "role"):
        assert ask(stack, other, by=by, **RANGE).status_code == 400
    assert ask(stack, other, tenant="acme", **RANGE).status_code == 400


def test_days_are_those_of_the_time_zone(stack):
    key = reader(stack)
    fill(stack, hours=14)
    # 10:00 to 23:00 UTC; clocks in Berlin went back that night, so that 23:00 UTC is the next day's midnight.
    days = ask(stack, key, by="day", timezone="Europe/Berlin", **{"from": "2026-10-25"}).json()
    assert days["from"] == "2026-10-25T00:00+02:00"
    assert [(row["day"], row["requests"]) for row in days["rows"]] == [("2026-10-25", 26), ("2026-10-26", 2)]


def test_usage_needs_its_scope_and_whole_questions(stack):
    refused = ask(stack, stack.key)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "permission_denied")
    assert ask(stack, "sk-relay-nonsense").status_code == 401
    key = reader(stack)
    cases = [
        ({"from": "tomorrow"}, "from"), ({"from": "2026-10-25T10:30"}, "from"), ({"to": "2020-01-01"}, "from"),
        ({"by": "week"}, "by"), ({"by": ""}, "by"), ({"timezone": "CET"}, "timezone"),
        ({"timezone": "Asia/Kolkata"}, "timezone"), ({"timezone": "Europe/Berln"}, "timezone"), ({"limit": "3"}, "limit"),
    ]
    for parameters, name in cases:
        answer = ask(stack, key, **parameters)
        assert answer.status_code == 400, parameters
        assert answer.json()["error"]["param"] == name, answer.text
        assert answer.headers["x-request-id"]
    twice = httpx.get(stack.gateway.url + "/v1/usage?by=day&by=hour", headers={"authorization": f"Bearer {key}"})
    assert (twice.status_code, twice.json()["error"]["code"]) == (400, "duplicate_parameter")
    assert stack.post("/v1/usage", key=key, json={}).status_code == 405
    assert ask(stack, key).json()["rows"] == []


def test_a_slow_database_is_503_one_tenant_has_two_reports_at_a_time_and_the_loop_goes_on(stack):
    key = reader(stack)
    assert ask(stack, key).status_code == 200
    held = stack.database.hold("LOCK TABLE usage_requests IN ACCESS EXCLUSIVE MODE", 6)
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(ask(stack, key))) for _ in range(2)]
    for thread in threads:
        thread.start()
    wait_for(lambda: stack.database.rows(
        "SELECT count(*) = 2 AS both FROM pg_locks WHERE relation = 'usage_requests'::regclass AND NOT granted")[0]["both"],
        5, "the reports do not wait for the lock")
    began = time.monotonic()
    third = ask(stack, key)
    assert (third.status_code, third.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert third.headers["retry-after"] == "1"
    assert httpx.get(stack.gateway.url + "/health/liveness").status_code == 200
    assert time.monotonic() - began < 3
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [503, 503]
    held.wait()
    assert ask(stack, key).status_code == 200


def usage(stack, *arguments):
    return stack.gateway.tool("usage", *arguments, "--from", "2026-10-25", "--to", "2026-10-26")


def test_every_format_says_the_same(stack):
    fill(stack)
    fill(stack, hours=2, tags='{"team": "=1+1"}', model="slm, \"x\"")
    rows = list(csv.reader(io.StringIO(usage(stack, "--by", "model,tag:team", "--format", "csv"))))
    head = rows[0]
    cells = [dict(zip(head, row)) for row in rows[1:]]
    # What a spreadsheet would run as a formula is a text.
    assert [(cell["row"], cell["model"], cell["tag:team"]) for cell in cells] == [
        ("group", "relay", ""), ("group", 'slm, "x"', "'=1+1"), ("total", "", "")]
    assert [cell["requests"] for cell in cells] == ["6", "4", "10"]
    assert [cell["cost_usd"] for cell in cells] == ["0.000000000015", "0.000000000010", "0.000000000025"]
    assert [cell["refused"] for cell in cells] == ["", "", ""]
    whole = json.loads(usage(stack, "--by", "model,tag:team", "--format", "json"))
    lines = [json.loads(line) for line in usage(stack, "--by", "model,tag:team", "--format", "jsonl").splitlines()]
    assert [line["row"] for line in lines] == ["group", "group", "total"]
    assert lines[:2] == whole["rows"]
    assert {**lines[2], **whole["totals"]} == lines[2]
    for cell, line in zip(cells, lines):
        for name in ("requests", "llm_tokens", "call_ratio", "latency_p95_ms"):
            assert float(cell[name]) == line[name]
    assert lines[1]["tag:team"] == "=1+1"
    table = usage(stack, "--by", "model,tag:team")
    assert "usage from 2026-10-25T00:00+00:00 to 2026-10-26T00:00+00:00 (UTC)" in table
    assert table.splitlines()[-1].split()[:3] == ["total", "10", "5"]
    markdown = usage(stack, "--format", "markdown").splitlines()
    assert markdown[1].startswith("| --- | ---: |")
    assert len({line.count(" |") for line in markdown}) == 1


def test_a_tag_that_nothing_has_is_told(stack):
    fill(stack)
    fill(stack, hours=2, tags='{"team": "search"}')
    call = [require("relaygate"), "usage", "--by", "tag:team,tag:taem", "--from", "2026-10-25", "--to", "2026-10-26",
            "--config", str(stack.gateway.path)]
    found = subprocess.run(call, capture_output=True, text=True, timeout=60, check=True)
    assert found.stderr.startswith("note: no row has a value of tag:taem:") and found.stderr.count("\n") == 1
    assert found.stdout.splitlines()[-1].startswith("total")
    # The row that is left without a tag is not all there is.
    found = subprocess.run([*call[:3], "tag:team", "--top", "1", *call[4:]], capture_output=True, text=True, timeout=60)
    assert "other rows (1)" in found.stdout and found.stderr == ""


def test_the_rest_behind_the_top_is_one_row(stack):
    fill(stack, hours=1)
    fill(stack, hours=2, model="slm")
    fill(stack, hours=3, model="llm")
    rows = [json.loads(line) for line in
            usage(stack, "--by", "model", "--top", "1", "--format", "jsonl").splitlines()]
    assert [(row["row"], row["model"], row["llm_tokens"]) for row in rows] == [
        ("group", "llm", 90), ("others", None, 90), ("total", None, 180)]
    assert "other rows (2)" in usage(stack, "--by", "model", "--top", "1")


def test_reports_read_the_replica_unless_told_otherwise(make_stack, postgres):
    copy = postgres.create_database()
    stack = make_stack(config=None)
    stack.gateway.config["postgres"]["replica"] = copy.url
    stack.gateway.path.write_text(json.dumps(stack.gateway.config))
    fill(stack)
    assert "the database lacks a migration" in stack.gateway.refused_tool("usage")
    assert " 6 " in stack.gateway.tool("usage", "--primary", "--from", "2026-10-25", "--to", "2026-10-26")


def test_what_was_served_is_what_is_reported_and_billed(make_stack):
    stack = make_stack(script=SCRIPT)
    stack.database.server.psql(stack.database.name, """
        INSERT INTO prices (model, effective_from, input, output, actor, reason) VALUES
            ('fake-slm', '2026-01-01', 1000000, 2000000, 'test', ''), ('fake-llm', '2026-01-01', 3000000, 5000000, 'test', '')""")
    key = reader(stack)
    reports = [stack.chat(f"ten#{number}").json()["relay"] for number in range(3)]
    totals = ask(stack, key, by="model", **{"from": "today"}).json()["totals"]
    assert totals["requests"] == 3
    for name in ("calls", "slm_tokens", "llm_tokens", "command_tokens"):
        assert totals[name] == sum(report[name] for report in reports)
    assert totals["latency_p50_ms"] > 0 and totals["first_token_p95_ms"] > 0
    cost = stack.database.rows("SELECT sum(cost_pico)::text AS pico, count(*) - count(cost_pico) AS unpriced FROM segments")[0]
    assert totals["unpriced_segments"] == cost["unpriced"] == 0
    assert totals["cost_usd"] == f"{int(cost['pico']) // 10**12}.{int(cost['pico']) % 10**12:012d}"
    month = time.strftime("%Y-%m", time.gmtime())
    statement = json.loads(
        stack.gateway.tool("usage", "statement", "--tenant", "acme", "--month", month, "--format", "json"))
    assert statement["total_usd"] == totals["cost_usd"]
    assert statement["requests"] == 3 and statement["unpriced"] == [] and not statement["is_over"]
    page = stack.directory / "statement.html"
    stack.gateway.tool("usage", "statement", "--tenant", "acme", "--month", month, "--format", "html", "--output", str(page))
    html = page.read_text()
    assert statement["total_usd"] in html
    assert "<script" not in html and "http" not in html.replace('http-equiv="Content-Security-Policy"', "")
