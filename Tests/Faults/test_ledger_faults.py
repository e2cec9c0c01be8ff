"""The ledger is hurt: nothing that a caller was told is lost, nothing is there twice, other tenants notice nothing."""

import json
import os
import subprocess
import time

import httpx
import pytest
from cluster import wait_for
from load import Load
from proxy import Plan
from servers import POSTGRES

LEDGER = "INTO requests"
SPOOL = {"ledger": {"spool": "{folder}/spool"}, "postgres": {"outage_grace": "60s"}}


def metric(gateway, name):
    text = httpx.get(f"{gateway.url}/metrics").text
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith(f"relaygate_ledger_{name} ")))


def is_written(gateway):
    return metric(gateway, "queued_bytes") == 0 and metric(gateway, "spool_bytes") == 0


def check(cluster, tenants=("acme",)):
    """Each answered call has its row, once, with its segments and its tokens; the books are right."""
    audit = json.loads(cluster.tools.tool("audit", "--json", check=False))
    assert not [item for item in audit if item["broken"]], audit
    rows = cluster.database.rows("""
        SELECT r.id, t.name, r.llm_tokens, r.outcome, count(s.*) AS segments,
            coalesce(sum(s.generated_tokens) FILTER (WHERE s.role = 'llm'), 0) AS tokens
        FROM requests r JOIN tenants t ON t.id = r.tenant_id LEFT JOIN segments s ON s.request_id = r.id
        GROUP BY r.id, t.name""")
    known = {row["id"]: row for row in rows}
    held = [call for call in cluster.calls if call.is_answered]
    for call in held:
        row = known.get(call.answer.headers["x-request-id"])
        assert row, f"{call.marker} is not in the ledger"
        assert (row["name"], row["llm_tokens"], row["segments"], row["tokens"]) == (
            call.tenant, call.llm_tokens, len(call.report["segments"]), call.llm_tokens), (row, call.report)
    assert len({call.answer.headers["x-request-id"] for call in held}) == len(held)
    # What the usage tables count is what is there.
    counted = cluster.database.rows("SELECT coalesce(sum(requests), 0)::int8 AS n FROM usage_of_requests")[0]["n"]
    assert counted == len(rows)
    return held, rows


@pytest.mark.parametrize("mode", ["before", "after"])
def test_connections_that_break_at_commit(make_cluster, mode):
    cluster = make_cluster(gateways=1, proxied=True)
    cluster.add_tenant("other")
    for at in (1, 2, 3):
        plan = cluster.proxy.plan = Plan(at=at, mode=mode, of=[LEDGER])
        wait_for(lambda: cluster.load(6, parallel=3) and cluster.load(2, tenant="other") and plan.fired, 20,
                 lambda: f"only {plan.count} batches")
    assert all(call.is_answered for call in cluster.calls)
    held, rows = check(cluster)
    assert len(held) == len(rows) and {call.tenant for call in held} == {"acme", "other"}
    assert metric(cluster.gateways[0], "retries_total") >= 3


@pytest.fixture
def small_disk(postgres):
    """A file system of a few megabytes for one database."""
    folder = postgres.root / "small"
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)], capture_output=True,
                          text=True)
    if done.returncode != 0:
        pytest.skip(f"a small file system cannot be made here: {done.stderr}")
    subprocess.run(["chown", "--reference", str(postgres.root / "data"), str(folder)], check=True)
    postgres.psql("postgres", f"CREATE TABLESPACE small LOCATION '{folder}'")
    yield folder
    (folder / "filler").unlink(missing_ok=True)
    for row in postgres.psql("postgres", "SELECT datname FROM pg_database WHERE dattablespace = "
                             "(SELECT oid FROM pg_tablespace WHERE spcname = 'small')").split():
        postgres.psql("postgres", f"DROP DATABASE {row} WITH (FORCE)")
    postgres.psql("postgres", "DROP TABLESPACE small")
    subprocess.run(["umount", str(folder)], check=True)


def fill(folder):
    """Takes all that is left."""
    with (folder / "filler").open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


