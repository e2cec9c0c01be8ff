"""Operation number k fails, for every k until a run needs no k-th operation: every state that is left is legal."""

import threading
import time

import pytest
from cluster import CALL, wait_for
from proxy import Plan

MODES = ["before", "after", "hang"]
# What happens by itself, at any time; each of these has a test of its own.
PERIODIC = ["renew_gateway", "reap_leases", "raise_alerts", "control_epoch"]
OPERATIONS = ["grant_tokens", "INTO requests", "return_tokens"]
# A run that never comes to an end of its operations is wrong too.
MOST = 60


def work(cluster, run, proxy):
    """Three requests, four calls of the LLM, and what follows them: the plan has fired, or nothing is left to do."""
    plan = proxy.plan
    entries = ["ten", "ten", "twice"]
    threads = [threading.Thread(target=cluster.call, args=(cluster.gateways[0], f"{entry}#acme.{run}-{index}"))
               for index, entry in enumerate(entries)]
    for thread in threads:
        thread.start()
    wait_for(lambda: plan.fired or not any(thread.is_alive() for thread in threads) and not is_held(cluster), 60,
             "neither a fault nor an end")
    if plan.fired and plan.mode == "hang":
        # Long enough for timeouts of a second or two to pass; then what hangs is lost.
        time.sleep(1.5)
    # The plan goes first: what is done again after the cut must not fail as well.
    proxy.plan = Plan()
    if plan.mode == "hang":
        proxy.cut()
    for thread in threads:
        thread.join()
    answers = cluster.calls[-len(entries):]
    assert all(call.answer is not None for call in answers), "the gateway lost a caller"
    assert {call.answer.status_code for call in answers} <= {200, 502, 503, 504}
    return plan.fired


def sweep(cluster, proxy, mode, overcharge=0, **words):
    """Lets each operation fail in turn; `overcharge` is what one fault may cost. Returns the texts that failed."""
    failed = []
    for k in range(1, MOST):
        proxy.plan = Plan(at=k, mode=mode, **words)
        text = work(cluster, f"{mode}-{k}-{time.monotonic()}", proxy)
        failed += [text] if text else []
        cluster.judge(overcharge=overcharge * len(failed))
        if not text:
            return failed
    raise AssertionError(f"operations without an end: {failed}")


def is_held(cluster):
    return cluster.database.rows("SELECT count(*) AS open FROM leases WHERE state = 'open'")[0]["open"]


@pytest.mark.parametrize("mode", MODES)
def test_each_operation_on_postgresql_fails(make_cluster, mode):
    cluster = make_cluster(gateways=1, proxied=True)
    cluster.set_budget(1_000_000)
    # One kind after the other: how many there are of all of them together varies from run to run.
    for word in OPERATIONS:
        assert sweep(cluster, cluster.proxy, mode, of=[word]), f"no {word} has failed"
    # What is left, such as the first words of a new connection.
    sweep(cluster, cluster.proxy, mode, but=PERIODIC + OPERATIONS)


@pytest.mark.parametrize("mode", MODES)
def test_each_operation_of_a_strict_budget_fails(make_cluster, mode):
    cluster = make_cluster(gateways=1, proxied=True)
    cluster.set_budget(1_000_000, mode="strict")
    # A call whose intent may be durable, but is not known to be, is not made and not charged. Several intents may share
    # a commit, so how many there are varies.
    assert len(sweep(cluster, cluster.proxy, mode, of=["record_intents", "void_intents"])) >= 2


@pytest.mark.parametrize("mode", MODES)
def test_periodic_operations_fail(make_cluster, mode):
    cluster = make_cluster(gateways=1, proxied=True)
    cluster.set_budget(1_000_000)
    for word in PERIODIC:
        plan = cluster.proxy.plan = Plan(at=2, mode=mode, of=[word])
        wait_for(lambda: plan.fired, 20, f"no {word}")
        work(cluster, f"{mode}-{word}", cluster.proxy)
        wait_for(lambda: cluster.call(cluster.gateways[0], f"ten#acme.{time.monotonic()}").llm_tokens == CALL, 20,
                 "it does not recover")
        cluster.judge(overcharge=0)


@pytest.mark.parametrize("mode", MODES)
def test_each_request_to_the_model_server_fails(make_cluster, mode):
    cluster = make_cluster(gateways=1, model_proxy=True)
    cluster.set_budget(1_000_000)
    # Nobody can prove that a server which was asked has done nothing.
    failed = sweep(cluster, cluster.model_proxy, mode, overcharge=0 if mode == "after" else CALL, of=["completions"])
    # Four calls; a failed one is tried again.
    assert len(failed) >= 4
