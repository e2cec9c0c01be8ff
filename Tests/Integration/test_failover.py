"""A real standby: one that commits do not wait for may forget grants, so hard budgets are refused beside it."""

import concurrent.futures
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

import servers
from budgets import SCRIPT, audit, effective, llm_tokens, set_budget, settled


@pytest.fixture
def primary():
    """A server of the test's own: its settings are changed."""
    server = servers.Postgres()
    yield server
    server.stop()


class Standby:
    """A copy of a server that streams from it."""

    def __init__(self, primary):
        self.primary = primary
        self.root = Path(tempfile.mkdtemp(prefix="relaygate-standby-"))
        if primary.prefix:
            shutil.chown(self.root, "postgres", "postgres")
        copy = [servers.POSTGRES / "pg_basebackup", "-D", self.root / "data", "-R", "-h", primary.root, "-p",
                str(primary.port), "-U", "postgres", "-c", "fast"]
        subprocess.run([*primary.prefix, *copy], check=True, stdout=subprocess.DEVNULL, cwd="/")
        options = f"-k {self.root} -p {servers.free_port()} -c listen_addresses= -c max_connections=200"
        self.control("start", "-o", options)
        wait_for(primary, "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'", "1", within=20)

    def control(self, command, *options):
        call = [servers.POSTGRES / "pg_ctl", "-D", self.root / "data", "-w", "-l", self.root / "log", *options, command]
        subprocess.run([*self.primary.prefix, *call], check=True, stdout=subprocess.DEVNULL, cwd="/")

    def signal(self, number):
        """Freezes or thaws all of its processes."""
        main = int((self.root / "data" / "postmaster.pid").read_text().split()[0])
        found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(main)], capture_output=True, text=True).stdout
        for pid in (main, *map(int, found.split())):
            os.kill(pid, number)

    def stop(self):
        self.control("stop", "-m", "immediate")
        shutil.rmtree(self.root, ignore_errors=True)


@pytest.fixture
def standby(primary):
    copy = Standby(primary)
    yield copy
    copy.stop()


def make_synchronous(primary):
    primary.psql("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'")
    primary.psql("postgres", "SELECT pg_reload_conf()")
    wait_for(primary, "SELECT sync_state FROM pg_stat_replication", "sync")


def wait_for(server, query, value, within=10):
    deadline = time.monotonic() + within
    while server.psql("postgres", query).strip() != value:
        assert time.monotonic() < deadline, query
        time.sleep(0.05)


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
            wait_for(primary, f"SELECT count(*) > 0 FROM {grant}", "t")
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
