"""`relaygate simulate` from outside: the scenarios of Simulations/ with what they must answer, formats, shards, errors."""

import collections
import csv
import io
import json
import math
import os
import pty
import random
import re
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from servers import require
from traces import fill, installation

ROOT = Path(__file__).resolve().parents[2]
SIMULATIONS = ROOT / "Simulations"
TRACE = SIMULATIONS / "small" / "trace.jsonl"
EXPECTED = json.loads((SIMULATIONS / "expected.json").read_text(encoding="utf-8"))
PAIRS = SIMULATIONS / "data" / "gsm8k_pairs.csv"


def call(*arguments, **more):
    return subprocess.run([require("relaygate"), "simulate", *map(str, arguments)], capture_output=True, timeout=120, **more)


def simulate(*arguments):
    done = call(*arguments)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def report(*arguments):
    return json.loads(simulate(*arguments, "--format", "json"))


def cells(document):
    """Each cell by section, texts that its row begins with, and column."""
    found = {}
    for section in document["sections"]:
        for row in section.get("rows", []):
            texts = []
            for cell in row:
                if cell is None or "text" not in cell:
                    break
                texts.append(cell["text"])
            for column, cell in zip(section["columns"], row):
                found[section["name"], " / ".join(texts), column["name"]] = cell
    return found


def value(cell):
    return [cell["low"], cell["high"]] if cell["kind"] == "bounded" else cell["value"]


# The scenarios

@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_scenario_answers_what_was_computed_without_the_program(name):
    answers = cells(report(SIMULATIONS / f"{name}.yaml"))
    wrong = []
    for section, row, column, expected in EXPECTED[name]:
        cell = answers.get((section, row, column))
        if cell is None or value(cell) != expected or cell["kind"] not in ("exact", "bounded"):
            wrong.append((section, row, column, expected, cell))
    assert not wrong
    assert len(EXPECTED[name]) >= 8


def test_every_scenario_has_an_expected_result():
    assert {path.stem for path in SIMULATIONS.glob("*.yaml")} == set(EXPECTED)


def test_the_expected_results_and_the_trace_are_what_their_scripts_make(tmp_path):
    done = subprocess.run([sys.executable, SIMULATIONS / "expected.py"], capture_output=True, text=True, check=True)
    assert done.stdout == (SIMULATIONS / "expected.json").read_text(encoding="utf-8")
    script = tmp_path / "make_trace.py"
    shutil.copy(SIMULATIONS / "small" / "make_trace.py", script)
    subprocess.run([sys.executable, script], check=True)
    assert (tmp_path / "trace.jsonl").read_bytes() == TRACE.read_bytes()


def test_the_list_of_requests_to_run_again_is_that_of_the_report(tmp_path):
    path = tmp_path / "again.csv"
    answers = cells(report(SIMULATIONS / "cap-n-at-50.yaml", "--rerun-list", path))
    rows = list(csv.DictReader(path.open(newline="")))
    # A call of more than 50 tokens is cut; the trace says which requests have one.
    cut = [line["request_id"] for line in map(json.loads, TRACE.read_text().splitlines())
           if any(segment["role"] == "llm" and segment["tokens"] > 50 for segment in line["segments"])]
    assert [row["request_id"] for row in rows] == cut
    assert str(len(cut)) == answers["replayable", "cap-n:50", "rerun"]["value"]
    assert {row["rerun_for"] for row in rows} == {"cap-n:50"}


def walk(limit):
    """Which requests a daily budget of each tenant degrades, in the order of arrival: the first call that does not fit
    takes what is left, and later ones get nothing."""
    used, degraded = collections.Counter(), []
    for line in sorted(map(json.loads, TRACE.read_text().splitlines()), key=lambda line: line["request_id"]):
        window = line["tenant"], line["arrived_ms"] // 86_400_000
        for tokens in (segment["tokens"] for segment in line["segments"] if segment["role"] == "llm"):
            granted = min(tokens, limit - used[window])
            used[window] += granted
            if granted < tokens:
                degraded.append(line["request_id"])
                break
    return degraded


def test_the_list_of_budgets_says_who_is_degraded(tmp_path):
    asked = [SIMULATIONS / "halve-the-budget.yaml", "--budget-list"]
    answers = cells(report(*asked, tmp_path / "list.csv"))
    rows = list(csv.DictReader((tmp_path / "list.csv").open(newline="")))
    for limit in (400, 200):
        mine = [row for row in rows if row["budget_policy"] == f"{limit} a day"]
        assert [row["request_id"] for row in mine] == walk(limit) and {row["answer"] for row in mine} == {"degraded"}
    assert [row["arrived"] for row in rows] == sorted(row["arrived"] for row in rows)
    # A tenant's requests are in one shard, so that its list is that of the whole.
    for part in (1, 2, 3):
        simulate(*asked, tmp_path / f"{part}.csv", "--shard", f"{part}/3", "--partial", tmp_path / f"{part}")
    parts = [row for part in (1, 2, 3) for row in csv.DictReader((tmp_path / f"{part}.csv").open(newline=""))]
    assert sorted(map(str, parts)) == sorted(map(str, rows))
    # Of one token for each tenant: the first call takes it and is cut, and who comes later is rejected.
    simulate("--traces", TRACE, "--budget", "1/total/reject", "--budget-list", tmp_path / "reject.csv")
    found = [(row["request_id"], row["answer"]) for row in csv.DictReader((tmp_path / "reject.csv").open(newline=""))]
    used, expected = set(), []
    for line in sorted(map(json.loads, TRACE.read_text().splitlines()), key=lambda line: line["request_id"]):
        calls = [segment["tokens"] for segment in line["segments"] if segment["role"] == "llm"]
        if line["tenant"] in used:
            expected.append((line["request_id"], "refused"))
        elif calls:
            used.add(line["tenant"])
            expected.append((line["request_id"], "degraded"))
    assert found == expected
    done = call("--traces", TRACE, "--policy", "slm", "--budget-list", tmp_path / "none.csv")
    assert done.returncode == 64 and b"--budget-list: needs a policy of budgets" in done.stderr


