"""What a budget is changes while it is used: its window ends, its limit falls, it goes, its tenant goes; clocks lie."""

import collections
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from cluster import CALL, wait_for
from load import Load

# Seconds from a cluster's beginning to the end of its first window.
FIRST_WINDOW = 10
CHARGES = """
    SELECT c.request_id, c.charged, w.window_start, l.gateway_id FROM charges c JOIN leases l ON l.id = c.lease_id
    JOIN budget_windows w ON w.budget_id = l.budget_id AND w.window_start = l.window_start"""


def started(line):
    return line["started_us"] / 1e6


def grants_since(cluster, moment):
    """Grants after a moment of the database's clock, in seconds of its epoch."""
    return cluster.database.rows(f"""
        SELECT tokens, at FROM lease_events WHERE kind = 'grant' AND at > to_timestamp({moment})""")


def grants_of(cluster, tenant, moment):
    return cluster.database.rows(f"""
        SELECT e.tokens, e.at FROM lease_events e
        JOIN leases l ON l.id = e.lease_id JOIN budgets b ON b.id = l.budget_id JOIN tenants t ON t.id = b.tenant_id
        WHERE e.kind = 'grant' AND t.name = '{tenant}' AND e.at > to_timestamp({moment})""")


@pytest.mark.parametrize("amount", [1_000_000, 400])
def test_a_window_ends_with_calls_in_flight(make_cluster, amount):
    # The database's clock is moved so that an hour of it ends soon; every connection has it from the start.
    boundary = time.time() + FIRST_WINDOW
    cluster = make_cluster(settings={"relaygate.clock_offset": f"{-(boundary % 3600)} seconds"})
    cluster.set_budget(amount, window="hour")
    with Load(cluster, callers=2) as load:
        assert time.time() < boundary - 2, "the cluster took too long to start"
        wait_for(lambda: time.time() > boundary + 3, 30, "the window never ends")
    state, truth = cluster.judge(overcharge=0, windows=2)
    assert state["used"] == truth and state["windows"] == 2
    windows = cluster.database.rows("SELECT window_start AS starts, charged FROM budget_windows ORDER BY 1")
    assert all(CALL <= window["charged"] <= amount for window in windows), windows
    if amount == 400:
        assert [window["charged"] for window in windows] == [400, 400]
        return
    in_flight = [line for line in cluster.truth() if started(line) < boundary < line["ended_us"] / 1e6]
    assert in_flight, "no call was under way when the window ended"
    charges = collections.defaultdict(list)
    for row in cluster.database.rows(CHARGES):
        charges[row["request_id"]].append(row)
    window_of = {}
    for call in load.served():
        rows = charges[call.answer.headers["x-request-id"]]
        assert [row["charged"] for row in rows] == [CALL], "a call is charged once, in one window"
        window_of[call.marker] = rows[0]["window_start"]
    old, new = (window["starts"] for window in windows)
    for line in in_flight:
        # What is reserved in a window is paid by it, whenever the call ends.
        assert window_of[line["marker"]] == old, line
    for line in cluster.truth():
        if started(line) > boundary + 1:
            assert window_of[line["marker"]] == new, line


def test_a_limit_falls_to_nothing_under_load(make_cluster):
    cluster = make_cluster()
    cluster.set_budget(50_000)
    with Load(cluster, callers=2) as load:
        wait_for(lambda: len(load.served()) >= 40, 20, "nobody is served")
        cluster.set_budget(0, waits=False)
        lowered, wall = time.monotonic(), time.time()
        # Two seconds in which gateways may not know yet, and two of load in which they must.
        time.sleep(4)
        cluster.settle()
    assert grants_since(cluster, wall + 2) == []
    late = [call for call in load.served() if call.began > lowered + 2]
    assert late == [], f"{len(late)} calls were made for a budget of nothing"
    assert [call for call in load.calls if call.began > lowered + 2], "the load went on"
    state, truth = cluster.judge(overcharge=0, amount=50_000)
    assert state["used"] == truth > 0
    cap = cluster.database.rows("SELECT amount, cap, charged FROM budget_windows")
    assert cap == [{"amount": 0, "cap": truth, "charged": truth}], "the cap falls to what was used, and no further"


