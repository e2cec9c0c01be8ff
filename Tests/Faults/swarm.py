"""A seeded random mix of faults on a small cluster under load, then healing, then the judge.

Everything that is drawn comes from the seed; what the processes make of it is theirs, so a seed repeats the faults and
their times, not every interleaving.
"""

import contextlib
import random
import signal
import time

import oracle
from cluster import CALL, Cluster, wait_for
from load import Load
from proxy import Plan

TENANTS = {"acme": "rose", "other": "lily"}
FAILPOINTS = ["before_grant", "after_grant", "before_call", "during_call", "after_call", "before_ledger",
              "after_ledger", "before_return", "after_return", "before_heartbeat"]
STRICT_FAILPOINTS = ["before_intent", "after_intent"]


class Swarm:
    """One seed's run."""

    def __init__(self, seed, postgres, directory):
        self.draw = random.Random(seed)
        self.postgres, self.directory = postgres, directory
        self.mode = self.draw.choice(["leased", "leased", "strict"])
        # Some budgets last, some end under the load.
        self.amount = self.highest = self.draw.choice([300, 2_000, 100_000])
        self.faults = [self.draw.choice(FAULTS) for _ in range(self.draw.randint(3, 7))]
        self.locks = []
        self.said = []

    def say(self, text):
        self.said.append(text)

    def run(self):
        failpoints = FAILPOINTS + (STRICT_FAILPOINTS if self.mode == "strict" else [])
        count = self.draw.randint(1, 3)
        armed = {}
        if self.draw.random() < 0.5:
            armed = {0: {"RELAYGATE_FAILPOINT": f"{self.draw.choice(failpoints)}:{self.draw.randint(2, 40)}"}}
        self.say(f"{count} gateways, {self.mode}, {self.amount} tokens, {armed}")
        self.cluster = cluster = Cluster(
            self.postgres, self.directory, gateways=count, proxied=True, model_proxy=True, environments=armed)
        try:
            self.prepare()
            with contextlib.ExitStack() as loads:
                self.loads = [loads.enter_context(Load(cluster, entry=entry, callers=2, tenant=tenant))
                              for tenant, entry in TENANTS.items()]
                for fault in self.faults:
                    # Faults come at any moment of the load, and some while others still last.
                    time.sleep(self.draw.uniform(0.1, 1.2))
                    fault(self)
                time.sleep(self.draw.uniform(0.1, 1.0))
                self.heal()
                for index, gateway in enumerate(cluster.gateways):
                    marker = f"alone#free.{index}"
                    wait_for(lambda: cluster.call(gateway, f"{marker}-{time.monotonic()}", "free").is_answered,
                             30, "it does not serve again")
            self.judge()
        finally:
            self.heal()
            cluster.stop()

    def prepare(self):
        cluster = self.cluster
        for tenant in ("other", "free"):
            cluster.add_tenant(tenant)
        for tenant in TENANTS:
            # A window that does not end: midnight is no fault.
            cluster.set_budget(self.amount, tenant=tenant, window="fixed", mode=self.mode, waits=False,
                               on_exhausted=self.draw.choice(["degrade", "reject"]),
                               clamp=self.draw.choice(["on", "off"]))
        # Gateways look for changes twice a second. What tests wait with, requests, would be a part of what is drawn.
        time.sleep(1)

    def heal(self):
        cluster = self.cluster
        cluster.proxy.plan, cluster.model_proxy.plan = Plan(), Plan()
        self.postgres.heal()
        for lock in self.locks:
            lock.wait(timeout=30)
        cluster.proxy.cut()
        cluster.model_proxy.cut()
        for gateway in cluster.gateways:
            if gateway.process.poll() is None:
                gateway.signal(signal.SIGCONT)
            else:
                gateway.environment.pop("RELAYGATE_FAILPOINT", None)
                gateway.start(ready=False)

    def judge(self):
        cluster = self.cluster
        wait_for(lambda: not cluster.open_leases(), 60, lambda: f"leases stay open: {cluster.open_leases()}")
        held = oracle.stranded(cluster)
        for tenant, load in zip(TENANTS, self.loads):
            # What was cut is charged as a whole; a cut attempt may have been followed by another.
            odd = [call for call in load.calls if call.was_sent and call.llm_tokens != CALL]
            allowed = held + 2 * CALL * len(odd)
            cluster.judge(tenant=tenant, overcharge=allowed, amount=self.highest)

    # Faults.

    def victim(self):
        return self.draw.choice(self.cluster.gateways)

    def kill(self):
        gateway = self.victim()
        self.say("kill")
        if gateway.process.poll() is None:
            gateway.signal(signal.SIGCONT)
            gateway.process.kill()
            gateway.process.wait()
        if self.draw.random() < 0.5:
            gateway.environment.pop("RELAYGATE_FAILPOINT", None)
            # It comes back at once, or after others have noticed.
            time.sleep(self.draw.uniform(0, 1))
            with contextlib.suppress(AssertionError):
                gateway.start(ready=False)

    def pause(self):
        gateway, seconds = self.victim(), self.draw.uniform(0.2, 5)
        self.say(f"pause {seconds:.1f} s")
        if gateway.process.poll() is None:
            gateway.signal(signal.SIGSTOP)
            # The pause itself.
            time.sleep(seconds)
            gateway.signal(signal.SIGCONT)

    def crash(self):
        self.say("crash of PostgreSQL")
        self.postgres.restart()

    def freeze(self):
        seconds = self.draw.uniform(0.3, 5)
        self.say(f"PostgreSQL frozen {seconds:.1f} s")
        self.postgres.freeze()
        # The standstill itself.
        time.sleep(seconds)
        self.postgres.thaw()

    def lose(self):
        plan = Plan(at=self.draw.randint(1, 12), mode=self.draw.choice(["before", "after", "hang"]))
        self.say(f"operation {plan.at} on PostgreSQL fails: {plan.mode}")
        self.cluster.proxy.plan = plan

    def lose_model(self):
        plan = Plan(at=self.draw.randint(1, 6), mode=self.draw.choice(["before", "after", "hang"]), of=["completions"])
        self.say(f"call {plan.at} of the LLM fails: {plan.mode}")
        self.cluster.model_proxy.plan = plan

    def cut(self):
        self.say("connections cut")
        self.draw.choice([self.cluster.proxy, self.cluster.model_proxy]).cut()

    def lock(self):
        seconds = self.draw.uniform(0.5, 4)
        self.say(f"rows locked {seconds:.1f} s")
        self.locks.append(self.cluster.database.hold(
            "DO $$ BEGIN PERFORM FROM budget_windows FOR UPDATE; END $$", seconds))

    def change(self):
        amount = self.draw.choice([0, 100, self.amount, 2 * self.amount])
        self.say(f"the budgets become {amount}")
        self.highest = max(self.highest, amount)
        for tenant in TENANTS:
            # It may be refused while a row is locked.
            self.cluster.tools.tool("budget", "set", tenant, "--name", "daily", "--tokens", str(amount), check=False)


FAULTS = [Swarm.kill, Swarm.kill, Swarm.pause, Swarm.crash, Swarm.freeze, Swarm.lose, Swarm.lose, Swarm.lose_model,
          Swarm.cut, Swarm.lock, Swarm.change]
