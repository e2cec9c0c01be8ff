"""Hard budgets through an outage with a spool: what was answered from leases meanwhile is charged, once."""

import time

import oracle
import pytest
from cluster import CALL, TTL, wait_for
from load import Load
from test_ledger_faults import SPOOL, check, is_written, metric

CALLERS = 4


def charges(cluster):
    """Each attempt at the LLM that is in the ledger, with the charges that the budget has for it."""
    return cluster.database.rows("""
        SELECT s.request_id, s.generated_tokens AS tokens, count(c.*) AS charges, coalesce(sum(c.charged), 0) AS charged
        FROM segments s LEFT JOIN charges c USING (request_id, choice, seq, attempt)
        WHERE s.role = 'llm' GROUP BY s.request_id, s.choice, s.seq, s.attempt, s.generated_tokens""")


def is_used_up(cluster):
    cluster.settle()
    state = oracle.totals(cluster, "daily", "acme")
    return state["used"] + state["unreconciled"] == state["amount"]


@pytest.mark.parametrize("mode", ["leased", "strict"])
def test_a_gateway_dies_in_an_outage_with_its_spool_full_of_charges(make_cluster, postgres, mode):
    cluster = make_cluster(gateways=2, config=SPOOL)
    victim, other = cluster.gateways
    amount = 20_000
    cluster.set_budget(amount, mode=mode)
    with Load(cluster, entry="ten", callers=CALLERS) as load:
        wait_for(lambda: all(len([call for call in load.of(gateway) if call.llm_tokens]) >= 40
                             for gateway in cluster.gateways), 30, "nobody is served")
        away = time.monotonic()
        postgres.control("stop", "immediate")
        stopped = time.monotonic()
        # As long as leases live, and a little longer: then the SLM goes on alone.
        time.sleep(TTL + 0.5)
        wait_for(lambda: [call for call in load.of(victim) if call.began > stopped and call.is_answered], 20,
                 "nobody is answered in the outage")
        spooled = [metric(gateway, "spooled_total") for gateway in cluster.gateways]
        victim.process.kill()
        victim.process.wait()
    ended = time.monotonic()
    from_leases = [call for call in load.served(since=stopped) if call.ended < ended]
    print(f"{mode}: stopped in {stopped - away:.2f} s, spooled {spooled}, from leases {len(from_leases)}")
    assert min(spooled) > 0
    # A strict budget asks the database before each call.
    assert bool(from_leases) == (mode == "leased"), from_leases[:3]
    died = [call for call in load.of(victim) if call.answer is None and call.was_sent]
    assert len(died) <= CALLERS
    postgres.control("start")
    victim.start()
    for gateway in cluster.gateways:
        wait_for(lambda: is_written(gateway), 30, "what was spooled is not written")
        wait_for(lambda: cluster.call(gateway, f"ten#acme.again.{time.monotonic()}").llm_tokens == CALL, 20,
                 "it does not serve again")
    cluster.settle()
    held = oracle.stranded(cluster)
    state, truth = cluster.judge(overcharge=held if mode == "leased" else CALL * len(died))
    assert state["unreconciled"] == held
    # What the ledger has is charged by its segments, and what is missing is what the LLM wrote for calls that died.
    written = charges(cluster)
    # A call that was refused has a row with no tokens, and nothing to pay for.
    assert all((row["charges"], row["charged"]) == (int(row["tokens"] > 0), row["tokens"]) for row in written)
    assert sum(row["charged"] for row in written) == state["used"] <= truth <= state["used"] + CALL * len(died)
    receipts, rows = check(cluster)
    assert len(receipts) <= len(rows) <= len(receipts) + len(died)
    # All that is left can be used, and not a token more.
    assert state["used"] + state["unreconciled"] < amount
    wait_for(lambda: cluster.load(600) and is_used_up(cluster), 120, "the budget does not end", pause=0)
    state, truth = cluster.judge(overcharge=held if mode == "leased" else CALL * len(died))
    assert truth <= amount == state["used"] + state["unreconciled"]
    check(cluster)