# Sources and formats

def test_the_paper_is_derived_from_its_tables():
    answers = cells(report("--paper"))
    name = "1.7B RelayLLM-Difficulty"
    rows = {key[2]: cell for key, cell in answers.items() if key[1].startswith(name) and key[0] == "headline"}
    # 42.50 + 0.0107 · 11.62 = 42.624334; 49.52 - 42.624334; 7.02 / 11.62; 1 - 0.0107 / (7.02 / 11.62).
    assert rows["gain"]["value"] == "6.895666"
    p_star = Fraction(702, 1162)
    assert rows["matched_share"]["value_fraction"] == f"{p_star.numerator}/{p_star.denominator}"
    reduction = 1 - Fraction(107, 10000) / p_star
    assert float(rows["reduction"]["value"]) == pytest.approx(float(reduction), abs=1e-12)


def test_random_routers_between_the_pairs_are_a_straight_line():
    document = report("--pairs", PAIRS, "--random-router", "0.1,0.5,0.9", "--seed", "7")
    rows = list(csv.DictReader(PAIRS.open(newline="")))
    weak, strong = (sum(row[name] == "1" for row in rows) for name in ("weak_correct", "strong_correct"))
    section = next(section for section in document["sections"] if section["name"] == "random_router")
    names = [column["name"] for column in section["columns"]]
    found = [float(row[names.index("accuracy")]["value"]) for row in section["rows"]]
    assert found == pytest.approx([(weak + share * (strong - weak)) / len(rows) for share in (0.1, 0.5, 0.9)], abs=1e-12)
    assert document["provenance"]["seed"] == "7"
    assert document["provenance"]["command"] == f"relaygate simulate --pairs {PAIRS} --random-router 0.1,0.5,0.9 --seed 7"


def test_scores_of_routers_are_those_of_their_formulas():
    prices = ["--price", "slm=0.6/0.6", "--price", "llm=10/30"]
    answers = cells(report("--pairs", PAIRS, *prices, "--replicates", "0"))
    rows = list(csv.DictReader(PAIRS.open(newline="")))

    def bill(model, price_in, price_out):
        tokens = sum(int(row["prompt_tokens"]) * price_in + int(row[f"{model}_tokens"]) * price_out for row in rows)
        return sum(row[f"{model}_correct"] == "1" for row in rows) / len(rows), tokens / 1000 / len(rows)

    for name, (accuracy, dollars) in [("SLM only", bill("weak", 0.6, 0.6)), ("LLM only", bill("strong", 10, 30))]:
        part = (math.log2(200) - math.log2(dollars)) / (math.log2(200) - math.log2(0.0044))
        score = 1.1 * accuracy * part / (0.1 * accuracy + part)
        found = [float(answers["router_scores", f"{name} / all", column]["value"])
                 for column in ("accuracy", "cost", "arena_cost", "arena_score")]
        assert found == pytest.approx([accuracy, dollars, part, score], abs=1e-10)
    assert answers["router_scores", "SLM only / all", "cost_save"] is None
    assert "less accurate" in answers["router_scores", "SLM only / all", "note"]["text"]
    assert answers["router_scores", "LLM only / all", "cost_save"]["value"] == "0"


