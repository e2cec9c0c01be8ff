"""What the benchmarks share: the processes under test, their clean end, and the statistics of what was measured.

Everything listens on the loopback at free ports, lives in one temporary directory, and is stopped by process id.
"""

import contextlib
import json
import math
import os
import platform
import pwd
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def fail(message):
    """Ends the benchmark with one line on standard error."""
    sys.exit(f"error: {message}")


def free_port():
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def require_commands(*packages):
    """Installs the Debian packages whose command (`name`, or `name:package`) is missing."""
    path = os.environ.get("PATH", "") + ":/usr/sbin"
    missing = [entry.split(":")[-1] for entry in packages if shutil.which(entry.split(":")[0], path=path) is None]
    os.environ["PATH"] = path
    if not missing:
        return
    root = [] if os.geteuid() == 0 else ["sudo"]
    # The packages' own services must not start: the benchmarks run private ones.
    command = [*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "--yes",
               "--no-install-recommends", "-o", "DPkg::Options::=--force-confdef", *missing]
    print(f"installing {' '.join(missing)}", file=sys.stderr)
    if subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode != 0:
        fail(f"cannot install {' '.join(missing)}")


def build():
    """Builds the release binaries and returns their directory."""
    command = ["swift", "build", "-c", "release", "--package-path", str(ROOT)]
    if subprocess.run([*command, "-q"], check=False).returncode != 0:
        fail("the release build failed")
    shown = subprocess.run([*command, "--show-bin-path"], check=True, capture_output=True, text=True)
    return Path(shown.stdout.strip())


