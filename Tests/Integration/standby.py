"""A real standby of a PostgreSQL of the test's own."""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import servers


def wait_for_answer(server, query, value, within=10):
    deadline = time.monotonic() + within
    while server.psql("postgres", query).strip() != value:
        assert time.monotonic() < deadline, query
        time.sleep(0.05)


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
        self.port = servers.free_port()
        options = f"-k {self.root} -p {self.port} -c listen_addresses= -c max_connections=200"
        self.control("start", "-o", options)
        wait_for_answer(primary, "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'", "1", within=20)

    def control(self, command, *options):
        call = [servers.POSTGRES / "pg_ctl", "-D", self.root / "data", "-w", "-l", self.root / "log", *options, command]
        subprocess.run([*self.primary.prefix, *call], check=True, stdout=subprocess.DEVNULL, cwd="/")

    def signal(self, number):
        """Freezes or thaws all of its processes."""
        main = int((self.root / "data" / "postmaster.pid").read_text().split()[0])
        found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(main)], capture_output=True, text=True).stdout
        for pid in (main, *map(int, found.split())):
            os.kill(pid, number)

    def url(self, database):
        return f"postgresql://postgres@/{database}?host={self.root}&port={self.port}"

    def psql(self, database, query):
        call = [servers.POSTGRES / "psql", "-XtA", "-d", self.url(database), "-c", query]
        return subprocess.run(call, check=True, capture_output=True, text=True).stdout

    def catch_up(self):
        """Returns when it has replayed all that the primary has written."""
        end = self.primary.psql("postgres", "SELECT pg_current_wal_lsn()").strip()
        wait_for_answer(self.primary, f"SELECT bool_and(replay_lsn >= '{end}') FROM pg_stat_replication", "t", within=20)

    def stop(self):
        self.control("stop", "-m", "immediate")
        shutil.rmtree(self.root, ignore_errors=True)
