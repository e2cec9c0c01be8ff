"""Turns the lines of a generator of synthetic traces into lines of the trace format, version 2 (Docs/trace-format.md).

  python3 GENERATOR --epochs 22 | python3 trace_lines.py > traces.jsonl

Its lines have the members of version 2 that a simulation needs, but `benchmark`, `question_id` and `verdict` of their
own, the policies `relay`, `slm_only` and `llm_only`, and serial numbers for ids.
"""

import json
import sys

POLICIES = {"relay": "relay", "slm_only": "slm", "llm_only": "llm"}
FINISHES = {"turn_limit": "forbidden", "error": "failed"}


def segment(old, sequence, context):
    """One segment; `context` is what the SLM has read so far, commands included."""
    is_llm = old["role"] == "llm"
    return {
        "role": old["role"], "choice": 0, "seq": sequence, "attempt": 1, "model": "large" if is_llm else "small",
        "upstream": "large" if is_llm else "small", "requested": old["requested"],
        "granted": old["granted"] if is_llm and old["requested"] is not None else None, "tokens": old["tokens"],
        "command_tokens": 0 if is_llm else old["command_tokens"], "finish": FINISHES.get(old["finish"], old["finish"]),
        "input_tokens": old["input_tokens"] if is_llm else context,
        "cached_input_tokens": old["cached_input_tokens"] if is_llm else 0, "cache_write_tokens": None,
        "source": "reported", "command_source": "counted", "cost_pico": None, "started_ms": 0, "ms": old.get("ms", 0),
        "first_token_ms": None, "error": None}


def line(old, serial):
    """The line of version 2 for one of the generator's."""
    arrived = old["arrived_ms"]
    segments, context = [], old["prompt_tokens"]
    for sequence, piece in enumerate(old["segments"]):
        segments.append(segment(piece, sequence, context))
        context += piece["tokens"]
    slm = sum(s["tokens"] for s in segments if s["role"] == "slm")
    llm = sum(s["tokens"] for s in segments if s["role"] == "llm")
    commands = sum(s["command_tokens"] for s in segments)
    name = old["policy"]["name"]
    propensity = old["policy"]["propensity"]
    verdicts = []
    if old["verdict"] is not None:
        verdicts.append({"choice": 0, "source": "benchmark", "verdict": old["verdict"],
                         "judged_ms": old["finished_ms"], "note": ""})
    digits = f"{arrived:012x}7000{0x8000000000000000 + serial:016x}"
    identifier = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
    return {
        "version": 2, "request_id": identifier, "tenant": old["tenant"], "model": "relay",
        "policy": {"name": POLICIES[name], "version": "0", "propensity": None if propensity == 1 else propensity},
        "endpoint": "chat", "stream": False, "arrived_ms": arrived, "finished_ms": old["finished_ms"],
        "outcome": "completed", "finish": "stop", "error": None, "degraded": None, "choices": 1,
        "calls": sum(1 for s in segments if s["granted"]), "malformed": 0, "prompt_tokens": old["prompt_tokens"],
        "slm_tokens": slm, "llm_tokens": llm, "command_tokens": commands, "visible_tokens": slm + llm - commands,
        "tags": {"benchmark": old["benchmark"], "question": old["question_id"]}, "segments": segments,
        "verdicts": verdicts, "counterfactual": old["counterfactual"]}


def main():
    for serial, text in enumerate(sys.stdin):
        sys.stdout.write(json.dumps(line(json.loads(text), serial), separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
