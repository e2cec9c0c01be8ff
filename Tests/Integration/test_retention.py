"""Keeping the ledger from growing for ever, as its operator sees it."""

import json
import subprocess
import time

import httpx
import pytest

from servers import require, wait_for
from traces import START, audit, count_usage, fill, installation


def days_since(milliseconds):
    return int((time.time() * 1000 - milliseconds) / 86_400_000)


@pytest.fixture
def ledger(postgres, tmp_path):
    """Requests of March and April 2025, twelve hours apart, from the 10th of March on; those of March are over for longer
    than the retention, those of April not."""
    keep = days_since(START) - 30
    tool = installation(postgres, tmp_path / "one", retention={"segments": f"{keep}d"})
    fill(tool, 60, step_ms=12 * 3600 * 1000)
    count_usage(tool)
    audit(tool)
    return tool


def test_months_are_pruned_by_hand(ledger, postgres, tmp_path):
    # From the 10th to the 31st of March there are 22 days of two requests.
    steps = json.loads(ledger.tool("ledger", "prune", "--dry-run", "--json"))
    assert [(step["what"], step["month"], step["outcome"]) for step in steps] == [
        (what, "2025-03", "due") for what in ("requests", "segments", "charges", "payloads")]
    assert steps[0]["rows"] == 44
    lines = ledger.tool("trace", "export").splitlines()
    assert len(lines) == 60
    said = ledger.tool("ledger", "prune")
    assert "requests of 2025-03: 44 row(s) deleted" in said
    assert ledger.tool("trace", "export").splitlines() == lines[44:]
    audit(ledger)
    # Usage is kept for ever, and so are verdicts.
    assert ledger.database.rows("SELECT sum(requests) AS n FROM usage_of_requests") == [{"n": 60}]
    assert ledger.database.rows("SELECT count(*) AS n FROM verdicts") == [{"n": 36}]
    assert ledger.tool("ledger", "prune") == "nothing is older than the retention\n"
    # Who reads requests is told what is missing: March, not April. Reports of sums miss nothing.
    warning = "requests of 2025-03 (UTC) were pruned and are missing here; `relaygate usage` still counts them"
    prices = tmp_path / "prices.json"
    prices.write_text('[{"model": "small", "input": 1, "output": 1}]')
    for reader in (("trace", "export"), ("price", "simulate", str(prices))):
        assert said_beside(ledger, *reader, "--from", "2025-03-31") == f"note: {warning}\n"
        assert said_beside(ledger, *reader, "--from", "2025-04-01") == ""
    simulation = ("simulate", "--ledger", "--policy", "slm", "--verdict-source", "tests", "--format", "json", "--from")
    assert warning in json.loads(ledger.tool(*simulation, "2025-03-31"))["warnings"]
    assert warning not in json.loads(ledger.tool(*simulation, "2025-04-01"))["warnings"]
    partial = ("--partial", str(tmp_path / "part"))
    assert said_beside(ledger, *simulation, "2025-03-31", *partial) == f"note: {warning}\n"
    # March has no bill any more, nor has April in Berlin, where it begins at 22:00 UTC of March 31.
    bill = ("usage", "statement", "--tenant", "acme", "--month")
    for month, zone in (("2025-03", "UTC"), ("2025-04", "Europe/Berlin")):
        said = ledger.refused_tool(*bill, month, "--timezone", zone)
        assert f"requests of 2025-03 (UTC) were pruned, and the statement of {month} in {zone} needs them" in said
        # The command that it names has the sums: of 22 days, or of the 8 in April (from 00:00 and 12:00, two a day).
        command = said.split("`relaygate ")[1].split("`")[0].split()
        found = json.loads(ledger.tool(*command, "--format", "json"))
        assert found["totals"]["requests"] == {"2025-03": 44, "2025-04": 16}[month]
    assert json.loads(ledger.tool(*bill, "2025-04", "--format", "json"))["requests"] == 16
    # What is gone and still counted cannot come in again.
    path = tmp_path / "old.jsonl"
    path.write_text("\n".join(lines))
    said = ledger.refused_tool("trace", "import", str(path), "--key", ledger.key)
    assert "line 1: arrived_ms lies in a month that was pruned here" in said


def said_beside(tool, *arguments):
    """What a command that succeeds writes to standard error."""
    call = [require("relaygate"), *arguments, "--config", str(tool.path)]
    return subprocess.run(call, capture_output=True, text=True, timeout=60, check=True).stderr


def test_without_retention_everything_is_kept(postgres, tmp_path):
    tool = installation(postgres, tmp_path / "one")
    assert "everything is kept" in tool.tool("ledger", "prune")


@pytest.mark.parametrize("retention, message", [
    ({"segments": "61d"}, "retention.segments: must be from 62d"), ({"payloads": "1m"}, "retention.payloads: must be from 1h"),
    ({"segments": "long"}, "retention.segments: must be a duration"), ({"verdicts": "9d"}, "verdicts"),
    ({"lease_events": "1d"}, "retention.lease_events: must be from 7d"),
])
def test_bad_retentions_are_named(postgres, tmp_path, retention, message):
    tool = installation(postgres, tmp_path / "one")
    config = json.loads(tool.path.read_text())
    tool.path.write_text(json.dumps({**config, "retention": retention}))
    assert message in tool.refused_tool("config", "check")


