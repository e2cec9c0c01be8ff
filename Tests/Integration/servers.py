"""The processes that a test needs: PostgreSQL, fake models, the gateway. Each is stopped by its process id."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import httpx
import openai

BIN = Path(os.environ.get("RELAYGATE_BIN_DIR", ".build/debug")).resolve()
POSTGRES = Path(os.environ.get("POSTGRES_BIN_DIR", "/usr/lib/postgresql/15/bin"))


def require(program):
    """The path of a built program. A test that misses one fails: a skipped test would hide it."""
    assert (BIN / program).exists(), f"{program} is not built in {BIN}: swift build, or set RELAYGATE_BIN_DIR"
    return BIN / program


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def end(process, sig=signal.SIGTERM, within=10):
    """Ends one process and returns its exit status; kills it when it does not go."""
    if process.poll() is None:
        process.send_signal(sig)
        try:
            process.wait(within)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout:
        process.stdout.close()
    return process.returncode


def wait_for(condition, within, what="it did not happen in time"):
    """What a condition returns as soon as that is true; `what` may be a function, for a message that shows the end."""
    deadline = time.monotonic() + within
    while True:
        if found := condition():
            return found
        assert time.monotonic() < deadline, what() if callable(what) else what
        time.sleep(0.02)


class Postgres:
    """A database server of its own in a temporary directory, reached through a Unix socket."""

    # Where its directory is made; None: where temporary files go.
    folder = None

    def __init__(self):
        self.root = Path(tempfile.mkdtemp(prefix="relaygate-pg-", dir=self.folder))
        # PostgreSQL refuses to run as root.
        self.prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self.prefix:
            shutil.chown(self.root, "postgres", "postgres")
        self.port = free_port()
        self.count = 0
        data = self.root / "data"
        initdb = [POSTGRES / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run([*self.prefix, *initdb], check=True, stdout=subprocess.DEVNULL, cwd="/")
        self.control("start")

    def control(self, command, mode="fast"):
        options = f"-k {self.root} -p {self.port} -c listen_addresses= -c max_connections=200"
        call = [POSTGRES / "pg_ctl", "-D", self.root / "data", "-w", "-l", self.root / "log", "-m", mode]
        extra = ["-o", options] if command != "stop" else []
        subprocess.run([*self.prefix, *call, *extra, command], check=True, stdout=subprocess.DEVNULL, cwd="/")

    def create_database(self):
        self.count += 1
        name = f"test_{self.count}"
        self.psql("postgres", f"CREATE DATABASE {name}")
        return Database(self, name)

    def psql(self, database, query):
        call = ["psql", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-h", str(self.root), "-p", str(self.port)]
        result = subprocess.run(
            [*call, "-U", "postgres", "-d", database], input=query, capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def stop(self):
        self.control("stop", "immediate")
        shutil.rmtree(self.root, ignore_errors=True)


class Database:
    def __init__(self, server, name):
        self.server = server
        self.name = name
        self.url = f"postgresql://postgres@/{name}?host={server.root}&port={server.port}"

    def rows(self, query):
        """The result of one SELECT as a list of dictionaries."""
        text = self.server.psql(self.name, f"SELECT coalesce(json_agg(t), '[]') FROM ({query}) AS t")
        return json.loads(text)

    def hold(self, statement, seconds):
        """Runs a statement in a transaction that stays open for a while; returns when the statement is done."""
        call = ["psql", "-X", "-q", "-At", "-h", str(self.server.root), "-p", str(self.server.port), "-U", "postgres"]
        process = subprocess.Popen(
            [*call, "-d", self.name, "-c", f"BEGIN; {statement}; SELECT 'held'", "-c", f"SELECT pg_sleep({seconds})",
             "-c", "COMMIT"], stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "held\n"
        return process


class Fake:
    """One fake model server. `port` lets a restarted one take the place of the old."""

    def __init__(self, role, dialect, directory, script=None, port=0, flags=()):
        self.role, self.dialect = role, dialect
        self.name = f"fake-{role}"
        arguments = ["--role", role, "--dialect", dialect, "--name", self.name, "--port", str(port), *flags]
        if script is not None:
            path = Path(directory) / f"script-{role}-{free_port()}.json"
            path.write_text(json.dumps(script))
            arguments += ["--script", str(path)]
        self.process = subprocess.Popen([require("fake-model"), *arguments], stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("LISTENING "), f"the fake did not start: {line!r}"
        self.port = int(line.split()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.http = httpx.Client(base_url=self.url, timeout=60)

    def log(self):
        return self.http.get("/fake/log").json()

    def metrics(self):
        return self.http.get("/metrics").text.splitlines()

    def reset(self):
        self.http.post("/fake/reset").raise_for_status()

    def complete(self, **body):
        response = self.http.post("/v1/completions", json=body)
        response.raise_for_status()
        return response.json()

    def stop(self):
        self.http.close()
        return end(self.process)


class Gateway:
    """The gateway, its configuration file and its administration."""

    def __init__(self, config, directory):
        self.config = config
        self.path = Path(directory) / "relaygate.yaml"
        # JSON is YAML.
        self.path.write_text(json.dumps(config, indent=2))
        self.log_path = Path(directory) / "gateway.log"
        self.process = None
        self.url = f"http://127.0.0.1:{config['listen']['port']}"

    def tool(self, *arguments, check=True):
        call = [require("relaygate"), *arguments, "--config", str(self.path)]
        result = subprocess.run(call, capture_output=True, text=True, timeout=60)
        assert not check or result.returncode == 0, f"{arguments}: {result.stdout}{result.stderr}"
        return result.stdout

    def refused_tool(self, *arguments):
        """What a command that must fail says."""
        call = [require("relaygate"), *arguments, "--config", str(self.path)]
        result = subprocess.run(call, capture_output=True, text=True, timeout=60)
        assert result.returncode != 0, f"{arguments}: {result.stdout}"
        return result.stderr

    def prepare(self, tenant="acme"):
        self.tool("migrate")
        self.tool("tenant", "create", tenant)
        return self.create_key(tenant)

    def create_key(self, tenant="acme"):
        return json.loads(self.tool("key", "create", "--tenant", tenant, "--json"))["key"]

    def revoke(self, key):
        self.tool("key", "revoke", key.removeprefix("sk-relay-").split("-")[0])

    def start(self):
        with self.log_path.open("ab") as log:
            call = [require("relaygate"), "serve", "--config", str(self.path)]
            self.process = subprocess.Popen(call, stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.process.stdout.readline()
        found = re.search(r"https?://[^\s]+", line)
        assert found, f"the gateway did not start: {line!r}\n{self.log_path.read_text()[-2000:]}"
        self.wait_ready()

    def wait_ready(self, within=10):
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.url}/health/readiness", timeout=2).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"the gateway is not ready\n{self.log_path.read_text()[-2000:]}")

    def is_alive(self):
        return self.process.poll() is None

    def memory_bytes(self):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self, within=40):
        return end(self.process, within=within) if self.process else 0


MODELS = {
    "relay": {"policy": "relay"},
    "fixed-3": {"policy": "fixed(3)"},
    "random-30": {"policy": "random(0.3)"},
    "slm": {"policy": "slm"},
    "llm": {"policy": "llm"},
    "prompted": {"policy": "prompted"},
    "prompted-slm": {"policy": "slm", "prompted": {}},
    "strict": {"policy": "relay", "on_refused": "fail"},
    "resume": {"policy": "relay", "on_llm_eos": "resume"},
}


class Stack:
    """Two fakes (or more), a database and a gateway in front of them."""

    def __init__(self, postgres, directory, dialect="vllm", speaks=None, script=None, slm_flags=(), llm_flags=(),
                 replicas=1, upstream=None, config=None):
        directory = Path(directory)
        speaks = speaks or dialect
        self.dialect = dialect
        self.directory = directory
        self.script = script
        self.llm_flags = llm_flags
        self.speaks = speaks
        self.slms = [Fake("slm", speaks, directory, script, flags=slm_flags) for _ in range(replicas)]
        self.slm = self.slms[0]
        self.llm = Fake("llm", speaks, directory, script, flags=llm_flags)
        self.database = postgres.create_database()
        common = {"dialect": dialect, "template": "chatml", "connect_timeout": "1s", "first_byte_timeout": "2s",
                  "idle_timeout": "2s", **(upstream or {})}
        fakes = [(f"slm-{index}", fake) for index, fake in enumerate(self.slms)] + [("llm-0", self.llm)]
        self.gateway = Gateway({
            "listen": {"host": "127.0.0.1", "port": free_port(), "body_limit": "256KiB"},
            "postgres": {"url": self.database.url},
            "upstreams": [
                {"name": name, "model": fake.name, "url": fake.url + "/v1", **common} for name, fake in fakes],
            "pairs": [{"name": "pair", "slm": [name for name, _ in fakes[:-1]], "llm": "llm-0"}],
            "models": [{"name": name, "pair": "pair", **model} for name, model in MODELS.items()],
            "shutdown": {"deadline": "10s"},
            **(config or {}),
        }, directory)
        self.key = self.gateway.prepare()
        self.gateway.start()

    def client(self, key=None, **options):
        return openai.OpenAI(api_key=key or self.key, base_url=self.gateway.url + "/v1", max_retries=0, timeout=60,
                             **options)

    def post(self, path="/v1/chat/completions", key=None, headers=None, **options):
        headers = {"authorization": f"Bearer {key or self.key}", **(headers or {})}
        return httpx.post(self.gateway.url + path, headers=headers, timeout=60, **options)

    def chat(self, marker, model="relay", **fields):
        """One chat whose prompt carries a marker; the raw response."""
        messages = [{"role": "user", "content": f"[[{marker}]] Question."}]
        return self.post(json={"model": model, "messages": messages, **fields})

    def restart_llm(self):
        self.llm = Fake("llm", self.speaks, self.directory, self.script, port=self.llm.port, flags=self.llm_flags)

    def truth(self):
        """The lines of all fakes' truth logs."""
        return [line for fake in [*self.slms, self.llm] if fake.process.poll() is None for line in fake.log()]

    def request_row(self, request_id):
        rows = self.database.rows(f"SELECT * FROM requests WHERE id = '{request_id}'")
        assert len(rows) == 1, f"{len(rows)} rows for request {request_id}"
        return rows[0]

    def segment_rows(self, request_id):
        return self.database.rows(
            f"SELECT * FROM segments WHERE request_id = '{request_id}' ORDER BY choice, seq, attempt")

    def stop(self):
        status = self.gateway.stop()
        for fake in [*self.slms, self.llm]:
            fake.stop()
        return status
