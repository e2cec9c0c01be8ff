#!/usr/bin/env python3
"""Holds what the simulator says of a trace against what the gateway did under the policies.

    relaygate trace export --tag run=1 --output trace.jsonl && gzip trace.jsonl
    compare.py trace.jsonl.gz --relaygate relaygate [--log prompted]

The log is the requests of the model --log. What slm and llm really wrote for the same questions is put beside each of
them as its counterfactual, as shadow runs would have recorded it; then the simulator answers scenario.yaml from the
log, and its numbers stand beside those that are counted here from the requests of the other models. Exits with 1 when
an exact number differs or a bound does not hold what happened.
"""
import argparse
import collections
import csv
import gzip
import json
import math
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
ACTUAL = {"as-logged": None, "slm": "slm", "llm": "llm", "random:0.3": "random-0.3", "fixed:20": "fixed-20",
          "fixed:100": "fixed-100"}


def verdict(request):
    (only,) = request["verdicts"]
    return only["verdict"]


def counted(requests):
    """Accuracy, LLM tokens, SLM tokens and calls of what really ran."""
    return {"accuracy": sum(map(verdict, requests)) / len(requests),
            "llm_tokens": sum(r["llm_tokens"] for r in requests), "slm_tokens": sum(r["slm_tokens"] for r in requests),
            "calls": sum(r["calls"] for r in requests)}


def simulate(relaygate, log):
    """The report, and the ids of the requests to run again by policy."""
    with tempfile.TemporaryDirectory() as directory:
        trace, again = pathlib.Path(directory, "log.jsonl"), pathlib.Path(directory, "again.csv")
        trace.write_text("".join(json.dumps(request) + "\n" for request in log), encoding="utf-8")
        done = subprocess.run(
            [relaygate, "simulate", HERE / "scenario.yaml", "--traces", trace, "--format", "json",
             "--rerun-list", again], check=True, stdout=subprocess.PIPE, text=True)
        with open(again, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    rerun = collections.defaultdict(set)
    for row in rows:
        for policy in row["rerun_for"].split("; "):
            rerun[policy].add(row["request_id"])
    return json.loads(done.stdout), rerun


def cells(report, section):
    """The cells of a section's table, by policy and column."""
    (found,) = [s for s in report["sections"] if s["name"] == section]
    names = [column["name"] for column in found["columns"]]
    return {row[0]["text"]: dict(zip(names, row)) for row in found["rows"]}


def deviation(log, name, share):
    """The standard deviation of one run of a random router: sqrt(p (1 - p) sum of squared differences)."""
    pairs = [(r["counterfactual"]["slm_only"], r["counterfactual"]["llm_only"]) for r in log]
    steps = {"accuracy": [(w["verdict"] - s["verdict"]) / len(log) for w, s in pairs],
             "slm_tokens": [w["tokens"] for w, _ in pairs], "llm_tokens": [s["tokens"] for _, s in pairs],
             "calls": [0]}[name]
    return math.sqrt(share * (1 - share) * sum(step * step for step in steps))


def same_prefix(one, other):
    """Whether the SLM's first turn had the same length and end: the test of same draws that counts allow."""
    first, second = one["segments"][0], other["segments"][0]
    return all(first[name] == second[name] for name in ("tokens", "finish", "requested", "input_tokens"))


def same_tokens(one, other):
    return all(one[name] == other[name] for name in ("slm_tokens", "llm_tokens", "calls", "visible_tokens"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("trace")
    parser.add_argument("--relaygate", default="relaygate")
    parser.add_argument("--log", default="prompted")
    options = parser.parse_args()
    by_model = collections.defaultdict(dict)
    repeats = {}
    with gzip.open(options.trace, "rt", encoding="utf-8") as file:
        requests = [json.loads(line) for line in file]
    for request in requests:
        question = request["tags"]["question"]
        # The second run of the log's model is the test of determinism.
        if question in by_model[request["model"]]:
            repeats[question] = request
        else:
            by_model[request["model"]][question] = request
    log = by_model[options.log]
    for question, request in log.items():
        request["counterfactual"] = {
            name: {"verdict": verdict(by_model[model][question]), "tokens": by_model[model][question][member]}
            for name, model, member in (("slm_only", "slm", "slm_tokens"), ("llm_only", "llm", "llm_tokens"))}
        request["counterfactual"]["inclusion_probability"] = 1
    report, rerun = simulate(options.relaygate, list(log.values()))
    policies, replayable = cells(report, "policies"), cells(report, "replayable")
    failures = 0
    print(f"{'policy':<12} {'replayable':>10} {'number':<11} {'simulated':>24} {'happened':>12}")
    for policy, model in ACTUAL.items():
        happened = counted(list((by_model[model] if model else log).values()))
        share = replayable[policy]["replayable"]
        for name, value in happened.items():
            # The simulator says the mean of a router's draws; one draw is allowed four standard deviations.
            is_drawn = policy.startswith("random:")
            room = 4 * deviation(list(log.values()), name, float(policy[7:])) if is_drawn else 1e-9
            said, holds = judged(policies[policy][name], value, room)
            failures += not holds
            print(f"{policy:<12} {share.get('value', '-'):>10} {name:<11} {said:>24} {value:>12.6g}"
                  f"{'' if holds else '   NOT SO'}")
    print("\nThe assumption of the bounds, that a model writes the same after the same text, held in")
    for policy in ("fixed:20", "fixed:100"):
        other = by_model[ACTUAL[policy]]
        same = sum(same_prefix(log[q], other[q]) for q in log)
        known = [q for q in log if log[q]["request_id"] not in rerun[policy]]
        print(f"{same} of {len(log)} first turns of the SLM under {policy}; "
              f"{sum(same_tokens(log[q], other[q]) for q in known)} of the {len(known)} replayable requests, whole")
    if repeats:
        same = sum(same_tokens(log[q], repeats[q]) for q in repeats)
        print(f"{same} of {len(repeats)} requests that {options.log} was asked again, whole")
    return 1 if failures else 0


def judged(cell, value, room):
    """The simulator's words for a number, and whether what happened agrees, with so much room beside an exact one."""
    if "kind" not in cell:
        return "-", True
    if cell["kind"] == "exact":
        return cell["value"], abs(float(cell["value"]) - value) <= room
    low, high = (float(cell[end]) if cell.get(end) else None for end in ("low", "high"))
    if low is None:
        return cell["kind"], True
    said = f"[{cell['low']}, {cell['high']}]" if high is not None else f">= {cell['low']}"
    return said, low <= value and (high is None or value <= high)


if __name__ == "__main__":
    sys.exit(main())
