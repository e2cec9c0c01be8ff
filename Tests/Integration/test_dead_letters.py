"""Records that the tables refuse: told of, charged once, and written when they are tried again."""

import json
import subprocess
import time

import pytest

from budgets import SCRIPT, audit, effective, set_budget, settled
from servers import require, wait_for


@pytest.fixture
def stack(make_stack):
    return make_stack(script=SCRIPT)


def call(stack, *arguments):
    return subprocess.run([require("relaygate"), *arguments, "--config", str(stack.gateway.path)], capture_output=True,
                          text=True, timeout=60)


def refuse(stack, refuses):
    """Makes the table of requests refuse all that come, or take them again."""
    change = "ADD CONSTRAINT none CHECK (calls > 99) NOT VALID" if refuses else "DROP CONSTRAINT none"
    stack.database.server.psql(stack.database.name, f"ALTER TABLE requests {change}")


def test_a_refused_record_is_told_of_and_written_once(stack):
    set_budget(stack, 1000)
    effective()
    stack.chat("ten#0")
    refuse(stack, True)
    answer = stack.chat("ten#1")
    refuse(stack, False)
    assert answer.json()["relay"]["cost"] is None
    letters = json.loads(stack.gateway.tool("ledger", "dead-letters", "list", "--json"))
    assert [(letter["tenant"], letter["sqlstate"], letter["charged"], letter["obstacle"]) for letter in letters] == [
        ("acme", "23514", 10, None)]
    request = letters[0]["request_id"]
    assert request == answer.headers["x-request-id"] == letters[0]["record"]["id"]
    # Everybody who would miss it is told.
    lines = [line for line in stack.gateway.log_path.read_text().splitlines() if "the tables refused a request" in line]
    assert len(lines) == 1 and request in lines[0] and "23514" in lines[0]
    assert f"dead-letters show {request}" in stack.gateway.refused_tool("trace", "show", request)
    assert "dead-letters list" in stack.gateway.refused_tool("ledger", "status")
    shown = stack.gateway.tool("ledger", "dead-letters", "show", request)
    assert "charged   10 " in shown and f"retry {request}" in shown and '"llm_tokens":10' in shown
    stack.gateway.tool("tenant", "create", "globex")
    for options, notes in (([], 1), (["--tenant", "acme"], 1), (["--tenant", "globex"], 0),
                           (["--from", "2025-01-01", "--to", "2025-02-01"], 0)):
        done = call(stack, "usage", *options)
        assert done.returncode == 0 and done.stderr.count("note: 1 request(s) of this range lie in the dead letters") == notes
    month = time.strftime("%Y-%m", time.gmtime())
    for tenant, notes in (("acme", 1), ("globex", 0)):
        done = call(stack, "usage", "statement", "--tenant", tenant, "--month", month)
        assert done.returncode == 0 and done.stderr.count("note: 1 request(s) of this range lie in the dead letters") == notes
    # Its budget was charged when it was refused, and is not charged again.
    used = wait_for(lambda: settled(stack)["used"], 10)
    assert used == 20
    said = stack.gateway.tool("ledger", "dead-letters", "retry", request)
    assert said == f"{request}: written\n"
    assert settled(stack)["used"] == 20
    assert stack.database.rows("SELECT sum(charged) AS n, count(*) AS rows FROM charges") == [{"n": 20, "rows": 2}]
    assert stack.database.rows("SELECT sum(requests) AS n, sum(calls) AS calls FROM usage_of_requests") == [{"n": 2, "calls": 2}]
    assert request in stack.gateway.tool("trace", "show", request)
    assert call(stack, "usage").stderr == ""
    audit(stack)
    assert stack.gateway.tool("ledger", "dead-letters", "retry") == "no dead letters\n"
    assert stack.gateway.tool("ledger", "dead-letters", "list") == "no dead letters\n"
    assert "no dead letter is of request" in stack.gateway.refused_tool("ledger", "dead-letters", "retry", request)


def test_what_stays_refused_ends_with_status_1(stack):
    refuse(stack, True)
    request = stack.chat("alone#0").headers["x-request-id"]
    done = call(stack, "ledger", "dead-letters", "retry", "--json")
    assert done.returncode == 1 and "1 record(s) stay dead letters" in done.stderr
    assert json.loads(done.stdout) == [
        {"request_id": request, "outcome": "refused", "reason": "the tables refuse it still (SQLSTATE 23514)"}]
    assert call(stack, "ledger", "dead-letters", "show", "nonsense").returncode == 64
