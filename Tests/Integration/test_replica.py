"""What reads much reads `postgres.replica`, a real standby here, unless told `--primary`."""

import json
import signal
import subprocess

import pytest

from servers import Stack, require
from standby import wait_for_answer

SCRIPT = {"call": {"slm": ["I think <call>3</call>", " done."], "llm": ["a b c d e f"]}}


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
    assert f"--from {usage['from'][:10]}T00:00:00Z" in simulation["provenance"]["command"], "words are written out"
    return usage["totals"]["requests"], bill["requests"], len(export.splitlines()), int(counted.split()[0])


def test_readers_of_much_read_the_replica_unless_told_otherwise(stack, standby):
    stack.chat("call#0")
    standby.catch_up()
    assert requests(stack) == (1, 1, 1, 1)
    standby.psql("postgres", "SELECT pg_wal_replay_pause()")
    stack.chat("call#1")
    assert requests(stack) == (1, 1, 1, 1) and requests(stack, "--primary") == (2, 2, 2, 2)


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
