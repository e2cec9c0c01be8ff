"""Traces out of a ledger and into another one."""

import csv
import io
import json
import os
import pty
import re
import subprocess
import time
from pathlib import Path

import pytest

from servers import require
from traces import START, audit, fill, installation


@pytest.fixture
def ledger(postgres, tmp_path):
    tool = installation(postgres, tmp_path / "one")
    fill(tool, 300)
    return tool


def export(tool, *options):
    return tool.tool("trace", "export", *options)


def test_a_ledger_goes_out_and_in_and_out_again_unchanged(ledger, postgres, tmp_path):
    first = tmp_path / "first.jsonl"
    export(ledger, "--output", str(first))
    lines = [json.loads(line) for line in first.read_text().splitlines()]
    assert len(lines) == 300
    assert [line["request_id"] for line in lines] == sorted(line["request_id"] for line in lines)
    # Number 30: tags, verdicts, a call. The SLM read 20 tokens at 100 and wrote 10 at 700 pico-dollars; nobody prices
    # the LLM.
    line = lines[30]
    assert line["tags"] == {"te\"am": "a,\"b\"\n0", "user": "u0"}
    assert [segment["cost_pico"] for segment in line["segments"]] == [20 * 100 + 10 * 700, None, 20 * 100 + 5 * 700]
    assert [(verdict["source"], verdict["verdict"]) for verdict in line["verdicts"]] == [("people", 0.25), ("tests", 1.0)]
    other = installation(postgres, tmp_path / "two")
    said = other.tool("trace", "import", str(first), "--key", other.key)
    assert said == "300 request(s) written, 0 there already, 120 verdict(s), 0 bad line(s)\n"
    second = tmp_path / "second.jsonl"
    export(other, "--output", str(second))
    assert second.read_bytes() == first.read_bytes()
    # Usage was counted with them, by the ledger's own path, in the partitions of their month.
    audit(other)
    assert other.database.rows("SELECT sum(requests) AS n FROM usage_of_requests") == [{"n": 300}]
    assert other.database.rows("SELECT count(*) AS n FROM requests_default") == [{"n": 0}]
    # Once more: nothing changes.
    said = other.tool("trace", "import", str(first), "--key", other.key)
    assert said == "0 request(s) written, 300 there already, 120 verdict(s), 0 bad line(s)\n"
    assert other.database.rows("SELECT count(*) AS n FROM verdicts") == [{"n": 120}]
    audit(other)


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_cut_export_goes_on_where_it_was_cut(ledger, tmp_path, form):
    whole = tmp_path / "whole"
    export(ledger, "--output", str(whole), "--format", form)
    data = whole.read_bytes()
    ends = [place + 1 for place, byte in enumerate(data) if byte == 10]
    cuts = [0, 1, ends[0] - 1, ends[0], ends[0] + 1, ends[1], ends[2], len(data) // 2, ends[-2], len(data) - 1, len(data)]
    for cut in cuts:
        part = tmp_path / f"part-{cut}"
        part.write_bytes(data[:cut])
        export(ledger, "--output", str(part), "--format", form, "--resume")
        assert part.read_bytes() == data, cut
    missing = tmp_path / "missing"
    export(ledger, "--output", str(missing), "--format", form, "--resume")
    assert missing.read_bytes() == data
    # A limit counts what is there.
    export(ledger, "--output", str(missing), "--format", form, "--resume", "--limit", "300")
    assert missing.read_bytes() == data


def test_a_file_of_somebody_else_is_left_alone(ledger, tmp_path):
    path = tmp_path / "file"
    path.write_text("precious\n")
    assert "is there already; choose another file, or --resume" in ledger.refused_tool(
        "trace", "export", "--output", str(path))
    assert "line 1: is not what an export of this format writes" in ledger.refused_tool(
        "trace", "export", "--output", str(path), "--resume")
    assert path.read_text() == "precious\n"
    assert "--resume: needs --output" in ledger.refused_tool("trace", "export", "--resume")
    assert "cannot write" in ledger.refused_tool("trace", "export", "--output", str(tmp_path / "no" / "file"))


# Of 0 to 299: a third has a call; even numbers have tags; a second apart, so 60 are in a minute.
@pytest.mark.parametrize("options, count", [
    (["--where", "llm_tokens>0"], 100), (["--where", "llm_tokens > 0", "--where", "degraded=1"], 8),
    (["--tag", "user=u4"], 30), (["--tag", "user=u4", "--tag", "te\"am=a,\"b\"\n1"], 10), (["--tag", "user=u5"], 0),
    (["--policy", "relay"], 100), (["--model", "other"], 75), (["--outcome", "failed"], 28), (["--limit", "7"], 7),
    (["--from", "2025-03-10T00:01", "--to", "2025-03-10T00:02:00Z"], 60), (["--from", "2025-03-11"], 0),
    (["--tenant", "acme"], 300), (["--since", "1h"], 0),
])
def test_filters_choose(ledger, options, count):
    lines = export(ledger, *options).splitlines()
    assert len(lines) == count


@pytest.mark.parametrize("options, message", [
    (["--where", "tokens>0"], "--where: must be FIELD OPERATOR NUMBER"), (["--tag", "user"], "--tag: must be KEY=VALUE"),
    (["--from", "tomorrow"], "--from: must be a date"), (["--from", "2025-03-02", "--to", "2025-03-01"], "--to: must be"),
    (["--from", "2025-03-02", "--since", "1h"], "--from: give it or --since"), (["--format", "xml"], "--format"),
    (["--outcome", "done"], "--outcome"), (["--tenant", "nobody"], "no tenant is named"),
])
def test_bad_filters_are_named(ledger, options, message):
    assert message in ledger.refused_tool("trace", "export", *options)


def test_a_device_is_not_gone_on_with(ledger):
    said = ledger.refused_tool("trace", "export", "--output", "/dev/full", "--resume")
    assert "/dev/full is no file" in said


def test_csv_has_a_row_for_each_segment(ledger):
    rows = list(csv.DictReader(io.StringIO(export(ledger, "--format", "csv"))))
    # 100 requests of three segments, 200 of two.
    assert len(rows) == 100 * 3 + 200 * 2
    mine = rows[:3]
    assert {row["request_id"] for row in mine} == {mine[0]["request_id"]}
    assert [row["segment_role"] for row in mine] == ["slm", "llm", "slm"]
    assert [row["segment_tokens"] for row in mine] == ["10", "7", "5"]
    assert [row["segment_cost_pico"] for row in mine] == [str(20 * 100 + 10 * 700), "", str(20 * 100 + 5 * 700)]
    assert json.loads(mine[0]["tags"]) == {"te\"am": "a,\"b\"\n0", "user": "u0"}
    assert [verdict["source"] for verdict in json.loads(mine[0]["verdicts"])] == ["people", "tests"]
    assert mine[0]["arrived_ms"] == str(START)
    assert mine[0]["segment_error"] == 'a "quoted", text'


def test_bad_lines_are_named(ledger, postgres, tmp_path):
    lines = export(ledger, "--limit", "5").splitlines()
    other = installation(postgres, tmp_path / "two")
    path = tmp_path / "bad.jsonl"
    path.write_text("\n".join([lines[0], lines[1].replace('"role":"slm"', '"role":"tiny"', 1), lines[2]]) + "\n")
    call = ["trace", "import", str(path), "--key", other.key]
    said = other.refused_tool(*call)
    assert "line 2: segments[0].role must be slm or llm; correct it and run the same again" in said
    # What is before it is in.
    assert [json.loads(line)["request_id"] for line in export(other).splitlines()] == [json.loads(lines[0])["request_id"]]
    said = other.refused_tool(*call, "--skip-bad")
    assert "line 2: segments[0].role" in said and "1 bad line(s) were skipped" in said
    assert export(other).splitlines() == [lines[0], lines[2]]
    # The rest, dry and then in earnest.
    path.write_text("\n".join(lines))
    said = other.tool("trace", "import", str(path), "--key", other.key, "--dry-run")
    assert said.startswith("3 request(s) would be written, 2 there already")
    assert len(export(other).splitlines()) == 2
    other.tool("trace", "import", str(path), "--key", other.key)
    assert export(other).splitlines() == lines
    audit(other)


def test_only_tags_that_the_tenant_has_chosen_are_told_apart(ledger, postgres, tmp_path):
    path = tmp_path / "traces.jsonl"
    lines = [json.loads(line) for line in export(ledger, "--limit", "4").splitlines()]
    many = {f"{number:02}" + "\u4e00" * 62: "v" * 128 for number in range(40)}
    lines[0]["tags"] = {**many, "team": "a"}
    path.write_text("\n".join(json.dumps(line) for line in lines))
    other = installation(postgres, tmp_path / "two")
    other.tool("tenant", "tags", "acme", "team,user")
    call = [require("relaygate"), "trace", "import", str(path), "--key", other.key, "--config", str(other.path)]
    for options in (["--dry-run"], []):
        done = subprocess.run([*call, *options], capture_output=True, text=True, timeout=60)
        # 40 keys and one of number 2; user is chosen. Eight are named.
        assert done.returncode == 0 and "and 33 more are kept with the requests" in done.stderr, done
        assert "relaygate tenant tags acme KEYS" in done.stderr and "\"user\"" not in done.stderr
    assert [json.loads(line)["tags"] for line in export(other).splitlines()] == [line["tags"] for line in lines]
    assert other.database.rows("SELECT DISTINCT key FROM tag_values ORDER BY 1") == [{"key": "team"}, {"key": "user"}]
    # One row for each request and role, all of which an index can hold; numbers 0 and 3 have calls.
    assert other.database.rows("SELECT compact_usage() AS n, (SELECT count(*) FROM usage_request_deltas) AS left")[0]["n"] > 0
    assert other.database.rows("SELECT (SELECT count(*) FROM usage_request_deltas) AS n") == [{"n": 0}]
    audit(other)


def test_bad_tags_make_a_bad_line(ledger, postgres, tmp_path):
    path = tmp_path / "traces.jsonl"
    line = json.loads(export(ledger, "--limit", "1"))
    other = installation(postgres, tmp_path / "two")
    for tags, message in (({str(number): "" for number in range(65)}, "line 1: tags must have at most 64 members: leave out"),
                          ({"x" * 65: ""}, "must have a name of 1 to 64 characters: shorten it"),
                          ({"note": "x" * 513}, "line 1: tags.note must have at most 512 characters: shorten it")):
        path.write_text(json.dumps({**line, "tags": tags}))
        assert message in other.refused_tool("trace", "import", str(path), "--key", other.key)
    assert other.database.rows("SELECT count(*) AS n FROM requests") == [{"n": 0}]


def test_imports_are_somebodys(ledger, postgres, tmp_path):
    path = tmp_path / "traces.jsonl"
    export(ledger, "--limit", "3", "--output", str(path))
    other = installation(postgres, tmp_path / "two", tenant="globex")
    call = ["trace", "import", str(path)]
    assert "line 1: tenant is acme, the key belongs to globex" in other.refused_tool(*call, "--key", other.key)
    assert "belongs to tenant globex, not acme" in other.refused_tool(*call, "--key", other.key, "--tenant", "acme")
    assert "no active tenant has a key" in other.refused_tool(*call, "--key", "nobody")
    assert "--key is required" in other.refused_tool(*call)
    assert "cannot read" in other.refused_tool("trace", "import", str(tmp_path / "none"), "--key", other.key)
    other.tool(*call, "--key", other.key, "--tenant", "globex")
    assert [json.loads(line)["tenant"] for line in export(other).splitlines()] == ["globex"] * 3
    # The ids are taken; another tenant cannot have them.
    other.tool("tenant", "create", "acme")
    acme = other.create_key("acme").removeprefix("sk-relay-").split("-")[0]
    assert "line 1: request_id is a request of another tenant here" in other.refused_tool(*call, "--key", acme)


def test_progress_is_shown_on_a_terminal(ledger, tmp_path):
    master, slave = pty.openpty()
    call = [require("relaygate"), "trace", "export", "--output", tmp_path / "file", "--config", ledger.path]
    done = subprocess.run(call, stderr=slave, timeout=60)
    os.close(slave)
    shown = os.read(master, 65536).decode()
    os.close(master)
    assert done.returncode == 0
    assert re.search(r"\r\x1b\[K\[#{20}\] 100 %, 300 requests, [\d,]+/s\r\n$", shown), repr(shown)


def peak_bytes(tool, path):
    """The most memory that an export takes, and how long it runs."""
    began = time.monotonic()
    process = subprocess.Popen([require("relaygate"), "trace", "export", "--output", path, "--config", tool.path])
    peak = 0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak = max([peak] + [int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:")])
        except (FileNotFoundError, ProcessLookupError):
            pass
        # Often enough to see the peak of a short run.
        time.sleep(0.005)
    assert process.returncode == 0
    return peak, time.monotonic() - began


def test_an_export_takes_constant_memory(postgres, tmp_path):
    small, large = installation(postgres, tmp_path / "one"), installation(postgres, tmp_path / "two")
    fill(small, 5_000)
    fill(large, 50_000)
    of_small, _ = peak_bytes(small, tmp_path / "small.jsonl")
    of_large, took = peak_bytes(large, tmp_path / "large.jsonl")
    size = (tmp_path / "large.jsonl").stat().st_size
    print(f"peak {of_small / 2**20:.1f} MiB for 5,000, {of_large / 2**20:.1f} MiB for 50,000 in {took:.1f} s, {size} bytes")
    assert (tmp_path / "large.jsonl").read_bytes().count(b"\n") == 50_000
    # The file of the larger one is more than ten times that.
    assert of_small > 2**20 and size > 30 * 2**20
    assert of_large < of_small + 4 * 2**20