@pytest.mark.parametrize("spool", [False, True], ids=["memory", "spool"])
def test_a_full_disk_of_the_database(make_cluster, postgres, small_disk, spool):
    cluster = make_cluster(gateways=1, proxied=True, config=SPOOL if spool else None)
    gateway = cluster.gateways[0]
    name = cluster.database.name
    postgres.psql("postgres", f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    postgres.psql("postgres", f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{name}'")
    postgres.psql("postgres", f"ALTER DATABASE {name} SET TABLESPACE small")
    postgres.psql("postgres", f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    wait_for(lambda: cluster.call(gateway, f"ten#acme.{time.monotonic()}").is_answered, 20, "it does not come back")
    before = metric(gateway, "retries_total")
    with Load(cluster, entry="ten", callers=8) as load:
        wait_for(lambda: len(load.served()) > 20, 20, "nobody is served")
        fill(small_disk)
        try:
            wait_for(lambda: metric(gateway, "retries_total") >= before + 3, 40, "the disk is not full")
            full = time.monotonic()
            if spool:
                wait_for(lambda: len(load.served(since=full)) > 50, 20, "nobody is served while the disk is full")
            else:
                # As long as pages have room.
                wait_for(lambda: not load.served(since=time.monotonic() - 2), 40, "served while nothing can be written")
        finally:
            (small_disk / "filler").unlink()
        wait_for(lambda: load.served(since=time.monotonic() - 1), 20, "it does not recover")
    wait_for(lambda: is_written(gateway), 20, "it is not written")
    held, rows = check(cluster)
    assert len(rows) == len(cluster.calls) == len(held)


@pytest.mark.parametrize("end", ["killed", "stopped"])
def test_the_spool_bridges_an_outage_and_an_end(make_cluster, postgres, end):
    cluster = make_cluster(gateways=1, config=SPOOL)
    gateway = cluster.gateways[0]
    cluster.add_tenant("other")
    cluster.load(10)
    cluster.load(2, tenant="other")
    postgres.control("stop", "immediate")
    cluster.load(30)
    cluster.load(10, tenant="other")
    assert all(call.is_answered for call in cluster.calls), "requests are served during the outage"
    assert httpx.get(f"{gateway.url}/health/readiness").json() == {"status": "ready", "ledger": "spooled"}
    assert metric(gateway, "spooled_total") == 40 and metric(gateway, "spool_bytes") > 0
    if end == "killed":
        gateway.kill()
    else:
        gateway.stop()
    folder = gateway.path.parent / "spool"
    files = [file for file in folder.iterdir() if file.suffix == ".spool"]
    assert files and all(file.stat().st_mode & 0o777 == 0o600 for file in files)
    # A write that was under way.
    with files[-1].open("ab") as file:
        file.write(files[-1].read_bytes()[:100])
    postgres.control("start")
    assert json.loads(cluster.tools.tool("ledger", "status", "--json"))["spool"]["files"] == len(files)
    gateway.start()
    wait_for(lambda: metric(gateway, "spool_bytes") == 0, 20, "the spool is not emptied")
    assert sorted(os.listdir(folder)) == ["lock"]
    held, rows = check(cluster)
    assert len(held) == len(rows) == 52


def everything(database):
    """All that the database would give away in a backup."""
    server = database.server
    done = subprocess.run([POSTGRES / "pg_dump", "-h", str(server.root), "-p", str(server.port), "-U", "postgres",
                           "--data-only", database.name], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize("user", ["rosa", None], ids=["one user", "the tenant"])
def test_who_is_forgotten_before_the_spool_is_read_stays_forgotten(make_cluster, postgres, user):
    cluster = make_cluster(gateways=1, config=SPOOL)
    gateway = cluster.gateways[0]
    cluster.add_tenant("other")
    for tenant in ("acme", "other"):
        cluster.tools.tool("tenant", "tags", tenant, "user")
        cluster.tools.tool("tenant", "capture", tenant, "text")
    time.sleep(1)  # A gateway looks for changes of tenants twice a second.

    def ask(tenant, user, times):
        for number in range(times):
            body = {"model": "relay", "user": user, "messages": [
                {"role": "user", "content": f"[[ten#{tenant}.{user}-{number}]] I am {user}-of-{tenant}"}]}
            answer = cluster.client.post(f"{gateway.url}/v1/chat/completions", json=body, timeout=30,
                                         headers={"authorization": f"Bearer {cluster.keys[tenant]}"})
            assert answer.status_code == 200

    def places(word):
        """How often a word is in the database: as text, and in the bytes of prompts."""
        text = everything(cluster.database)
        return text.count(word), text.count(word.encode().hex())

    people = [("acme", "rosa"), ("acme", "lily"), ("other", "rosa")]
    for tenant, name in people:
        ask(tenant, name, 1)
    postgres.control("stop", "immediate")
    for tenant, name in people:
        ask(tenant, name, 3)
    assert metric(gateway, "spooled_total") == 9
    gateway.kill()
    spool = b"".join(file.read_bytes() for file in (gateway.path.parent / "spool").glob("*.spool"))
    assert spool.count(b"I am rosa-of-acme") == 3
    postgres.control("start")
    assert places("rosa-of-acme")[1] == 1
    of_user = ["--user", user] if user else []
    told = json.loads(cluster.tools.tool("tenant", "forget", "acme", *of_user, "--yes", "--json"))
    assert told["requests"] == (1 if user else 2)
    assert places("rosa-of-acme") == (0, 0)
    gateway.start()
    wait_for(lambda: metric(gateway, "spool_bytes") == 0, 20, "the spool is not emptied")
    assert sorted(os.listdir(gateway.path.parent / "spool")) == ["lock"]
    assert places("rosa-of-acme") == (0, 0)
    assert places("lily-of-acme")[1] == (4 if user else 0)
    assert places("rosa-of-other")[1] == 4
    # Four requests of each person; only those that were forgotten say nothing.
    assert cluster.database.rows("""
        SELECT t.name, r.tags ->> 'user' AS user, count(DISTINCT r.id) AS requests, count(p.*) > 0 AS has_text
        FROM requests r JOIN tenants t ON t.id = r.tenant_id LEFT JOIN payloads p ON p.request_id = r.id
        GROUP BY 1, 2 ORDER BY 1, 2""") == [
        *([{"name": "acme", "user": "lily", "requests": 4, "has_text": True}] if user else []),
        {"name": "acme", "user": None, "requests": 4 if user else 8, "has_text": False},
        {"name": "other", "user": "rosa", "requests": 4, "has_text": True}]
    check(cluster)


def test_a_spool_that_cannot_be_used(make_cluster):
    cluster = make_cluster(gateways=1, config=SPOOL)
    second = type(cluster.tools)({**cluster.gateways[0].config}, cluster.directory)
    for path, reason in ((second.config["ledger"]["spool"], "is used by another gateway"),
                         ("/nonexistent/spool", "No such file or directory"), ("/dev/null", "Not a directory")):
        second.config["ledger"]["spool"] = path
        second.path.write_text(json.dumps(second.config))
        done = subprocess.run([second.program(), "serve", "--config", second.path], capture_output=True, text=True,
                              env=second.environment, timeout=20)
        assert done.returncode == 1 and "ledger.spool: " in done.stderr and reason in done.stderr, done.stderr


LARGE = "x" * (10 << 20)
# No index of PostgreSQL holds a value of 12,000 characters that cannot be compressed.
POISON = {"nul": "a\0b", "surrogate": "\ud800", "long": os.urandom(6000).hex(), "large": LARGE}


def poisons():
    """Bodies that a caller can send, and the statuses that may answer them."""
    fields = {
        "user": lambda text: {"user": text},
        "metadata": lambda text: {"metadata": {"team": text}},
        "metadata-key": lambda text: {"metadata": {text: "x"}},
        "model": lambda text: {"model": text},
        "prompt": lambda text: {"messages": [{"role": "user", "content": "[[ten#acme.poison]] " + text}]},
    }
    for field, make in fields.items():
        for kind, text in POISON.items():
            body = {"model": "relay", "messages": [{"role": "user", "content": "[[ten#acme.poison]]"}], **make(text)}
            yield f"{field}-{kind}", json.dumps(body).encode()
        marked = {"model": "relay", "messages": [{"role": "user", "content": "[[ten#acme.poison]]"}], **make("@@")}
        yield f"{field}-utf8", json.dumps(marked).encode().replace(b"@@", b"\xff\xfe\xc3")


def test_poison_in_everything_that_a_caller_can_set(make_cluster):
    cluster = make_cluster(gateways=1)
    cluster.add_tenant("other")
    cluster.tools.tool("tenant", "tags", "acme", "user,team")
    cluster.tools.tool("tenant", "capture", "acme", "text")
    gateway = cluster.gateways[0]
    time.sleep(1)  # A gateway looks for changes of tenants twice a second.
    statuses = {}
    with Load(cluster, entry="ten", callers=3, tenant="other") as others:
        for name, body in poisons():
            answer = cluster.client.post(
                f"{gateway.url}/v1/chat/completions", content=body, timeout=60,
                headers={"authorization": f"Bearer {cluster.keys['acme']}", "content-type": "application/json"})
            statuses[name] = answer.status_code
            if answer.status_code == 200:
                found = cluster.database.rows(
                    f"SELECT count(*) AS n FROM requests WHERE id = '{answer.headers['x-request-id']}'")
                assert found[0]["n"] == 1, name
    print(statuses)
    assert set(statuses.values()) <= {200, 400, 404, 413}, statuses
    assert len(others.calls) > 20 and all(call.is_answered for call in others.calls)
    assert metric(gateway, "dead_letters_total") == 0, "a caller can make a dead letter"
    check(cluster)
