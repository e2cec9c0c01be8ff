#!/usr/bin/env python3
"""Writes the small trace that the scenarios of Simulations/ are answered on: trace.jsonl beside this file.

    make_trace.py                                       # the small trace
    make_trace.py --requests 1000000 --complete > FILE  # a large one, all judged and with both models' answers

80 requests of three tenants over two days, synthetic: lengths, calls and verdicts are drawn with a fixed seed, so
the file is always the same. It has what scenarios need: verdicts, answers of either model alone for most requests,
calls of different lengths, a score, tags. Format: Docs/trace-format.md, version 2. Standard library only.
"""
import argparse
import json
import random
import sys
from pathlib import Path

START_MS = 1_767_830_400_000  # 2026-01-08 00:00 UTC
COUNT = 80
# Pico-dollars for one token: what the recorded costs were counted with.
PRICE = {"slm": (100_000, 400_000), "llm": (2_500_000, 10_000_000)}
MODEL = {"slm": "qwen3-1.7b", "llm": "qwen3-8b"}
TENANTS = ["acme"] * 5 + ["globex"] * 3 + ["initech"] * 2
# Name, mean length, chance that the SLM, the relay and the LLM are right.
BENCHMARKS = [("gsm8k", 160, 0.70, 0.80, 0.93), ("minerva", 260, 0.35, 0.50, 0.60), ("aime", 420, 0.10, 0.25, 0.40)]


def cost(role, read, cached, written):
    price_in, price_out = PRICE[role]
    # Cached tokens are read at a tenth of the price.
    return (read - cached) * price_in + cached * price_in // 10 + written * price_out


def segment(role, seq, tokens, finish, read, cached, started, **more):
    ms = 20 + tokens * (6 if role == "slm" else 18)
    return {
        "role": role, "choice": 0, "seq": seq, "attempt": 1, "model": MODEL[role], "upstream": MODEL[role] + "-1",
        "requested": more.get("requested"), "granted": more.get("granted"), "tokens": tokens,
        "command_tokens": more.get("command_tokens", 0), "finish": finish, "input_tokens": read,
        "cached_input_tokens": cached, "cache_write_tokens": None, "source": "reported", "command_source": "counted",
        "cost_pico": cost(role, read, cached, tokens), "started_ms": started, "ms": ms, "first_token_ms": 15,
        "error": None}, ms


def relayed(rng, prompt, length, calls):
    """Segments of one answer: SLM, then a call and the SLM again, as often as it calls."""
    segments, now, visible, cached = [], 1, 0, {"slm": 0, "llm": 0}

    def add(role, tokens, finish, **more):
        nonlocal now, visible
        read = prompt + visible
        one, ms = segment(role, len(segments), tokens, finish, read, cached[role], now, **more)
        segments.append(one)
        now += ms
        visible += tokens - one["command_tokens"]
        # A server keeps whole blocks of 16 tokens of what it has read.
        cached[role] = read // 16 * 16

    pieces = [max(5, length // (calls + 1) + rng.randrange(-4, 5)) for _ in range(calls + 1)]
    for call in range(calls):
        wanted = rng.choice([5, 10, 20, 20, 50, 100, 200])
        command = 5 + len(str(wanted))
        add("slm", pieces[call] + command, "call", requested=wanted, command_tokens=command)
        # One call in eight ends by itself before its limit.
        ends = rng.random() < 0.125 and wanted > 5
        add("llm", wanted - 3 if ends else wanted, "stop" if ends else "length", requested=wanted, granted=wanted)
        if ends:
            return segments, now
    add("slm", pieces[calls], "stop")
    return segments, now


def request(rng, number, arrived, is_complete):
    name, mean, slm, relay, llm = rng.choice(BENCHMARKS)
    tenant, prompt = rng.choice(TENANTS), rng.randrange(60, 180)
    length = max(40, int(rng.gauss(mean, mean / 5)))
    luck = rng.random()
    calls = rng.choices([0, 1, 2, 3], [5, 4, 2, 1])[0]
    segments, ms = relayed(rng, prompt, length, calls)
    tokens = {role: sum(s["tokens"] for s in segments if s["role"] == role) for role in ("slm", "llm")}
    commands = sum(s["command_tokens"] for s in segments)
    judged, shadowed = rng.random() < 0.95 or is_complete, rng.random() < 0.85 or is_complete
    small = {"verdict": int(luck < slm), "tokens": max(20, int(length * rng.uniform(0.9, 1.2)))}
    if not calls:
        # An answer without a call is what the SLM alone writes.
        small = {"verdict": int(luck < relay), "tokens": tokens["slm"]}
    alone = {
        "slm_only": small,
        "llm_only": {"verdict": int(luck < llm), "tokens": max(20, int(length * rng.uniform(0.8, 1.1)))},
        "inclusion_probability": 1 if is_complete else 0.85}
    # A UUID of version 7 whose first 48 bits are the time.
    stamp, low = f"{arrived:012x}", f"{number:015x}"
    tags = {"benchmark": name, "difficulty": f"{luck:.3f}", "question": f"{name}-{number % 40}"}
    if judged and shadowed:
        tags["sample"] = "shadow"
    return {
        "version": 2, "request_id": f"{stamp[:8]}-{stamp[8:]}-7000-8{low[:3]}-{low[3:]}", "tenant": tenant,
        "model": "relay", "policy": {"name": "relay", "version": "small", "propensity": None}, "endpoint": "chat",
        "stream": False, "arrived_ms": arrived, "finished_ms": arrived + ms, "outcome": "completed", "finish": "stop",
        "error": None, "degraded": None, "choices": 1, "calls": sum(s["role"] == "llm" for s in segments),
        "malformed": 0, "prompt_tokens": prompt, "slm_tokens": tokens["slm"], "llm_tokens": tokens["llm"],
        "command_tokens": commands, "visible_tokens": tokens["slm"] + tokens["llm"] - commands,
        "tags": tags,
        "segments": segments,
        "verdicts": [{"choice": 0, "source": "tests", "verdict": int(luck < relay), "judged_ms": arrived + ms + 1000,
                      "note": ""}] if judged else [],
        "counterfactual": alone if shadowed else None}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, help="how many, written to standard output")
    parser.add_argument("--complete", action="store_true")
    options = parser.parse_args()
    rng = random.Random(20260108)
    arrived = START_MS
    out = sys.stdout if options.requests else open(Path(__file__).with_name("trace.jsonl"), "w", encoding="utf-8")
    for number in range(options.requests or COUNT):
        # A large trace is of a busy hour, a small one of two days.
        arrived += rng.randrange(600_000, 3_600_000) if not options.requests else rng.randrange(2)
        out.write(json.dumps(request(rng, number, arrived, options.complete), separators=(",", ":")) + "\n")
    out.close()


if __name__ == "__main__":
    main()
