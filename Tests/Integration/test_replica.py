"""What reads much reads `postgres.replica`, a real standby here, unless told `--primary`."""

import json
import signal
import subprocess

import pytest

from servers import Stack, free_port, require
from standby import wait_for_answer
from traces import installation

SCRIPT = {"call": {"slm": ["I think <call>3</call>", " done."], "llm": ["a b c d e f"]}}
BOOK = '[{"model": "small", "input": 1, "output": 1}]'


@pytest.fixture
def stack(primary, standby, tmp_path):
    stack = Stack(primary, tmp_path, script=SCRIPT)
    stack.gateway.config["postgres"]["replica"] = standby.url(stack.database.name)
    stack.gateway.path.write_text(json.dumps(stack.gateway.config))
    yield stack
    assert stack.stop() == 0


def requests(stack, *options):
    """What each of the readers counts: reports, bills, exports and simulations."""
    month = stack.database.rows("SELECT to_char(min(started_at) AT TIME ZONE 'UTC', 'YYYY-MM') AS month FROM requests")
    past = ("--from", "-7d", *options)
    usage = json.loads(stack.gateway.tool("usage", *past, "--format", "json"))
    bill = json.loads(stack.gateway.tool(
        "usage", "statement", "--tenant", "acme", "--month", month[0]["month"], "--format", "json", *options))
    export = stack.gateway.tool("trace", "export", *past)
    simulation = json.loads(stack.gateway.tool(
        "simulate", "--ledger", "--policy", "as-logged,slm", "--threads", "2", "--format", "json", *past))
    counted = {item["name"]: item["value"] for item in simulation["coverage"]}["requests"]
    book = stack.gateway.path.with_name("book.json")
    book.write_text(BOOK)
    repriced = json.loads(stack.gateway.tool("price", "simulate", str(book), *past, "--json"))
    assert f"--from {usage['from'][:10]}T00:00:00Z" in simulation["provenance"]["command"], "words are written out"
    # Three segments each: the SLM, the LLM it called, the SLM.
    return (usage["totals"]["requests"], bill["requests"], len(export.splitlines()), int(counted.split()[0]),
            repriced["total"]["segments"] // 3)


def test_readers_of_much_read_the_replica_unless_told_otherwise(stack, standby):
    stack.chat("call#0")
    standby.catch_up()
    assert requests(stack) == (1, 1, 1, 1, 1)
    standby.psql("postgres", "SELECT pg_wal_replay_pause()")
    stack.chat("call#1")
    assert requests(stack) == (1, 1, 1, 1, 1) and requests(stack, "--primary") == (2, 2, 2, 2, 2)


@pytest.mark.parametrize("command", [
    ("usage",), ("usage", "statement", "--tenant", "acme", "--month", "2025-10"), ("trace", "export"),
    ("simulate", "--ledger", "--policy", "slm"), ("price", "simulate", "{book}", "--from", "-7d")])
def test_a_replica_that_is_not_there_is_named(postgres, tmp_path, command):
    tool = installation(postgres, tmp_path / "one")
    tool.config["postgres"]["replica"] = f"postgresql://postgres@127.0.0.1:{free_port()}/nowhere"
    tool.path.write_text(json.dumps(tool.config))
    book = tmp_path / "book.json"
    book.write_text(BOOK)
    command = [word.format(book=book) for word in command]
    said = tool.refused_tool(*command)
    assert "postgres.replica cannot be reached: " in said and "--primary reads postgres.url" in said
    assert "relaygate up" not in said
    tool.tool(*command, "--primary")


def test_a_book_is_simulated_for_as_long_as_it_may_take(postgres, tmp_path):
    tool = installation(postgres, tmp_path / "one")
    book = tmp_path / "book.json"
    book.write_text(BOOK)
    holder = tool.database.hold("LOCK TABLE requests IN ACCESS EXCLUSIVE MODE", 60)
    try:
        said = tool.refused_tool("price", "simulate", str(book), "--from", "-7d", "--timeout", "200ms")
        assert "the report took longer than 200ms; ask for less, or give it more with --timeout" in said
        assert "--timeout: must be longer than 0s" in tool.refused_tool(
            "price", "simulate", str(book), "--from", "-7d", "--timeout", "0s")
    finally:
        holder.terminate()
        holder.wait(10)


def test_a_reading_that_replication_ends_says_what_helps(stack, standby, primary):
    name = stack.database.name
    for setting in ("max_standby_streaming_delay = 0", "hot_standby_feedback = off"):
        standby.psql("postgres", f"ALTER SYSTEM SET {setting}")
    standby.psql("postgres", "SELECT pg_reload_conf()")
    stack.chat("call#0")
    # The lock is replayed, so that the simulation waits with its snapshot in hand.
    holder = stack.database.hold("LOCK TABLE requests IN ACCESS EXCLUSIVE MODE", 60)
    stack.gateway.tool("tenant", "create", "other")
    standby.catch_up()
    call = [require("relaygate"), "simulate", "--ledger", "--policy", "slm", "--config", str(stack.gateway.path)]
    simulation = subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_for_answer(standby, "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'", "t")
        simulation.send_signal(signal.SIGSTOP)
        primary.psql("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)'")
        holder.wait(10)
        # What it could still see is swept away.
        primary.psql(name, "BEGIN; SET LOCAL session_replication_role = replica; DELETE FROM requests; COMMIT")
        primary.psql(name, "VACUUM requests")
        standby.catch_up()
    finally:
        simulation.send_signal(signal.SIGCONT)
    _, said = simulation.communicate(timeout=60)
    assert simulation.returncode == 1 and "hot_standby_feedback" in said, said
