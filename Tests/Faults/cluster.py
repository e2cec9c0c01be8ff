"""Several gateways on one database, and the fake models behind them."""

import concurrent.futures
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import httpx

import oracle
import servers
from proxy import Proxy

FAULTS_BIN = Path(os.environ.get("RELAYGATE_FAULTS_BIN_DIR", ".build/faults/debug")).resolve()
# The time to live of a lease in these tests, so that a dead gateway is noticed soon.
TTL = 1.5
CALL = 10
SCRIPT = {
    "ten": {"slm": ["Well <call>10</call>", " so."], "llm": ["a b c d e f g h i j k l"]},
    "twice": {"slm": ["One <call>10</call>", " two <call>10</call>", " so."], "llm": ["a b c d e f g h i j k l"]},
    "less": {"slm": ["Well <call>10</call>", " so."], "llm": ["a b c d"]},
    "slow": {"slm": ["Well <call>10</call>", " so."],
             "llm": [{"text": "a b c d e f g h i j k l", "delay_ms": 30}]},
    # The second call begins when the first, which takes four seconds, is over.
    "hang-twice": {"slm": ["One <call>10</call>", " two <call>10</call>", " so."],
                   "llm": [{"text": "a b c d e f g h i j k l", "delay_ms": 400}, "a b c d e f g h i j k l"]},
    "lie": {"slm": ["Well <call>10</call>", " so."], "llm": [{"text": "a b c d e f g h i j k l", "usage": "x100"}]},
    "alone": {"slm": ["I write alone."], "llm": ["The large one writes."]},
    # Each of these has words that no other entry has, so that an answer shows whose it is.
    "rose": {"slm": ["Red <call>10</call>", " petals."],
             "llm": [{"text": "ra rb rc rd re rf rg rh ri rj rk rl", "delay_ms": 5}]},
    "lily": {"slm": ["White <call>10</call>", " leaves."],
             "llm": [{"text": "wa wb wc wd we wf wg wh wi wj wk wl", "delay_ms": 5}]},
}


def wait_for(condition, within, what, pause=0.05):
    """What `condition` returns, as soon as that is true."""
    deadline = time.monotonic() + within
    while True:
        if found := condition():
            return found
        assert time.monotonic() < deadline, f"not within {within} s: {what() if callable(what) else what}"
        time.sleep(pause)


@dataclasses.dataclass
class Call:
    """One request of a caller, by the caller's clock. `answer` is None when the connection broke."""

    gateway: object
    tenant: str
    marker: str
    began: float
    ended: float = 0
    answer: object = None
    # False when nobody accepted the connection, so that the gateway cannot have seen the request.
    was_sent: bool = True

    @property
    def entry(self):
        return self.marker.split("#")[0]

    @property
    def is_answered(self):
        return self.answer is not None and self.answer.status_code == 200

    @property
    def report(self):
        return self.answer.json()["relay"]

    @property
    def llm_tokens(self):
        return self.report["llm_tokens"] if self.is_answered else 0


class FaultPostgres(servers.Postgres):
    """A PostgreSQL that can be stopped at once, frozen and thawed."""

    def __init__(self):
        # A database for each test is many files, which a disk takes a minute or more to remove.
        memory = Path("/dev/shm")
        if memory.is_dir() and shutil.disk_usage(memory).free > 4 << 30:
            self.folder = memory
        super().__init__()

    def processes(self):
        main = int((self.root / "data" / "postmaster.pid").read_text().split()[0])
        found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(main)], capture_output=True, text=True).stdout
        return [main, *map(int, found.split())]

    def freeze(self):
        self.frozen = self.processes()
        for pid in self.frozen:
            os.kill(pid, signal.SIGSTOP)

    def thaw(self):
        for pid in getattr(self, "frozen", []):
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass
        self.frozen = []

    def restart(self):
        self.control("stop", "immediate")
        self.control("start")

    def heal(self):
        self.thaw()
        if not (self.root / "data" / "postmaster.pid").exists():
            self.control("start")


