"""Five bugs put into the gateway on purpose. The judge has to name what each of them breaks, or it is worth nothing."""

import time

import oracle
import pytest
from cluster import CALL, wait_for
from load import Calls
from proxy import Plan


def settle_twice(cluster):
    """A few calls."""
    cluster.set_budget(1_000)
    cluster.load(5, parallel=1)
    return {}


def return_on_expiry(cluster):
    """A gateway dies with calls in flight."""
    cluster.set_budget(1_000)
    calls = Calls(cluster, cluster.gateways[0], "slow", 4)
    wait_for(lambda: oracle.totals(cluster, "daily", "acme")["held"] >= 4 * CALL, 10, "nothing is granted")
    # A token comes every 30 ms: the LLM has written some when its caller goes.
    time.sleep(0.15)
    cluster.gateways[0].process.kill()
    cluster.gateways[0].process.wait()
    calls.join()
    wait_for(lambda: sum(line["generated_tokens"] for line in cluster.truth("acme")), 10, "the LLM wrote nothing")
    cluster.settle()
    return {"overcharge": oracle.stranded(cluster)}


def fail_open(cluster):
    """A budget that is used up but for less than a call, and a row that somebody holds."""
    cluster.set_budget(CALL + CALL - 1, clamp="off")
    cluster.load(1, gateways=cluster.gateways[:1])
    cluster.settle()
    held = cluster.database.hold("""DO $$ BEGIN
        PERFORM FROM budget_windows FOR UPDATE; END $$""", 4)
    cluster.load(4, parallel=4)
    assert held.wait(timeout=20) == 0
    return {}


def skip_conflict(cluster):
    """The answer to a commit of the ledger is lost, and its batch is sent again."""
    cluster.set_budget(1_000)
    cluster.load(2, parallel=1)
    plan = cluster.proxy.plan = Plan(at=1, mode="after", of=["INTO requests"])
    cluster.load(3, parallel=1)
    assert plan.fired
    return {}


def charge_reported(cluster):
    """A server reports a hundred times what it sent."""
    cluster.set_budget(100_000)
    cluster.load(2, entry="lie", parallel=1)
    return {}


# The invariant that has to catch each of them; others may as well.
CAUGHT_BY = {settle_twice: "I4", return_on_expiry: "E2", fail_open: "E1", skip_conflict: "I4", charge_reported: "E3"}


@pytest.mark.parametrize("scenario", CAUGHT_BY, ids=lambda scenario: scenario.__name__)
def test_a_bug_put_in_on_purpose_is_caught(make_cluster, scenario):
    clean = make_cluster(gateways=2, proxied=True)
    clean.judge(**scenario(clean))
    sick = make_cluster(gateways=2, proxied=True, environment={"RELAYGATE_CANARY": scenario.__name__})
    bounds = scenario(sick)
    with pytest.raises(oracle.Illegal) as caught:
        sick.judge(within=4, **bounds)
    for gateway in sick.live():
        gateway.kill()  # Some of them would wait for leases that cannot be closed.
    assert CAUGHT_BY[scenario] in caught.value.names, caught.value