class Bench(contextlib.AbstractContextManager):
    """The processes of one benchmark. Leaving the context stops all of them, the last one started first."""

    def __init__(self, binaries=None):
        self.binaries = Path(binaries).resolve() if binaries else build()
        self.directory = Path(tempfile.mkdtemp(prefix="relaygate-bench-"))
        self.directory.chmod(0o755)
        self.processes = []
        self.environment = dict(os.environ)

    def __exit__(self, *_):
        for process, how in reversed(self.processes):
            self._end(process, how)
        shutil.rmtree(self.directory, ignore_errors=True)

    @staticmethod
    def _end(process, how):
        if process.poll() is not None:
            return
        process.send_signal(how)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def start(self, command, *, name, how=signal.SIGTERM, ready=None, **options):
        """Starts a process. With `ready`, waits for a line of its output that matches and returns the match as well."""
        log = self.directory / f"{name}.log"
        stdout = subprocess.PIPE if ready else open(log, "wb")
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=open(log, "ab"), env=self.environment, **options)
        self.processes.append((process, how))
        if not ready:
            return process, None
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            line = process.stdout.readline().decode()
            match = re.search(ready, line)
            if match:
                return process, match
            if not line and process.poll() is not None:
                break
        fail(f"{name} did not start:\n{log.read_text(errors='replace')}")

    # PostgreSQL

    def start_postgres(self, *options):
        """A private cluster with the server's own defaults: fsync and synchronous_commit are on."""
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        initdb = str(found[-1]) if found else shutil.which("initdb")
        if not initdb:
            fail("PostgreSQL's initdb is not installed")
        binaries = Path(initdb).parent
        owner = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        account = pwd.getpwnam(owner)
        data = self.directory / "postgres"
        data.mkdir(mode=0o700)
        identity = {}
        if os.geteuid() == 0:
            os.chown(data, account.pw_uid, account.pw_gid)
            identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        done = subprocess.run(
            [initdb, "-D", data, "-U", "bench", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"],
            capture_output=True, cwd="/", check=False, **identity)
        if done.returncode != 0:
            fail(f"initdb failed: {done.stderr.decode()}")
        port = free_port()
        # SIGINT is PostgreSQL's fast shutdown.
        command = [binaries / "postgres", "-D", data, "-p", str(port), "-c", "listen_addresses=127.0.0.1",
                   "-c", "unix_socket_directories=", *options]
        self.postgres, _ = self.start(command, name="postgres-server", how=signal.SIGINT, cwd="/", **identity)
        self.psql = [binaries / "psql", "-h", "127.0.0.1", "-p", str(port), "-U", "bench", "-d", "postgres", "-qAt"]
        self.environment["DATABASE_URL"] = f"postgresql://bench@127.0.0.1:{port}/postgres"
        for _ in range(100):
            if subprocess.run([*self.psql, "-c", "SELECT 1"], capture_output=True, check=False).returncode == 0:
                return
            time.sleep(0.1)
        fail("PostgreSQL did not start")

    def sql(self, query):
        """The one value that the query gives."""
        return subprocess.run([*self.psql, "-c", query], check=True, capture_output=True, text=True).stdout.strip()

    # Model servers and the gateway

    def start_fake(self, role, *flags):
        """A model server without a model; returns its port."""
        command = [self.binaries / "fake-model", "--port", "0", "--role", role, "--name", f"bench-{role}", *flags]
        process, match = self.start(command, name=f"fake-{role}", ready=r"LISTENING (\d+)")
        return process, int(match.group(1))

    def relaygate(self, *arguments):
        """Runs a tool command and returns what it printed."""
        done = subprocess.run([self.binaries / "relaygate", *arguments], env=self.environment, capture_output=True,
                              text=True, check=False)
        if done.returncode != 0:
            fail(f"relaygate {' '.join(map(str, arguments))}: {done.stderr}{done.stdout}")
        return done.stdout

    def start_gateway(self, slm, llm, *, dialect="openai", receipt="committed", idle_timeout="60s"):
        """Migrates the database, makes a tenant with a key, and serves. Sets `url`, `key` and `gateway`."""
        path = self.directory / "relaygate.yaml"
        path.write_text(f"""
listen:
  port: 0
postgres:
  url: env:DATABASE_URL
ledger:
  receipt: {receipt}
upstreams:
  - name: small
    model: bench-slm
    url: http://127.0.0.1:{slm}/v1
    dialect: {dialect}
    idle_connections: 256
    idle_timeout: {idle_timeout}
  - name: large
    model: bench-llm
    url: http://127.0.0.1:{llm}/v1
    dialect: {dialect}
    idle_connections: 256
    idle_timeout: {idle_timeout}
pairs:
  - name: default
    slm: small
    llm: large
log:
  level: warning
""")
        config = ["--config", path]
        self.relaygate("migrate", *config)
        self.relaygate("tenant", "create", "bench", *config)
        self.key = json.loads(self.relaygate("key", "create", "--tenant", "bench", "--json", *config))["key"]
        self.gateway, match = self.start(
            [self.binaries / "relaygate", "serve", *config], name="relaygate", how=signal.SIGTERM,
            ready=r"listening on http://127.0.0.1:(\d+)/v1")
        self.gateway_port = int(match.group(1))

    def start_nginx(self, upstream):
        """nginx as a plain proxy: no buffering, connections to the upstream kept; returns its port."""
        port = free_port()
        directory = self.directory / "nginx"
        directory.mkdir()
        path = directory / "nginx.conf"
        user = "user root;" if os.geteuid() == 0 else ""
        path.write_text(f"""
{user}
daemon off;
worker_processes auto;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    keepalive_requests 100000000;
    upstream model {{
        server 127.0.0.1:{upstream};
        keepalive 256;
        keepalive_requests 100000000;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://model;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
}}
""")
        self.start(["nginx", "-c", path, "-p", directory, "-e", directory / "error.log"], name="nginx",
                   how=signal.SIGTERM)
        wait_for_port(port)
        return port


# A POST of one body, and one line of results that Load reads.
WRK_SCRIPT = """
wrk.method = "POST"
wrk.path = "/v1/completions"
wrk.headers["content-type"] = "application/json"
wrk.headers["authorization"] = "Bearer %(key)s"
wrk.body = [==[%(body)s]==]
done = function(summary, latency, requests)
    local e = summary.errors
    print(string.format(
        'RESULT {"requests":%%d,"seconds":%%f,"errors":%%d,"status":%%d,"p50":%%f,"p99":%%f}', summary.requests,
        summary.duration / 1e6, e.connect + e.read + e.write + e.timeout, e.status, latency:percentile(50),
        latency:percentile(99)))
end
"""


class Load:
    """One target under wrk."""

    def __init__(self, name, port, script):
        self.name, self.port, self.script = name, port, script

    def run(self, connections, seconds):
        done = subprocess.run(
            ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", self.script,
             f"http://127.0.0.1:{self.port}"], check=True, capture_output=True, text=True)
        line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
        result = json.loads(line[7:])
        result["rate"] = (result["requests"] - result["status"]) / result["seconds"]
        return result


def wait_for_port(port):
    """Returns when somebody listens."""
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    fail(f"nobody listens on port {port}")


def post(port, path, body, key=None):
    """One POST; returns the answer's bytes."""
    headers = {"content-type": "application/json"}
    if key:
        headers["authorization"] = f"Bearer {key}"
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read()


def get_json(port, path):
    """One GET of a JSON document."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
        return json.load(answer)


def memory_kib(pid, field="VmRSS"):
    """A memory figure of a process from the kernel, in KiB."""
    return int(re.search(rf"{field}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()).group(1))


def cpu_seconds(pid):
    """Processor time that a process has used, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def family_cpu_seconds(parent):
    """Processor time of a process and its children that still run."""
    total = cpu_seconds(parent)
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError):
            if int(path.read_text().rpartition(")")[2].split()[1]) == parent:
                total += cpu_seconds(path.parent.name)
    return total


def percentile(values, share):
    """The smallest value that `share` of all values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


def spread(values, digits=2):
    """`median (min-max)`."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def print_machine():
    """Says what the numbers were measured on."""
    model = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    versions = []
    for command in (["nginx", "-v"], ["swift", "--version"], ["psql", "--version"]):
        with contextlib.suppress(OSError):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            versions.append((done.stdout + done.stderr).strip().splitlines()[0])
    print(f"machine: {os.cpu_count()} x {model.group(1) if model else platform.machine()}, "
          f"Linux {platform.release()}, load {os.getloadavg()[0]:.1f}")
    print("versions: " + "; ".join(versions))