class FaultGateway(servers.Gateway):
    """A gateway of the build for faults, and its tools."""

    def __init__(self, config, directory, environment=None):
        super().__init__(config, directory)
        self.environment = {**os.environ, "RELAYGATE_LEASE_TTL_MS": str(int(TTL * 1000)), **(environment or {})}

    def program(self):
        path = FAULTS_BIN / "relaygate"
        assert path.exists(), "swift build --traits Faults --scratch-path .build/faults --product relaygate"
        return path

    def tool(self, *arguments, check=True):
        call = [self.program(), *arguments, "--config", str(self.path)]
        result = subprocess.run(call, capture_output=True, text=True, timeout=60)
        assert not check or result.returncode == 0, f"{arguments}: {result.stdout}{result.stderr}"
        return result.stdout

    def start(self, ready=True):
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [self.program(), "serve", "--config", str(self.path)], stdout=subprocess.PIPE, stderr=log, text=True,
                env=self.environment)
        assert "http" in self.process.stdout.readline(), self.log_path.read_text()[-2000:]
        if ready:
            self.wait_ready()

    def signal(self, number):
        self.process.send_signal(number)


class Cluster:
    """`gateways` processes, one SLM, one LLM, one database behind a proxy of its own."""

    script = SCRIPT

    def __init__(self, postgres, directory, gateways=4, environment=None, proxied=False, model_proxy=False,
                 environments=None, settings=None, config=None):
        self.postgres = postgres
        self.directory = Path(directory)
        self.proxy = self.model_proxy = self.socket_folder = None
        self.gateways, self.fakes, self.calls = [], [], []
        self.client = httpx.Client(limits=httpx.Limits(max_connections=None, max_keepalive_connections=200))
        try:
            self.start(gateways, environment or {}, proxied, model_proxy, environments or {}, settings or {},
                       config or {})
        except BaseException:
            self.stop()
            raise

    def start(self, gateways, environment, proxied, model_proxy, environments, settings, config):
        postgres, directory = self.postgres, self.directory
        self.database = postgres.create_database()
        for name, value in settings.items():
            postgres.psql("postgres", f"ALTER DATABASE {self.database.name} SET {name} = '{value}'")
        url = self.database.url
        if proxied:
            # The path of a Unix socket may have about a hundred characters.
            self.socket_folder = folder = tempfile.mkdtemp(prefix="rg-")
            self.proxy = Proxy(f"{postgres.root}/.s.PGSQL.{postgres.port}", path=f"{folder}/.s.PGSQL.5432")
            url = f"postgresql://postgres@/{self.database.name}?host={folder}&port=5432"
        for role in ("slm", "llm"):
            self.fakes.append(servers.Fake(role, "vllm", directory, SCRIPT))
        self.slm, self.llm = self.fakes
        llm_url = self.llm.url
        if model_proxy:
            self.model_proxy = Proxy(("127.0.0.1", self.llm.port), kind="http")
            llm_url = f"http://127.0.0.1:{self.model_proxy.port}"
        common = {"dialect": "vllm", "template": "chatml", "connect_timeout": "1s", "first_byte_timeout": "2s",
                  "idle_timeout": "2s"}
        for index in range(gateways):
            folder = self.directory / f"gateway-{index}"
            folder.mkdir()
            (folder / "spool").mkdir()
            sections = {
                "listen": {"host": "127.0.0.1", "port": servers.free_port(), "loops": 1},
                "postgres": {"url": url},
                "upstreams": [
                    {"name": "slm-0", "model": self.slm.name, "url": self.slm.url + "/v1", **common},
                    {"name": "llm-0", "model": self.llm.name, "url": llm_url + "/v1", **common}],
                "pairs": [{"name": "pair", "slm": ["slm-0"], "llm": "llm-0"}],
                "models": [{"name": "relay", "pair": "pair", "policy": "relay"},
                           {"name": "slm", "pair": "pair", "policy": "slm"}],
                "shutdown": {"deadline": "3s"},
            }
            # What a test adds to sections, with the gateway's own folder where it says so.
            for section, keys in config.items():
                sections.setdefault(section, {}).update(
                    {key: value.format(folder=folder) for key, value in keys.items()})
            self.gateways.append(FaultGateway(sections, folder, {**environment, **environments.get(index, {})}))
        # The tools talk to the database directly, not through the proxy.
        self.tools = FaultGateway(
            {**self.gateways[0].config, "postgres": {"url": self.database.url}}, self.directory)
        self.keys = {"acme": self.tools.prepare()}
        for gateway in self.gateways:
            gateway.start(ready=False)
        for gateway in self.gateways:
            gateway.wait_ready()

    def add_tenant(self, name):
        self.tools.tool("tenant", "create", name)
        self.keys[name] = self.tools.create_key(name)

    def set_budget(self, tokens, name="daily", tenant="acme", waits=True, **options):
        """Sets a budget, and waits until every gateway knows it."""
        flags = [word for key, value in options.items() for word in (f"--{key.replace('_', '-')}", str(value))]
        self.tools.tool("budget", "set", tenant, "--name", name, "--tokens", str(tokens), *flags)
        if not waits:
            return
        # Gateways look for changes twice a second.
        time.sleep(0.6)
        for gateway in self.live():
            wait_for(lambda: self.is_known(gateway, tenant, tokens), 10,
                     f"{gateway.url} does not know the budget", pause=0.3)

    def is_known(self, gateway, tenant, tokens):
        answer = self.ask(gateway, f"alone#{tenant}.{os.urandom(4).hex()}", tenant, model="slm")
        return answer is not None and answer.headers.get("x-ratelimit-limit-llm-tokens") == str(tokens)

    def budget(self, name="daily", tenant="acme"):
        return json.loads(self.tools.tool("budget", "show", tenant, "--name", name, "--json"))[0]

    # The load.

    def call(self, gateway, marker, tenant="acme", model="relay", timeout=30):
        """One request, remembered for the judge."""
        body = {"model": model, "messages": [{"role": "user", "content": f"[[{marker}]] {tenant}"}]}
        call = Call(gateway, tenant, marker, time.monotonic())
        try:
            call.answer = self.client.post(
                f"{gateway.url}/v1/chat/completions", json=body, timeout=timeout,
                headers={"authorization": f"Bearer {self.keys[tenant]}"})
        except httpx.ConnectError:
            call.was_sent = False
        except httpx.HTTPError:
            pass
        call.ended = time.monotonic()
        self.calls.append(call)
        return call

    def ask(self, gateway, marker, tenant="acme", model="relay", timeout=30):
        """The answer to one request; None when the connection broke."""
        return self.call(gateway, marker, tenant, model, timeout).answer

    def load(self, requests, entry="ten", parallel=32, tenant="acme", gateways=None):
        """So many requests, spread over the gateways. The answers in order."""
        targets = gateways or self.gateways
        run = os.urandom(4).hex()
        with concurrent.futures.ThreadPoolExecutor(parallel) as pool:
            return list(pool.map(
                lambda i: self.ask(targets[i % len(targets)], f"{entry}#{tenant}.{run}-{i}", tenant), range(requests)))

    # The judgement.

    def live(self):
        return [gateway for gateway in self.gateways if gateway.process.poll() is None]

    def open_leases(self):
        return self.database.rows("SELECT * FROM leases WHERE state = 'open'")

    def settle(self, within=12):
        """Waits until nobody holds anything: idle leases are given back, dead gateways' leases reaped."""
        wait_for(lambda: not self.open_leases(), within, lambda: f"leases stay open: {self.open_leases()}")

    def truth(self, tenant=None):
        """The lines of the LLM's own log, of one tenant or of all."""
        return [line for line in self.llm.log()
                if tenant is None or (line["marker"] or "").split("#")[-1].split(".")[0] == tenant]

    def judge(self, budget="daily", tenant="acme", within=12, **bounds):
        """Waits until nobody holds anything, and judges; see `oracle.judge`."""
        try:
            self.settle(within)
        except AssertionError:
            pass  # The judge says so.
        return oracle.judge(self, budget, tenant, **bounds)

    def crashed(self):
        """Gateways that ended by themselves and not well; those that a test killed are none."""
        return [(gateway.process.returncode, gateway.log_path.read_text()[-2000:]) for gateway in self.gateways
                if gateway.process and gateway.process.poll() not in (None, 0, -signal.SIGKILL)]

    def stop(self):
        for gateway in self.gateways:
            if gateway.process and gateway.process.poll() is None:
                gateway.signal(signal.SIGCONT)
                gateway.stop(within=20)
        for proxy in (self.proxy, self.model_proxy):
            if proxy:
                proxy.close()
        for fake in self.fakes:
            fake.stop()
        self.client.close()
        if self.socket_folder:
            shutil.rmtree(self.socket_folder, ignore_errors=True)
        assert not self.crashed(), self.crashed()
