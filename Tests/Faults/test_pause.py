"""A gateway that stands still longer than its leases live, with calls under way, and then goes on."""

import signal
import time

import oracle
import pytest
from cluster import CALL, TTL, wait_for
from load import Calls

IN_FLIGHT = 5


def gateway_ids(cluster, state):
    return {row["id"] for row in cluster.database.rows(f"SELECT id FROM gateways WHERE state = '{state}'")}


@pytest.mark.parametrize("mode", ["leased", "strict"])
def test_a_pause_of_three_lifetimes(make_cluster, mode):
    cluster = make_cluster(gateways=2)
    cluster.set_budget(2_000, mode=mode)
    paused = cluster.gateways[0]
    # Recent use makes it hold tokens ahead.
    cluster.load(20, gateways=[paused])
    before = Calls(cluster, paused, "hang-twice", IN_FLIGHT)
    wait_for(lambda: cluster.database.rows(
        "SELECT sum(granted - settled - returned) AS held FROM leases")[0]["held"] >= IN_FLIGHT * CALL, 5,
        "the calls did not begin")
    # What was granted last is on its way to the gateway, and from there to the LLM.
    time.sleep(0.3)
    paused.signal(signal.SIGSTOP)
    try:
        wait_for(lambda: gateway_ids(cluster, "expired"), TTL + 5, "nobody noticed")
        dead = gateway_ids(cluster, "expired")
        assert len(dead) == 1
        held = oracle.stranded(cluster)
        assert held >= IN_FLIGHT * CALL, "its calls are charged before anything is known of them"
        assert cluster.budget()["unreconciled"] == held
        # The pause itself: longer than any lifetime that the gateway could count with.
        time.sleep(3 * TTL)
        # These wait in its socket, and must not be paid by a lease that is gone.
        after = Calls(cluster, paused, "ten", IN_FLIGHT)
        assert cluster.call(cluster.gateways[1], "ten#acme.other").llm_tokens == CALL
    finally:
        paused.signal(signal.SIGCONT)
    before, after = before.join(), after.join()
    # What it knew of keys is too old at first: it may refuse, for a moment.
    assert all(call.llm_tokens == CALL or call.answer.status_code == 503 for call in after)
    wait_for(lambda: after.append(cluster.call(paused, f"ten#acme.awake-{time.monotonic()}")) or
             after[-1].llm_tokens == CALL, 5, "it does not serve again")
    payers = cluster.database.rows("""
        SELECT c.request_id AS request, c.seq, c.charged, l.gateway_id AS id
        FROM charges c JOIN leases l ON l.id = c.lease_id ORDER BY c.request_id, c.seq""")
    # The second call of a request that was under way begins when the old leases are over, like every call after it.
    first = {}
    for row in payers:
        first.setdefault(row["request"], row["seq"])
    began_before = {call.answer.headers["x-request-id"] for call in before if call.is_answered}
    late = [row for row in payers if row["request"] in began_before and row["seq"] > first[row["request"]]]
    late += [row for row in payers if row["request"] in {
        call.answer.headers["x-request-id"] for call in after if call.llm_tokens}]
    assert late and not {row["id"] for row in late} & dead, "a lease that is gone paid for a new call"
    assert [row for row in late if row["request"] in began_before], "no call began after the pause"
    # What the old leases' calls used is settled late, what they did not use comes back late.
    wait_for(lambda: oracle.totals(cluster, "daily", "acme")["unreconciled"] == 0, 10,
             lambda: f"late proof changes nothing: {oracle.totals(cluster, 'daily', 'acme')}")
    # A call that was cut by the pause is charged as a whole: what the server did then is not known.
    state, truth = cluster.judge(overcharge=IN_FLIGHT * CALL)
    assert truth > 20 * CALL
