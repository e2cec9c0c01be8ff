"""A real standby: one that commits do not wait for may forget grants, so hard budgets are refused beside it."""

import concurrent.futures
import signal
import time

import servers
from budgets import SCRIPT, audit, effective, llm_tokens, set_budget, settled
from standby import wait_for_answer


def make_synchronous(primary):
    primary.psql("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'")
    primary.psql("postgres", "SELECT pg_reload_conf()")
    wait_for_answer(primary, "SELECT sync_state FROM pg_stat_replication", "sync")


def test_a_standby_that_is_not_waited_for_is_refused_or_accepted(primary, standby, tmp_path):
    stack = servers.Stack(primary, tmp_path, script=SCRIPT)
    try:
        set_budget(stack, 1000)
        stack.gateway.stop()
        failed = stack.gateway.refused_tool("serve")
        assert "a standby follows that is not waited for" in failed
        assert "synchronous_standby_names" in failed and "budgets.accept_async_failover: true" in failed
        # The operator accepts it.
        accepting = servers.Gateway({**stack.gateway.config, "budgets": {"accept_async_failover": True}}, tmp_path)
        accepting.start()
        assert accepting.stop() == 0
        # Or commits wait for it.
        make_synchronous(primary)
        stack.gateway = servers.Gateway(
            {**stack.gateway.config, "budgets": {"accept_async_failover": False}}, tmp_path)
        stack.gateway.start()
        assert stack.chat("ten#0").json()["relay"]["llm_tokens"] == 10
        assert settled(stack)["used"] == 10
        audit(stack)
    finally:
        assert stack.stop() == 0


def test_a_grant_whose_commit_was_not_waited_out_is_not_spent(primary, standby, tmp_path):
    make_synchronous(primary)
    stack = servers.Stack(primary, tmp_path, script=SCRIPT)
    try:
        set_budget(stack, 1000)
        effective()
        standby.signal(signal.SIGSTOP)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            answer = pool.submit(stack.chat, "ten#0")
            grant = ("pg_stat_activity WHERE application_name = 'relaygate budgets' AND wait_event = 'SyncRep' "
                     "AND query LIKE '%grant_tokens%'")
            wait_for_answer(primary, f"SELECT count(*) > 0 FROM {grant}", "t")
            # It is committed here, but a failover would forget it: PostgreSQL says so in a warning.
            primary.psql("postgres", f"SELECT pg_cancel_backend(pid) FROM {grant}")
            # Long enough for a call that took the warning for a grant to reach the LLM.
            time.sleep(1)
            assert llm_tokens(stack) == 0
            standby.signal(signal.SIGCONT)
            relay = answer.result().json()["relay"]
        # Either the ask was given up by then, or it was granted anew and durably.
        assert relay["llm_tokens"] == llm_tokens(stack)
        assert settled(stack, within=10)["used"] == relay["llm_tokens"]
        audit(stack)
    finally:
        standby.signal(signal.SIGCONT)
        assert stack.stop() == 0
