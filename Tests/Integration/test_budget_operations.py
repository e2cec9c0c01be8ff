"""Budgets and rates as their operators see them: changes, alerts, corrections, and databases that forget."""

import datetime
import http.server
import json
import tempfile
import threading
import time
from pathlib import Path

import httpx
import pytest

from budgets import SCRIPT, audit, effective, set_budget, settled, show
from servers import wait_for


@pytest.fixture
def stack(make_stack):
    return make_stack(script=SCRIPT)


def test_changes_are_in_force_within_two_seconds(stack):
    set_budget(stack, 1000)
    effective()
    assert stack.chat("ten#0").json()["relay"]["llm_tokens"] == 10
    set_budget(stack, 0)
    effective()
    assert stack.chat("ten#1").json()["relay"]["degraded"] == "budget"
    set_budget(stack, 30)
    effective()
    assert stack.chat("ten#2").json()["relay"]["llm_tokens"] == 10
    stack.gateway.tool("budget", "remove", "acme", "--name", "daily")
    effective()
    assert stack.chat("ten#3").json()["relay"]["llm_tokens"] == 10
    audit(stack)


def test_thresholds_are_told_once(stack):
    set_budget(stack, 20, alert="50,100")
    effective()
    for i in range(3):
        stack.chat(f"ten#{i}")
    settled(stack)
    wait_for(lambda: "percent=100" in stack.gateway.log_path.read_text(), 10, "the last threshold is not told")
    # Thresholds are looked at every second: a second telling would come now.
    time.sleep(2)
    lines = [line for line in stack.gateway.log_path.read_text().splitlines() if "budget threshold reached" in line]
    assert len(lines) == 2 and "percent=50" in lines[0] and "percent=100" in lines[1], lines
    metrics = httpx.get(stack.gateway.url + "/metrics").text
    assert "relaygate_budget_alerts_total 2" in metrics


def test_a_clean_stop_gives_everything_back(stack):
    set_budget(stack, 1000)
    effective()
    stack.chat("ten#0")
    assert stack.gateway.stop() == 0
    budget = show(stack)
    assert (budget["used"], budget["held"], budget["unreconciled"], budget["leases"]) == (10, 0, 0, [])
    assert stack.database.rows("SELECT state FROM gateways") == [{"state": "stopped"}]
    audit(stack)
    stack.gateway.start()


def test_counters_cannot_be_edited_by_hand(stack):
    set_budget(stack, 10)
    effective()
    stack.chat("ten#0")
    with pytest.raises(AssertionError, match="kept by functions"):
        stack.database.server.psql(stack.database.name, "UPDATE budget_windows SET charged = 0")
    with pytest.raises(AssertionError, match="append-only"):
        stack.database.server.psql(stack.database.name, "DELETE FROM charges")


def test_adjusting_is_audited(stack):
    set_budget(stack, 10)
    effective()
    stack.chat("ten#0")
    settled(stack)
    stack.gateway.tool("budget", "adjust", "acme", "--name", "daily", "--tokens=-4", "--reason", "a refund",
                       "--actor", "ada")
    budget = show(stack)
    assert (budget["used"], budget["left"]) == (6, 4)
    history = json.loads(stack.gateway.tool("budget", "history", "acme", "--json"))
    assert [entry["what"] for entry in history] == ["created", "adjusted"]
    assert (history[1]["actor"], history[1]["reason"]) == ("ada", "a refund")
    assert "-4 tokens" in history[1]["detail"]
    assert stack.chat("ten#1").json()["relay"]["llm_tokens"] == 4
    settled(stack)
    audit(stack)


def test_a_busy_budget_can_be_corrected(stack):
    set_budget(stack, 1000)
    effective()
    stack.chat("ten#0")
    stack.gateway.tool("budget", "adjust", "acme", "--name", "daily", "--tokens=-10", "--reason", "at once")
    assert settled(stack)["used"] == 0
    failed = stack.gateway.refused_tool(
        "budget", "adjust", "acme", "--name", "daily", "--tokens=-1", "--reason", "too much")
    assert "takes away more than there is" in failed
    audit(stack)


def test_the_webhook_hears_of_a_threshold_once(make_stack):
    heard = []

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            heard.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            # The first answer is an error: it is posted again.
            self.send_response(500 if len(heard) == 1 else 204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hook = Path(tempfile.mkdtemp()) / "hook"
    hook.write_text(f"http://127.0.0.1:{server.server_port}/alerts")
    hook.chmod(0o600)
    stack = make_stack(script=SCRIPT, config={"budgets": {"webhook": f"file:{hook}"}})
    set_budget(stack, 20, alert="50")
    effective()
    for i in range(3):
        stack.chat(f"ten#{i}")
    deadline = time.monotonic() + 8
    while len(heard) < 2:
        assert time.monotonic() < deadline, heard
        time.sleep(0.05)
    # A third delivery would come now.
    time.sleep(3)
    server.shutdown()
    assert len(heard) == 2 and heard[0] == heard[1], heard
    today = datetime.datetime.now(datetime.UTC).date()
    assert heard[0] | {"used": 0} == {
        "event": "budget_threshold", "tenant": "acme", "key": None, "budget": "daily", "window": "day",
        "window_start": f"{today}T00:00:00Z", "window_end": f"{today + datetime.timedelta(days=1)}T00:00:00Z",
        "percent": 50, "used": 0, "unreconciled": 0, "amount": 20}
    assert heard[0]["used"] in (10, 20)


@pytest.mark.parametrize("setting,value", [("synchronous_commit", "off"), ("synchronous_commit", "local")])
def test_a_database_that_forgets_keeps_no_budget(stack, setting, value):
    name = stack.database.name
    set_budget(stack, 1000)
    stack.gateway.stop()
    stack.database.server.psql(name, f"ALTER DATABASE {name} SET {setting} = {value}")
    failed = stack.gateway.refused_tool("serve")
    assert f"{setting} is {value}" in failed and "set it to on" in failed
    failed = stack.gateway.refused_tool("budget", "set", "acme", "--name", "daily", "--tokens", "5")
    assert f"{setting} is {value}" in failed
    # Without hard budgets it may serve.
    stack.gateway.tool("budget", "remove", "acme", "--name", "daily")
    stack.gateway.start()
    assert stack.chat("ten#0").json()["relay"]["llm_tokens"] == 10


def test_fsync_off_is_refused(stack):
    set_budget(stack, 1000)
    stack.gateway.stop()
    server = stack.database.server
    server.psql("postgres", "ALTER SYSTEM SET fsync = off")
    server.psql("postgres", "SELECT pg_reload_conf()")
    try:
        wait_for(lambda: server.psql("postgres", "SHOW fsync").strip() == "off", 10, "fsync is still on")
        failed = stack.gateway.refused_tool("serve")
        assert "fsync is off" in failed and "set fsync = on" in failed
    finally:
        server.psql("postgres", "ALTER SYSTEM RESET fsync")
        server.psql("postgres", "SELECT pg_reload_conf()")
    stack.gateway.start()
