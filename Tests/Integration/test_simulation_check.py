"""What Docs/simulation-check.md says: the simulator against the recorded runs of two real models."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

from servers import require

FOLDER = Path(__file__).resolve().parents[2] / "Simulations" / "real-models"


def compare(trace):
    return subprocess.run([sys.executable, FOLDER / "compare.py", trace, "--relaygate", require("relaygate")],
                          capture_output=True, text=True, timeout=120)


def test_what_really_ran_is_what_was_simulated():
    done = compare(FOLDER / "trace.jsonl.gz")
    assert done.returncode == 0 and "NOT SO" not in done.stdout, done.stdout + done.stderr
    page = (FOLDER.parents[1] / "Docs" / "simulation-check.md").read_text(encoding="utf-8")
    for line in done.stdout.splitlines():
        words = line.split()
        # Of rows such as "fixed:20 0.19 llm_tokens [1607, 6820] 2840" the page has the bounds and what happened.
        if "[" in line and len(words) == 6 and words[2] != "accuracy":
            low, high, happened = (int(word.strip("[],")) for word in words[3:])
            assert f"[{low:,}, {high:,}] | {happened:,} |" in page


def test_what_is_outside_of_its_bounds_is_told(tmp_path):
    with gzip.open(FOLDER / "trace.jsonl.gz", "rt", encoding="utf-8") as file:
        requests = [json.loads(line) for line in file]
    one = next(request for request in requests if request["model"] == "fixed-20")
    one["llm_tokens"] += 10_000
    with gzip.open(tmp_path / "trace.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(request) + "\n" for request in requests)
    done = compare(tmp_path / "trace.jsonl.gz")
    assert done.returncode == 1 and done.stdout.count("NOT SO") == 1