def test_the_status_tells(ledger):
    status = json.loads(ledger.tool("ledger", "status", "--json"))
    assert status["oldest"] == "2025-03-10T00:00:00Z"
    assert status["months_ahead"] == 3 and status["complaints"] == []
    march = [size for size in status["sizes"] if (size["table"], size["month"]) == ("requests", "2025-03")]
    assert march[0]["rows"] == 44 and march[0]["bytes"] > 8192
    table = ledger.tool("ledger", "status")
    assert "rows in no month 0" in table and "months ahead     3" in table
    ledger.database.server.psql(ledger.database.name, """
        INSERT INTO requests SELECT '00000000-0000-7000-8000-000000000000', tenant_id, key_id, model, policy, policy_version,
            propensity, endpoint, is_stream, choices, started_at, finished_at, outcome, finish, error_code, degraded, calls,
            malformed, prompt_tokens, slm_tokens, llm_tokens, command_tokens, visible_tokens, tags FROM requests LIMIT 1""")
    assert "1 row(s) of requests lie in no month" in ledger.refused_tool("ledger", "status")


def test_a_gateway_watches_for_rows_in_no_month(make_stack):
    stack = make_stack(script={"plain": {"slm": ["One."], "llm": ["Two."]}})
    stack.gateway.stop()
    stack.database.server.psql(stack.database.name, """
        INSERT INTO payloads VALUES ('00000000-0000-7000-8000-000000000000', 'prompt', sha256('x'), NULL)""")
    stack.gateway.start()
    deadline = time.monotonic() + 10
    while "relaygate_ledger_default_rows 1\n" not in httpx.get(stack.gateway.url + "/metrics").text:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert "rows of the ledger lie in no month" in stack.gateway.log_path.read_text()


def test_a_gateway_prunes(make_stack):
    keep = days_since(START) - 30
    stack = make_stack(script={"plain": {"slm": ["One."], "llm": ["Two."]}}, config={"retention": {"segments": f"{keep}d"}})
    stack.database.server.psql(stack.database.name, f"SELECT ensure_partitions(0, to_timestamp({START / 1000}))")
    stack.gateway.stop()
    stack.gateway.start()
    deadline = time.monotonic() + 20
    while not stack.database.rows("SELECT FROM pruned_partitions WHERE parent = 'segments' AND dropped_at IS NOT NULL"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    pruned = stack.database.rows("SELECT DISTINCT actor, to_char(month AT TIME ZONE 'UTC', 'YYYY-MM') AS month FROM pruned_partitions")
    assert pruned == [{"actor": "relaygate serve", "month": "2025-03"}]
    wait_for(lambda: "requests of 2025-03" in stack.gateway.log_path.read_text(), 5, "nothing is said of it in the log")


def test_forgetting_a_user(ledger):
    call = ["tenant", "forget", "acme", "--user", "u4"]
    assert "--yes: is needed" in ledger.refused_tool(*call)
    # Every tenth request is u4's; every fifth of all has a verdict of each source, of one of them two.
    counts = json.loads(ledger.tool(*call, "--yes", "--actor", "ada", "--reason", "asked for", "--json"))
    assert counts["requests"] == 6
    lines = [json.loads(line) for line in ledger.tool("trace", "export").splitlines()]
    assert len(lines) == 60
    assert [index for index, line in enumerate(lines) if line["tags"].get("user") == "u4"] == []
    assert lines[4]["tags"] == {} and lines[6]["tags"]["user"] == "u6"
    audit(ledger)
    done = ledger.database.rows("SELECT actor, reason, requests, finished_at IS NOT NULL AS done FROM forgettings")
    assert done == [{"actor": "ada", "reason": "asked for", "requests": 6, "done": True}]
    assert "no tenant is named" in ledger.refused_tool("tenant", "forget", "nobody", "--yes")
    ledger.tool("tenant", "delete", "acme")
    assert json.loads(ledger.tool("tenant", "forget", "acme", "--yes", "--json"))["requests"] == 24


def test_old_lines_of_somebody_who_was_forgotten(ledger, postgres, tmp_path):
    path = tmp_path / "old.jsonl"
    path.write_text(ledger.tool("trace", "export"))
    other = installation(postgres, tmp_path / "other")
    assert json.loads(other.tool("tenant", "forget", "acme", "--user", "u0", "--yes", "--json"))["requests"] == 0
    for said in ("60 request(s) written, 0 there already", "0 request(s) written, 60 there already"):
        assert said in other.tool("trace", "import", str(path), "--key", other.key)
        # Every tenth request is u0's, and has verdicts. Everything else of it is as it was.
        expected = []
        for index, line in enumerate(map(json.loads, path.read_text().splitlines())):
            if index % 10 == 0:
                assert line["tags"]["user"] == "u0"
                assert [verdict["note"] for verdict in line["verdicts"]] == [f"n{index}"] * 2
                line["tags"] = {}
                for verdict in line["verdicts"]:
                    verdict["note"] = ""
            expected.append(line)
        assert [json.loads(line) for line in other.tool("trace", "export").splitlines()] == expected
        assert other.database.rows("SELECT count(*) AS n FROM tag_values WHERE value = 'u0'") == [{"n": 0}]
        audit(other)
