"""The script that a user would write: reads a trace with json, puts it into data frames, and adds up.

It does a part of what the simulator does with the same file: totals as logged and of either model alone, a random
router, money with 16-token cache blocks, tokens under a cap of 32 and of 100, two calls, call ratios by benchmark.

  python3 simulate_pandas.py traces.jsonl
"""

import json
import resource
import sys
import time

import numpy as np
import pandas as pd

PRICES = {"small": (100_000, 100_000, 400_000), "large": (2_500_000, 1_250_000, 10_000_000)}
CALLS = 4


def frames(path):
    """Requests and segments."""
    requests, segments = [], []
    with open(path, encoding="utf-8") as lines:
        for number, text in enumerate(lines):
            line = json.loads(text)
            other = line["counterfactual"]
            requests.append((line["tags"]["benchmark"], line["verdicts"][0]["verdict"], other["slm_only"]["verdict"],
                             other["llm_only"]["verdict"], other["slm_only"]["tokens"], other["llm_only"]["tokens"]))
            for s in line["segments"]:
                segments.append((number, s["role"] == "llm", s["tokens"], s["granted"], s["finish"] == "call",
                                 s["finish"] == "length", s["input_tokens"]))
    return (pd.DataFrame(requests, columns=["benchmark", "right", "slm_right", "llm_right", "slm_alone", "llm_alone"]),
            pd.DataFrame(segments, columns=["request", "llm", "tokens", "granted", "call", "length", "input"]))


def capped(segments, cap):
    """LLM tokens under a cap of one call: exact to the first cut, then bounds."""
    calls = segments[segments.llm].copy()
    calls["turn"] = calls.groupby("request").cumcount() + 1
    cut = calls.granted.gt(cap) & (calls.tokens.gt(cap) | (calls.tokens.eq(cap) & ~calls.length))
    first = cut & (cut.groupby(calls.request).cumsum() == 1)
    before = cut.groupby(calls.request).cumsum() == 0
    low = calls.tokens[before].sum() + cap * first.sum()
    return int(low), int(low + (cap * (CALLS - calls.turn[first])).sum())


def money(segments):
    """Pico-dollars with full blocks of 16 cached."""
    previous = (segments.input + segments.tokens).groupby([segments.request, segments.llm]).shift(fill_value=0)
    cached = np.minimum(segments.input, previous) // 16 * 16
    price = np.where(segments.llm, PRICES["large"][0], PRICES["small"][0])
    read = np.where(segments.llm, PRICES["large"][1], PRICES["small"][1])
    write = np.where(segments.llm, PRICES["large"][2], PRICES["small"][2])
    return int(((segments.input - cached) * price + cached * read + segments.tokens * write).sum())


def main():
    began = time.monotonic()
    requests, segments = frames(sys.argv[1])
    loaded = time.monotonic()
    llm = segments.tokens.where(segments.llm, 0).groupby(segments.request).sum()
    slm = segments.tokens.where(~segments.llm, 0).groupby(segments.request).sum()
    turns = segments.llm.groupby(segments.request).cumsum()
    result = {
        "requests": len(requests), "llm_tokens": int(llm.sum()), "slm_tokens": int(slm.sum()),
        # Where the SLM wrote no command, it has answered alone.
        "slm_alone": int(slm.where(segments.groupby("request").size() == 1, requests.slm_alone).sum()), "llm_alone": int(requests.llm_alone.sum()),
        "accuracy": requests[["right", "slm_right", "llm_right"]].mean().tolist(),
        "random": float((requests.slm_right * 0.5 + requests.llm_right * 0.5).mean()), "money": money(segments),
        "cap_32": capped(segments, 32), "fixed_free": int((segments.tokens[segments.llm] >= 100).sum()),
        "calls_2": int(segments.tokens[segments.llm & (turns <= 2)].sum()),
        "call_ratio": (llm.groupby(requests.benchmark).sum()
                       / (llm + slm).groupby(requests.benchmark).sum()).to_dict()}
    result["load_s"] = loaded - began
    result["total_s"] = time.monotonic() - began
    usage = resource.getrusage(resource.RUSAGE_SELF)
    result["cpu_s"] = usage.ru_utime + usage.ru_stime
    result["peak_bytes"] = usage.ru_maxrss * 1024
    print(json.dumps(result))


if __name__ == "__main__":
    main()
