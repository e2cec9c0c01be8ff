"""Two tenants share gateways, connections and a budget's end, and faults: neither hears a word of the other."""

import oracle
import pytest
from cluster import CALL, wait_for
from load import Load
from proxy import Plan


@pytest.mark.parametrize("mode", ["before", "after"])
def test_no_tenant_gets_anothers_words(make_cluster, mode):
    cluster = make_cluster(gateways=2, model_proxy=True)
    cluster.add_tenant("other")
    for tenant in ("acme", "other"):
        cluster.set_budget(100_000, tenant=tenant)
    with Load(cluster, entry="rose", callers=3) as roses, \
            Load(cluster, entry="lily", callers=3, tenant="other") as lilies:
        for _ in range(10):
            # Connections that break in the middle are where answers could get mixed up.
            plan = cluster.model_proxy.plan = Plan(at=3, mode=mode, of=["completions"])
            wait_for(lambda: plan.fired, 20, "no call of the LLM")
            cluster.model_proxy.cut()
    for load in (roses, lilies):
        assert len(load.served()) > 20
    cluster.settle()
    assert oracle.strangers(cluster) == [] and oracle.receipts(cluster) == []


def test_the_judge_hears_a_strangers_words_and_misses_a_receipt(make_cluster):
    cluster = make_cluster(gateways=1)
    cluster.set_budget(1_000)
    call = cluster.call(cluster.gateways[0], "rose#acme.1")
    assert call.llm_tokens == CALL
    cluster.judge()
    # The same answer, as if it had come to one who asked for the other entry, and as if the ledger had lost it.
    call.marker = "lily#acme.1"
    call.answer.headers["x-request-id"] = "00000000-0000-7000-8000-000000000000"
    with pytest.raises(oracle.Illegal) as caught:
        cluster.judge()
    assert caught.value.names == {"E4", "E5"}