def test_published_rows_are_compared_with_random_routers(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("system,accuracy_percent,slm_accuracy_percent,llm_accuracy_percent,call_ratio_percent\n"
                    "mine,49.52,42.50,54.12,1.07\nbetter,60,42.50,54.12,\n")
    values = [cell.get("value") or cell.get("text") for key, cell in cells(report("--rows", path)).items() if cell]
    assert "6.895666" in values
    assert any("above the LLM" in value for value in values)


def test_all_formats_say_the_same():
    scenario = SIMULATIONS / "halve-the-budget.yaml"
    document = report(scenario)
    rows = list(csv.DictReader(io.StringIO(simulate(scenario, "--format", "csv").decode(), newline="")))
    numbers = {(row["section"], int(row["row"]), row["column"]): row for row in rows if row["kind"] != "text"}
    count = 0
    for section in document["sections"]:
        for index, row in enumerate(section.get("rows", [])):
            for column, cell in zip(section["columns"], row):
                if cell is None or "text" in cell:
                    continue
                other = numbers[section["name"], index + 1, column["name"]]
                assert [other[name] for name in ("kind", "value", "low", "high", "unit", "reason")] == [
                    cell["kind"], *(cell.get(name) or "" for name in ("value", "low", "high", "unit", "reason"))]
                count += 1
    assert count == len(numbers) > 100
    page, table = simulate(scenario, "--format", "html").decode(), simulate(scenario).decode()
    for text in ("Halve the budget", "[0.3462, 0.7821]", "2,191", "20260108"):
        assert text in page and text in table
    assert not re.search(r"<script|https?:|<link|<img|@import", page)
    assert page.count("<svg") >= 4
    for form in (page, table):
        for word in ("Definitions", "trace format", "report format", "relaygate simulate", "max_calls 4"):
            assert word in form


def test_output_goes_to_a_file_whole(tmp_path):
    path = tmp_path / "report.html"
    assert simulate(SIMULATIONS / "cap-n-at-50.yaml", "--format", "html", "--output", path) == b""
    assert path.read_bytes() == simulate(SIMULATIONS / "cap-n-at-50.yaml", "--format", "html")
    done = call("--paper", "--output", tmp_path / "no" / "file")
    assert done.returncode == 1 and b"--output: " in done.stderr


def test_what_is_no_file_is_written_to_and_not_replaced(tmp_path):
    report = simulate("--paper")
    target, link, pipe = tmp_path / "target", tmp_path / "link", tmp_path / "pipe"
    target.write_text("old")
    link.symlink_to(target)
    assert simulate("--paper", "--output", link) == b""
    assert link.is_symlink() and target.read_bytes() == report
    simulate("--traces", TRACE, "--cap-n", "32", "--rerun-list", link)
    assert link.is_symlink() and target.read_bytes().startswith(b'"request_id"')
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
        simulate("--paper", "--output", pipe)
        assert reader.communicate(timeout=60)[0] == report
    assert pipe.is_fifo()
    done = call("--paper", "--output", tmp_path)
    assert done.returncode == 1 and b"is a directory; name a file in it" in done.stderr


def test_what_is_read_is_not_written_over(tmp_path):
    (tmp_path / "link.jsonl").symlink_to(TRACE)
    own = tmp_path / "own.jsonl"
    own.write_bytes(TRACE.read_bytes())
    first, second = tmp_path / "1", tmp_path / "2"
    for part, path in enumerate((first, second), 1):
        simulate("--traces", own, "--shard", f"{part}/2", "--partial", path)
    held = {path: path.read_bytes() for path in (own, first, second, TRACE)}
    for arguments in (["--traces", own, "--output", own], ["--traces", own, "--rerun-list", tmp_path / "." / "own.jsonl"],
                      ["--traces", own, "--partial", own], ["--traces", tmp_path / "link.jsonl", "--output", TRACE],
                      ["--pairs", own, "--output", own], ["merge", first, second, "--output", first]):
        done = call(*arguments)
        assert done.returncode == 64 and b"is read as well; name another file" in done.stderr, (arguments, done.stderr)
    assert {path: path.read_bytes() for path in held} == held
    (tmp_path / "again.jsonl").symlink_to(own)
    done = call("--traces", own, "--traces", tmp_path / "again.jsonl")
    assert done.returncode == 64 and b"is given twice" in done.stderr
    done = call("--traces", own, "--output", tmp_path / "new", "--rerun-list", tmp_path / "." / "new")
    assert done.returncode == 64 and b"is the file of --output as well" in done.stderr
    assert not (tmp_path / "new").exists()
    # What is no file is not used up.
    simulate("--traces", own, "--output", "/dev/null", "--rerun-list", "/dev/null")


def test_the_limits_of_a_trace_are_given_with_an_option():
    asked = ["--traces", TRACE, "--policy", "fixed:20"]
    document = report(*asked, "--relay", "max_calls=7,max_call_tokens=900", "--relay", "max_tokens=2000,max_malformed=0")
    said = {item["name"]: item["value"] for item in document["coverage"]}
    assert said["relay limits"] == "max_calls 7, max_call_tokens 900, max_malformed 0, max_tokens 2000"


def test_a_list_of_a_run_that_failed_is_left_nowhere(tmp_path):
    trace = tmp_path / "trace.jsonl"
    trace.write_bytes(TRACE.read_bytes() + b"{\n")
    done = call("--traces", trace, "--cap-n", "32", "--rerun-list", tmp_path / "list.csv")
    assert done.returncode == 1 and [path.name for path in tmp_path.iterdir()] == ["trace.jsonl"]


# What others wrote

HOSTILE = '=cmd|"/c calc"!A1\x1b[31m\x1b]0;t\x07\x9b2J<script>alert(1)</script>\u202e\r\nx'


@pytest.mark.parametrize("form", ["table", "json", "csv", "html"])
@pytest.mark.parametrize("name", ["tenant", "model", "benchmark"])
def test_names_of_callers_do_nothing(name, form, tmp_path):
    trace = tmp_path / "trace.jsonl"
    lines = [json.loads(line) for line in TRACE.read_text().splitlines()]
    for line in lines:
        line["tenant"] = line["model"] = line["tags"]["benchmark"] = HOSTILE
    trace.write_text("".join(json.dumps(line) + "\n" for line in lines))
    text = simulate("--traces", trace, "--group-by", name, "--budget", "100/day", "--format", form).decode()
    assert "alert(1)" in text
    allowed = "\r\n" if form == "csv" else "\n"
    # JSON is for programs, and has to escape no more than the controls of ASCII.
    high = 0x7F if form == "json" else 0xA0
    assert not [scalar for scalar in text if scalar not in allowed and (ord(scalar) < 0x20 or 0x7F <= ord(scalar) < high)]
    if form == "html":
        assert "<script" not in text
    if form in ("html", "table"):
        assert "\u202e" not in text
    if form == "csv":
        cells = [cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row]
        assert any("cmd|" in cell for cell in cells) and not any(cell.startswith("=") for cell in cells)


def test_a_selection_that_finds_nothing_is_said(tmp_path):
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    assert report("--traces", empty)["warnings"][0].startswith("there are no requests: the source is empty")
    assert report("--traces", TRACE, "--from", "2030-01-01")["warnings"][0].startswith(
        "there are no requests: nothing fits the selection")
    question = ["--traces", TRACE, "--tenant", "acme", "--tenant", "acmee", "--served", "relay", "--served", "realy"]
    said = ["no request that was selected is of the tenant acmee",
            "no request that was selected was served under the policy realy"]
    whole = report(*question)
    assert whole["warnings"][:2] == said
    for index in (1, 2, 3):
        simulate(*question, "--shard", f"{index}/3", "--partial", tmp_path / str(index))
    assert report("merge", *(tmp_path / name for name in "231")) == whole
    assert not any("selected" in text for text in report(*question[:4])["warnings"])
    names = ["--traces", TRACE, "--group-by", "benchmrk", "--cluster", "tag:queston", "--verdict-source", "test"]
    said = ["no request that was selected has the tag benchmrk (group_by)",
            "no request that was selected has the tag queston (cluster)",
            "no request that was selected has a verdict of the source test (verdict_source)"]
    for text, wanted in zip(report(*names)["warnings"], said, strict=False):
        assert text.startswith(wanted), text
    names = ["--traces", TRACE, "--group-by", "benchmark", "--cluster", "tag:question", "--verdict-source", "tests"]
    assert not any("selected" in text for text in report(*names)["warnings"])


@pytest.mark.parametrize("member, change, rule", [
    ("slm_tokens", 1, "is {wrong}, its segments have {right}"), ("llm_tokens", -1, "is {wrong}, its segments have {right}"),
    ("calls", 1, "is {wrong}, its segments have {right} that were served"),
    ("finished_ms", -10**9, "must not be before arrived_ms")])
def test_a_line_that_contradicts_itself_is_refused(member, change, rule, tmp_path):
    lines = TRACE.read_text().splitlines()
    line = json.loads(lines[1])
    right = line[member]
    line[member] += change
    path = tmp_path / "trace.jsonl"
    path.write_text("\n".join([lines[0], json.dumps(line), *lines[2:], ""]))
    done = call("--traces", path)
    assert done.returncode == 1 and done.stdout == b""
    assert f"trace.jsonl: line 2: {member} {rule.format(wrong=right + change, right=right)}" in done.stderr.decode()


def test_a_fault_of_a_table_names_its_file_and_line(postgres, tmp_path):
    tool = installation(postgres, tmp_path / "one")
    fill(tool, 20)
    good, bad, empty = tmp_path / "a.csv", tmp_path / "b.csv", tmp_path / "empty.csv"
    tool.tool("trace", "export", "--output", str(good), "--format", "csv", "--limit", "10")
    lines = good.read_bytes().splitlines(keepends=True)
    bad.write_bytes(b"".join(lines[:4]) + b"too,few\r\n")
    empty.write_bytes(b"")
    done = call("--traces", good, "--traces", bad)
    assert done.returncode == 1 and f"error: {bad}: line 5: has 2 fields" in done.stderr.decode()
    done = call("--traces", empty)
    assert f"error: {empty}: line 1: is empty: the first line of a table of traces names its columns" in done.stderr.decode()


# The same bytes, however the work is cut up

QUESTIONS = [
    ["--policy", "slm,llm,fixed:20,random:matched-tokens,oracle,cascade:0.1/0.05", "--cap-n", "32", "--price", "llm=5/20",
     "--price", "slm=0.1/0.4", "--group-by", "benchmark"],
    ["--budget", "150/day", "--group-by", "tenant", "--cluster", "tag:question"],
    ["--policy", "threshold:difficulty@share=0.3,threshold:difficulty@llm-accuracy=0.9,threshold:difficulty@cost=3",
     "--price", "llm=5/20/0.5", "--price", "slm=0.1/0.4"],
    ["--policy", "threshold:difficulty@accuracy=0.6,threshold:difficulty@accuracy=1", "--train", "0.25/random",
     "--cluster", "tenant"],
]


@pytest.mark.parametrize("question", QUESTIONS)
def test_threads_and_the_order_of_files_change_nothing(question, tmp_path):
    lines = TRACE.read_bytes().splitlines(keepends=True)
    files = [tmp_path / name for name in ("b.jsonl", "a.jsonl", "c.jsonl")]
    for path, part in zip(files, (lines[:30], lines[30:31], lines[31:])):
        path.write_bytes(b"".join(part))
    # A file that ends inside a line, and one with other line ends.
    files[0].write_bytes(files[0].read_bytes().rstrip(b"\n"))
    def run(order, threads):
        named = [word for path in order for word in ("--traces", path)]
        return simulate(*named, *question, "--threads", threads, "--format", "json")
    first = run(files, 1)
    for order in (files[::-1], files[1:] + files[:1]):
        assert run(order, 3) == first
    # And the whole file says the same of the requests.
    whole = report("--traces", TRACE, *question)
    assert json.loads(first)["sections"] == whole["sections"]


@pytest.mark.parametrize("form", ["table", "json", "csv", "html"])
@pytest.mark.parametrize("question", QUESTIONS)
def test_merged_shards_are_the_whole_byte_for_byte(question, form, tmp_path):
    whole = simulate("--traces", TRACE, *question, "--format", form)
    parts = [tmp_path / f"part-{index}" for index in range(1, 17)]
    for index, path in enumerate(parts, 1):
        assert simulate("--traces", TRACE, *question, "--shard", f"{index}/16", "--partial", path) == b""
    random.Random(20260108).shuffle(parts)
    assert simulate("merge", *parts, "--format", form) == whole


def test_shards_of_a_scenario_file_need_it_no_more(tmp_path):
    scenario = tmp_path / "s.yaml"
    text = (SIMULATIONS / "cap-n-at-50.yaml").read_text().replace("small/trace.jsonl", str(TRACE))
    scenario.write_text(text)
    whole = simulate(scenario)
    for index in (1, 2):
        simulate(scenario, "--shard", f"{index}/2", "--partial", tmp_path / str(index))
    scenario.unlink()
    assert simulate("merge", tmp_path / "2", tmp_path / "1") == whole


def test_parts_of_different_files_are_merged(tmp_path):
    lines = TRACE.read_bytes().splitlines(keepends=True)
    names = []
    for index, part in enumerate((lines[:50], lines[50:])):
        path = tmp_path / f"{index}.jsonl"
        path.write_bytes(b"".join(part))
        simulate("--traces", path, "--cap-n", "32", "--partial", tmp_path / f"part-{index}")
        names += ["--traces", path]
    whole = simulate(*names, "--cap-n", "32")
    assert simulate("merge", tmp_path / "part-1", tmp_path / "part-0") == whole


def test_parts_that_do_not_belong_together_are_refused(tmp_path):
    def part(name, *arguments):
        simulate("--traces", TRACE, *arguments, "--partial", tmp_path / name)
        return tmp_path / name
    first, second = part("1", "--shard", "1/2"), part("2", "--shard", "2/2")
    other = part("other", "--cap-n", "9", "--shard", "2/2")
    def refused(*paths):
        done = call("merge", *paths)
        assert done.returncode == 1 and done.stdout == b""
        return done.stderr.decode()
    assert "missing: shard 2/2" in refused(first)
    assert "would count twice" in refused(first, second, first)
    assert "belongs to another question" in refused(first, other)
    assert "is no partial result" in refused(TRACE)
    # A bit that is wrong anywhere is noticed, in the line that says which part it is as well, and a byte that is
    # missing or too many.
    data = second.read_bytes()
    def damaged(place):
        changed = bytearray(data)
        changed[place] ^= 1
        return bytes(changed)
    number = data.index(b'"shards":2') + len(b'"shards":')
    for wrong in (damaged(len(data) // 2 + 50), damaged(number), data[:-1], data + b"\0",
                  data.replace(b'"shards":2', b'"shards":2000000000')):
        second.write_bytes(wrong)
        assert f"{second}: is damaged: run the shard again" in refused(first, second)


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_interrupted_run_goes_on(question, tmp_path):
    trace, partial = tmp_path / "trace.jsonl", tmp_path / "partial"
    lines = TRACE.read_bytes().splitlines(keepends=True)
    # The run fails at a line in the second half, having saved what was before it.
    trace.write_bytes(b"".join(lines[:60] + [b'{"version":2}\n'] + lines[61:]))
    saving = ["--traces", trace, *question, "--partial", partial, "--save-every", "16KiB"]
    done = call(*saving)
    assert done.returncode == 1 and f"{trace}: line 61: " in done.stderr.decode()
    head = json.loads(partial.read_bytes().split(b"\n", 1)[0])
    assert head["position"]["offset"] > 16384 * 3
    assert b"is not finished; run the same command again with --resume" in call("merge", partial).stderr
    # What was read before is not read again: it could be anything now, of the same length.
    saved = head["position"]["offset"]
    trace.write_bytes(b"x" * (saved - 1) + b"\n" + b"".join(lines)[saved:])
    assert call(*saving, "--resume").returncode == 0
    trace.write_bytes(b"".join(lines))
    assert simulate("merge", partial) == simulate("--traces", trace, *question)
    # A whole one is left alone, and one of another question refused.
    before = partial.read_bytes()
    simulate(*saving, "--resume")
    assert partial.read_bytes() == before
    done = call("--traces", trace, "--cap-n", "33", "--partial", partial, "--resume")
    assert b"belongs to another question or shard" in done.stderr


def test_traces_come_through_a_pipe():
    done = call("--traces", "-", "--cap-n", "32", "--format", "json", input=TRACE.read_bytes())
    assert json.loads(done.stdout)["sections"] == report("--traces", TRACE, "--cap-n", "32")["sections"]


def test_progress_is_shown_on_a_terminal():
    master, slave = pty.openpty()
    done = subprocess.run([require("relaygate"), "simulate", "--traces", TRACE], stderr=slave, stdout=subprocess.DEVNULL, timeout=60)
    os.close(slave)
    shown = os.read(master, 65536).decode()
    os.close(master)
    assert done.returncode == 0
    assert re.search(r"\r\x1b\[K\[#{20}\] 100 %, 80 requests, [\d,]+/s\r\n$", shown), repr(shown)


# The ledger

def without_source(text):
    """A report without what tells a ledger from its export."""
    document = json.loads(text)
    assert document["coverage"].pop(0)["name"] == "source"
    document["provenance"].pop("command")
    return document


def test_the_ledger_answers_as_its_export_does(postgres, tmp_path):
    tool = installation(postgres, tmp_path / "one")
    fill(tool, 300)
    path = tmp_path / "export.jsonl"
    tool.tool("trace", "export", "--output", str(path))
    question = ["--policy", "slm,fixed:7,cap-calls:0", "--verdict-source", "tests", "--group-by", "model", "--format", "json"]
    def ledger(*options):
        return json.loads(tool.tool("simulate", "--ledger", *question, *options))
    from_file = json.loads(simulate("--traces", path, *question))
    # A table of the same requests says the same.
    tool.tool("trace", "export", "--output", str(tmp_path / "export.csv"), "--format", "csv")
    assert json.loads(simulate("--traces", tmp_path / "export.csv", *question))["sections"] == from_file["sections"]
    whole = ledger()
    assert whole["sections"] == from_file["sections"]
    assert cells(whole)["policies", "as-logged / all", "llm_tokens"]["value"] == str(100 * 7)
    # Of 300 requests, a second apart, 60 are in a minute; a third of them has a call of 7 tokens.
    minute = ["--from", "2025-03-10T00:01", "--to", "2025-03-10T00:02"]
    assert cells(ledger(*minute))["policies", "as-logged / all", "llm_tokens"]["value"] == str(20 * 7)
    assert ledger(*minute)["sections"] == json.loads(simulate("--traces", path, *question, *minute))["sections"]
    assert cells(ledger("--tag", "user=u4"))["replayable", "as-logged", "requests"]["value"] == "30"
    assert cells(ledger("--served", "relay"))["replayable", "as-logged", "requests"]["value"] == "100"
    # Whole reports but for the name of the source, whatever the number of threads; budgets in the order of arrival.
    for asked in (["--policy", "as-logged", "--replicates", "0"],
                  ["--policy", "llm,random:matched-tokens,cap-n:5,oracle", "--price", "llm=2.50/10", "--cluster", "tag:user"],
                  ["--budget", "50/hour", "--budget", "20/day/reject", "--group-by", "tenant"]):
        asked = [*asked, "--verdict-source", "tests", "--format", "json"]
        wanted = without_source(simulate("--traces", path, *asked))
        for threads in "1", "3":
            assert without_source(tool.tool("simulate", "--ledger", *asked, "--threads", threads)) == wanted
    assert 'no tenant is named "nobody"' in tool.refused_tool("simulate", "--ledger", *question, "--tenant", "nobody")
    # Shards of the ledger, merged.
    for index in (1, 2, 3):
        tool.tool("simulate", "--ledger", *question[:-2], "--shard", f"{index}/3", "--partial", str(tmp_path / str(index)))
    assert report("merge", *(tmp_path / name for name in "312")) == whole
    # What cannot be replayed is named.
    tool.database.server.psql(tool.database.name, """
        ALTER TABLE segments DISABLE TRIGGER USER;
        UPDATE segments SET finish = 'refused_budget', granted = NULL, generated_tokens = 0
            WHERE role = 'llm' AND request_id = (SELECT id FROM requests WHERE calls > 0 ORDER BY id OFFSET 5 LIMIT 1)""")
    for again in "1", "2":
        said = tool.refused_tool("simulate", "--ledger", *question, "--threads", again)
        assert "the ledger: relay.budgets_refuse must be true: a budget refused a call of request " in said, said
        assert "the database cannot be used" not in said, said


# What is refused

@pytest.mark.parametrize("arguments, status, message", [
    ([], 64, "nothing to simulate: give a scenario file, or one of --paper"),
    (["--paper", "--pairs", "x"], 64, "--paper and --pairs: give one source"),
    (["--traces", TRACE, "--policy", "fxed:20"], 64, 'did you mean "fixed"?'),
    (["--traces", TRACE, "--policy", "slm,random:2"], 64, "--policy: needs a share from 0 to 1"),
    (["--traces", TRACE, "--budget", "50k/week"], 64, "--budget: must be TOKENS/WINDOW"),
    (["--traces", TRACE, "--budget", "x/day"], 64, "--budget: must be a number"),
    (["--traces", TRACE, "--price", "llm=2.5"], 64, "--price: must be MODEL=IN/OUT"),
    (["--traces", TRACE, "--price", "llm=2.5/-1"], 64, "--price: must be dollars in digits"),
    (["--traces", TRACE, "--from", "2026-01-09", "--to", "2026-01-08"], 64, "--to: must be after --from"),
    (["--traces", TRACE, "--tag", "benchmark"], 64, "--tag: must be KEY=VALUE"),
    (["--traces", TRACE, "--cluster", "question"], 64, "--cluster: must be request, tenant or tag:NAME"),
    (["--traces", TRACE, "--shard", "1/2"], 64, "--shard: needs --partial"),
    (["--traces", TRACE, "--shard", "3/2", "--partial", "x"], 64, "--shard: must be I/N"),
    (["--traces", TRACE, "--resume"], 64, "--resume: needs --partial"),
    (["--traces", TRACE, "--traces", TRACE], 64, "is given twice, its requests would count twice"),
    (["--traces", "-", "--traces", TRACE], 64, "- is standard input, and has to be alone"),
    (["--paper", "--shard", "1/2"], 64, "--shard: belongs to --traces and --ledger"),
    (["--paper", "--policy", "slm"], 64, "--policy: belongs to --traces, --ledger and --pairs: the paper's tables hold no"),
    (["--paper", "--policy", "slm", "--train", "0.5", "--budget", "5k/day", "--price", "llm=1/2"], 64,
     "--policy, --budget, --price, --train: belong to --traces, --ledger and --pairs"),
    (["--rows", "nowhere.csv", "--policy", "slm", "--train", "0.5"], 64, "--policy, --train: belong to --traces"),
    (["--rows", "nowhere.csv", "--tenant", "acme"], 64, "--tenant: belongs to --traces, --ledger and --pairs: published rows"),
    (["--paper", "--seed", "7"], 64, "--seed: belongs to --traces"),
    (["--traces", TRACE, "--columns", "slm_correct=a"], 64, "--columns: belongs to --pairs"),
    (["--traces", "nowhere.jsonl"], 1, "cannot read nowhere.jsonl"),
    (["nowhere.yaml"], 1, "nowhere.yaml: cannot be read"),
    (["--pairs", PAIRS, "--policy", "fixed:20"], 64, "--policy: fixed:20 needs a trace"),
    (["--pairs", PAIRS, "--random-router", "0.1,,0.2"], 64, "--random-router: needs a share from 0 to 1"),
    (["--traces", TRACE, "--train", "0.5"], 64, "--train: is for policies that choose a threshold, and there is none"),
    (["--traces", TRACE, "--train", "2"], 64, "--train: must be a share from 0.001 to 0.999, such as 0.5"),
    (["--traces", TRACE, "--train", "0.0001"], 64, "--train: must be a share from 0.001 to 0.999, such as 0.5"),
    (["--traces", TRACE, "--policy", "threshold:difficulty@share=0.5", "--train", "0.5/file"], 64,
     "--train: must be time or random"),
    (["--pairs", PAIRS, "--policy", "threshold:question_tokens@share=0.5", "--train", "0.5/time"], 1,
     "train.order: must be file or random"),
    (["--traces", TRACE, "--policy", "threshold:difficulty@cost=1"], 64, "threshold:difficulty@cost=1 needs prices"),
    (["--traces", TRACE, "--policy", "threshold:difficulty@shar=0.5"], 64, 'did you mean "share"?'),
    (["--traces", TRACE, "--price", "llm=1/2", "--price", "llm=2/4"], 64, '--price: "llm" has two prices'),
    (["--pairs", TRACE], 1, "trace.jsonl: is JSON and no table; trace files are given with --traces"),
    (["--traces", ROOT / "README.md"], 1, "README.md: line 1: is no JSON"),
    (["--traces", ROOT / "README.md"], 1, "a pair table is given with --pairs"),
    (["--traces", PAIRS], 1, "gsm8k_pairs.csv: line 1: request_id is no column: a table of traces"),
    (["--traces", PAIRS], 1, "this one has id, weak_correct, strong_correct"),
    (["--traces", PAIRS], 1, "a pair table is given with --pairs"),
    (["--traces", TRACE, "--group-by", "benchmark", "--paralel", "2"], 64, "unknown option"),
    (["--pairs", PAIRS, "--matched", "money"], 64, "--matched: needs a trace"),
    (["--pairs", PAIRS, "--verdict-source", "tests"], 64, "--verdict-source: needs a trace"),
    (["--pairs", PAIRS, "--relay", "max_calls=2"], 64, "--relay: needs a trace"),
    (["--pairs", PAIRS, "--tenant", "a"], 64, "--from, --to, --tenant, --tag or --served: needs a trace"),
    (["--pairs", PAIRS, "--price", "slm=1/2", "--price", "llm=3/4/1"], 64, "must have no cache"),
    (["--pairs", PAIRS, "--budget-list", "x"], 64, "--budget-list: belongs to --traces and --ledger"),
    (["--pairs", PAIRS, "--primary"], 64, "--primary: belongs to --ledger"),
    (["--traces", TRACE, "--primary"], 64, "--primary: belongs to --ledger"),
    (["--traces", TRACE, "--relay", "max_cals=1"], 64, "--relay: must be max_calls=N, max_call_tokens=N"),
    (["--traces", TRACE, "--relay", "max_call_tokens=0"], 64, "--relay: must be max_calls=N"),
    (["--traces", TRACE, "--relay", "max_call_tokens=1", "--policy", "fixed:20"], 1,
     "relay.max_call_tokens must be the largest under which the trace was made: it is 1"),
    (["--traces", TRACE, "--traces", TRACE.parent / "." / "." / TRACE.name], 64, "is given twice"),
])
def test_what_cannot_be_is_named_with_its_remedy(arguments, status, message):
    done = call(*arguments)
    assert done.returncode == status and done.stdout == b""
    said = done.stderr.decode()
    assert said.startswith("error: ") and message in said, said


def test_names_that_have_no_effect_are_told(tmp_path):
    scenario = tmp_path / "typos.yaml"
    scenario.write_text(f"""
title: Typos
source: {{traces: {TRACE}}}
policies:
  - policy: as-logged
  - name: budgets
    budgets: [{{tenant: nosuch, tokens: 5}}, {{tenant: acme, tokens: 100}}]
cost_models:
  - name: money
    basis: prices
    prices: [{{model: llm, input: 1, output: 2}}, {{model: slm, input: 0, output: 0}}, {{model: Qwen3-8B, input: 3, output: 3}}]
""")
    told = [warning for warning in report(scenario)["warnings"] if "no effect" in warning]
    assert told == ["no request that was selected was served by the model Qwen3-8B: its prices have no effect",
                    "no request that was selected is of the tenant nosuch: its budgets have no effect"]
    # A part in which a tenant does not occur says nothing of the whole.
    for part in (1, 2, 3):
        simulate(scenario, "--shard", f"{part}/3", "--partial", tmp_path / f"{part}")
    assert simulate("merge", *(tmp_path / f"{part}" for part in (3, 1, 2))) == simulate(scenario)


def test_a_wrong_scenario_tells_all_its_problems(tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text("source: {traces: a.jsonl}\npolicies:\n  - policy: slm\n  - {cap_nn: 3}\n  - {cap_n: 0}\nclusters: x\n")
    done = call(path, "--cap-n", "3")
    assert done.returncode == 1
    said = done.stderr.decode()
    for message in [f'{path}:4:6: policies[1].cap_nn: unknown key, did you mean "cap_n"?',
                    f"{path}:5:13: policies[2].cap_n: must be from 1 to", f"{path}:6:1: clusters: unknown key"]:
        assert message in said, said
    path.write_text("policies: [{policy: slm}]\n")
    said = call(path, "--cap-n", "3").stderr.decode()
    assert "--cap-n: is a part of the question, which is the file's" in said and "source: is missing" in said


@pytest.mark.parametrize("source, named", [("paper: true", "the paper's tables"), ("rows: r.csv", "published rows")])
def test_a_scenario_asks_nothing_of_published_numbers(tmp_path, source, named):
    path = tmp_path / "s.yaml"
    path.write_text(f"source: {{{source}}}\npolicies: [{{policy: slm}}]\ntrain: {{share: 0.5}}\ncost_models: []\n"
                    "group_by: tenant\nselect: {tenants: [a]}\nreplicates: 2000\n")
    done = call(path)
    said = done.stderr.decode()
    assert done.returncode == 1 and done.stdout == b""
    for line, key in enumerate(["policies", "train", "cost_models", "group_by", "select", "replicates"], 2):
        assert f"{path}:{line}:" in said and f"{key}: has nothing to act on: {named} hold no requests" in said, said
    # So is a file's question when the command line gives the source, and what is left is answered.
    path.write_text("title: Mine\npolicies: [{policy: slm}]\n")
    assert "policies: has nothing to act on: the paper's tables" in call(path, "--paper").stderr.decode()
    path.write_text("title: Mine\nsource: {paper: true}\n")
    own, paper = report(path), report("--paper")
    assert own["title"] == "Mine" and own["sections"] == paper["sections"]


def test_a_scenario_file_takes_its_data_from_the_command_line(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text("title: Mine\npolicies: [{cap_n: 32}]\nreplicates: 0\n")
    document = report(path, "--traces", TRACE, "--seed", "9")
    assert document["title"] == "Mine"
    assert document["provenance"]["command"] == f"relaygate simulate {path} --seed 9 --traces {TRACE}"
    assert document["sections"] == report("--traces", TRACE, "--cap-n", "32", "--replicates", "0", "--seed", "9")["sections"]