def test_a_tenant_is_deleted_under_load(make_cluster):
    cluster = make_cluster()
    cluster.add_tenant("other")
    cluster.set_budget(50_000)
    cluster.set_budget(50_000, tenant="other")
    with Load(cluster, callers=1, tenant="other") as others, Load(cluster, callers=2) as load:
        wait_for(lambda: len(load.served()) >= 40 and others.served(), 20, "nobody is served")
        cluster.tools.tool("tenant", "delete", "acme")
        deleted, wall = time.monotonic(), time.time()
        # As above: two seconds to hear of it, two in which it has to be so.
        time.sleep(4)
    assert grants_of(cluster, "acme", wall + 2) == []
    late = [call for call in load.calls if call.began > deleted + 2]
    assert late and {call.answer.status_code for call in late} == {401}
    assert all(call.is_answered and call.llm_tokens == CALL for call in others.calls)
    state, truth = cluster.judge(overcharge=0)
    assert state["used"] == truth > 0, "its ledger is kept"
    cluster.judge(tenant="other", overcharge=0)


def test_a_budget_is_removed_under_load(make_cluster):
    cluster = make_cluster()
    cluster.set_budget(50_000)
    with Load(cluster, callers=2) as load:
        wait_for(lambda: len(load.served()) >= 40, 20, "nobody is served")
        removing = time.time()
        cluster.tools.tool("budget", "remove", "acme", "--name", "daily")
        removed, wall = time.monotonic(), time.time()
        # As above: two seconds to hear of it, two in which it has to be so.
        time.sleep(4)
    assert grants_since(cluster, wall + 2) == []
    assert [call for call in load.served() if call.began > removed + 2], "without a budget nobody is limited"
    cluster.settle()
    charged = {row["request_id"] for row in cluster.database.rows(CHARGES)}
    uncounted = [call for call in load.served() if call.answer.headers["x-request-id"] not in charged]
    free = {call.marker for call in uncounted}
    lines = [line for line in cluster.truth() if line["marker"] in free]
    # Whoever began before the removal is charged, whoever began two seconds after it is not.
    assert all(started(line) > removing for line in lines)
    assert all(call.marker in free for call in load.served() if call.began > removed + 2)
    state, truth = cluster.judge(overcharge=0, uncounted=sum(line["generated_tokens"] for line in lines))
    assert state["used"] == truth > 0


@pytest.fixture(scope="module")
def wrong_clock(tmp_path_factory):
    """A library that shifts a program's time of day. The compiler is the one that builds Swift packages."""
    compiler = shutil.which("clang") or shutil.which("cc")
    assert compiler, "clang, which comes with the Swift toolchain, is not in PATH"
    library = tmp_path_factory.mktemp("clock") / "wrong_clock.so"
    source = Path(__file__).parent / "wrong_clock.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, source], check=True)
    return str(library)


@pytest.mark.parametrize("shift", [86400, -86400])
def test_the_wall_clock_of_a_gateway_is_wrong_by_a_day(make_cluster, wrong_clock, shift):
    cluster = make_cluster(gateways=2, environments={
        0: {"LD_PRELOAD": wrong_clock, "RELAYGATE_CLOCK_SHIFT": str(shift)}})
    amount = 60 * CALL
    cluster.set_budget(amount, window="day", clamp="off")
    answers = cluster.load(100, entry="ten", parallel=8)
    assert sum(answer.json()["relay"]["llm_tokens"] for answer in answers) == amount
    # The shift has to be there, or this proves nothing.
    wrong = cluster.database.rows(f"""
        SELECT count(*) AS count FROM requests
        WHERE abs(extract(epoch FROM started_at - now()) - ({shift})) < 600""")
    assert wrong[0]["count"] >= 50
    windows = cluster.database.rows("SELECT window_start FROM budget_windows")
    assert len(windows) <= (1 if time.gmtime().tm_hour not in (0, 23) else 2), "only the database says what day it is"
    state, truth = cluster.judge(overcharge=0)
    assert state["used"] == truth == amount
