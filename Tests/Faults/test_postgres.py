"""PostgreSQL crashes, stands still, loses its answers, and holds a row that nobody lets go."""

import os
import statistics
import time

import pytest
from cluster import CALL, TTL, wait_for
from load import Calls, Load
from proxy import Plan

# The sweep restarts it more often.
RESTARTS = int(os.environ.get("RELAYGATE_FAULT_RESTARTS", 3))
LEDGER = "INTO requests"


def is_served(cluster, gateway):
    return cluster.call(gateway, f"ten#acme.again.{time.monotonic()}").llm_tokens == CALL


def test_crashes_of_postgresql_under_load(make_cluster):
    cluster = make_cluster()
    cluster.set_budget(1_000_000)
    with Load(cluster, callers=2) as load:
        for _ in range(RESTARTS):
            # Load between two crashes, so that each finds leases and batches under way.
            time.sleep(5)
            cluster.postgres.restart()
            accepts = time.monotonic()
            for gateway in cluster.gateways:
                wait_for(lambda: is_served(cluster, gateway), max(0.1, accepts + 5 - time.monotonic()),
                         "it does not serve within five seconds after PostgreSQL accepts connections")
    assert len(load.served()) > 20 * RESTARTS
    # No gateway has died: each of them proves what it used, however long it was cut off.
    state, truth = cluster.judge(overcharge=0)
    assert state["used"] == truth and state["unreconciled"] == 0


@pytest.mark.parametrize("on_exhausted", ["degrade", "reject"])
def test_postgresql_stands_still(make_cluster, on_exhausted):
    cluster = make_cluster(gateways=2)
    cluster.set_budget(100_000, on_exhausted=on_exhausted)
    with Load(cluster, callers=3) as load:
        wait_for(lambda: len(load.served()) > 10, 20, "nobody is served")
        # These make their first call now, which takes four seconds, and want a second when the leases are over.
        under_way = [Calls(cluster, gateway, "hang-twice", 2) for gateway in cluster.gateways]
        # The load holds leases all the time, so nothing in the database tells these calls from it.
        time.sleep(1)
        frozen = time.time()
        cluster.postgres.freeze()
        try:
            # The first calls take four seconds, and who waits for the database does so for two.
            time.sleep(8)
            refused = [cluster.ask(gateway, f"ten#acme.frozen.{time.monotonic()}") for gateway in cluster.gateways]
            thawed = time.time()
        finally:
            cluster.postgres.thaw()
        for gateway in cluster.gateways:
            wait_for(lambda: is_served(cluster, gateway), 10, "it does not recover")
    assert [answer.status_code for answer in refused] == [503, 503]
    # Who was under way got what the lease had, and went on without the LLM.
    answers = [call for calls in under_way for call in calls.join()]
    assert [(call.llm_tokens, call.report["degraded"]) for call in answers] == [(CALL, "unavailable")] * 4
    late = [line for line in cluster.truth() if (frozen + 2 * TTL) * 1e6 <= line["started_us"] <= thawed * 1e6]
    assert not late, f"calls began that nobody can have granted: {late[:3]}"
    state, truth = cluster.judge(overcharge=0)
    assert state["used"] == truth


@pytest.mark.parametrize("what", ["grant_tokens", LEDGER, "return_tokens", "record_intents"])
def test_answers_that_are_lost_at_commit(make_cluster, what):
    cluster = make_cluster(gateways=1, proxied=True)
    cluster.set_budget(20_000, mode="strict" if what == "record_intents" else "leased")
    for at in (1, 2, 3):
        plan = cluster.proxy.plan = Plan(at=at, mode="after", of=[what])
        # Between the loads what is idle goes back.
        wait_for(lambda: cluster.load(6, parallel=3) and plan.fired, 20,
                 lambda: f"only {plan.count} operations with {what}", pause=1.2)
    state, truth = cluster.judge(overcharge=0)
    assert state["used"] == truth > 5 * CALL


def test_a_budgets_row_that_somebody_holds(make_cluster):
    cluster = make_cluster(gateways=2)
    for name in ("acme", "other"):
        if name != "acme":
            cluster.add_tenant(name)
        cluster.set_budget(100_000, tenant=name, on_exhausted="reject")
    cluster.load(4)
    cluster.load(4, tenant="other")
    with Load(cluster, entry="ten", callers=2, tenant="other") as calm:
        wait_for(lambda: len(calm.served()) >= 40, 20, "nobody is served")
    quiet = [call.ended - call.began for call in calm.served()]
    cluster.settle()
    held = cluster.database.hold("""DO $$ BEGIN
        PERFORM FROM budget_windows w JOIN budgets b ON b.id = w.budget_id JOIN tenants t ON t.id = b.tenant_id
        WHERE t.name = 'acme' FOR UPDATE OF w; END $$""", 10)
    try:
        with Load(cluster, entry="ten", callers=2, tenant="other") as others, \
                Load(cluster, entry="ten", callers=2, tenant="acme") as locked:
            # The load under the lock, several times as long as anybody waits for it.
            time.sleep(5)
    finally:
        assert held.wait(timeout=20) == 0
    # A gateway waits for a lock for one second, a caller for an answer for two.
    refused = [call for call in locked.calls if call.ended - call.began < 4 and call.answer.status_code == 503]
    assert len(refused) >= 4 and not locked.served(), [call.answer for call in locked.calls]
    assert all(call.ended - call.began < 4 for call in locked.calls)
    assert all(call.is_answered and call.llm_tokens == CALL for call in others.calls)
    slow = [call.ended - call.began for call in others.calls]
    assert statistics.median(slow) < max(5 * statistics.median(quiet), 0.5), "others wait for a row that is not theirs"
    wait_for(lambda: is_served(cluster, cluster.gateways[0]), 10, "it does not recover")
    cluster.judge(overcharge=0)
    cluster.judge(tenant="other", overcharge=0)
