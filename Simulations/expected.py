#!/usr/bin/env python3
"""What the scenarios of this folder have to answer on small/trace.jsonl, computed without the program.

Prints expected.json: for each scenario a list of [section, row, column, value], a value being a number as text or
the two ends of a bound. The row is the texts that it begins with. Everything is counted from the lines of the trace
with whole numbers and fractions; each rule stands beside its code. Standard library only.

    Simulations/expected.py > Simulations/expected.json
"""
import json
from collections import defaultdict
from datetime import datetime, timezone
from fractions import Fraction
from pathlib import Path

FOLDER = Path(__file__).parent
# The limit under which the trace was made: commands in an answer that lead to a call.
MAX_CALLS = 4


def requests():
    return [json.loads(line) for line in (FOLDER / "small/trace.jsonl").read_text(encoding="utf-8").splitlines()]


def verdict(request):
    return request["verdicts"][0]["verdict"] if request["verdicts"] else None


def calls(request):
    return [segment for segment in request["segments"] if segment["role"] == "llm"]


def day(request):
    return datetime.fromtimestamp(request["arrived_ms"] / 1000, timezone.utc).strftime("%Y-%m-%d")


def text(number, places=12):
    """Half away from zero, zeros at the end cut: as the JSON report writes numbers."""
    scaled = abs(Fraction(number)) * 10**places
    digits = str(int(scaled + Fraction(1, 2))).rjust(places + 1, "0")
    cut = f"{digits[:-places]}.{digits[-places:]}".rstrip("0").rstrip(".")
    return f"-{cut}" if number < 0 and cut != "0" else cut


def bounds(low, high):
    return text(low) if low == high else [text(low), text(high)]


def accuracy_bounds(all_requests, affected):
    """Known to be right among those that stay as they are, and that plus all whose answer would be another."""
    judged = [request for request in all_requests if verdict(request) is not None]
    known = sum(verdict(request) for request in judged if request["request_id"] not in affected)
    unknown = sum(request["request_id"] in affected for request in judged)
    return bounds(Fraction(known, len(judged)), Fraction(known + unknown, len(judged)))


def common(all_requests, policy, affected):
    count = len(all_requests)
    return [
        ["replayable", policy, "replayable", text(Fraction(count - len(affected), count))],
        ["replayable", policy, "rerun", text(len(affected))],
        ["policies", f"{policy} / all", "accuracy", accuracy_bounds(all_requests, affected)],
    ]


def as_logged(all_requests):
    llm = sum(request["llm_tokens"] for request in all_requests)
    slm = sum(request["slm_tokens"] for request in all_requests)
    return common(all_requests, "as-logged", set()) + [
        ["policies", "as-logged / all", "llm_tokens", text(llm)],
        ["policies", "as-logged / all", "calls", text(sum(len(calls(request)) for request in all_requests))],
        ["call_ratios", "pooled", "value", text(Fraction(llm, llm + slm))],
        ["call_ratios", "request share", "value",
         text(Fraction(sum(request["llm_tokens"] > 0 for request in all_requests), len(all_requests)))],
    ]


def tokens_with_limit(request, limit_of):
    """Least and most LLM tokens when call k is limited to limit_of(call), and whether anything would be different.

    Up to the first call that comes out otherwise all is as logged. A call that is cut has exactly its limit; one that
    may go on has at least what it had. What follows may have any number of calls that are left, each up to the cap.
    """
    spent = 0
    for place, call in enumerate(calls(request)):
        limit, cap = limit_of(call)
        left = (MAX_CALLS - place - 1) * cap
        ended_itself = call["finish"] == "stop"
        if call["tokens"] > limit:
            return spent + limit, spent + limit + left, True
        if not ended_itself and call["tokens"] < limit:
            return spent + call["tokens"], spent + limit + left, True
        spent += call["tokens"]
    return spent, spent, False


def limited(policy, limit_of):
    all_requests = requests()
    results = {request["request_id"]: tokens_with_limit(request, limit_of) for request in all_requests}
    affected = {name for name, (_, _, differs) in results.items() if differs}
    low, high = (sum(result[end] for result in results.values()) for end in (0, 1))
    return as_logged(all_requests) + common(all_requests, policy, affected) + [
        ["policies", f"{policy} / all", "llm_tokens", bounds(low, high)],
    ]


def halve_the_budget():
    """A tenant's day has the smaller of its budget and what was logged: a call that does not fit is cut to what is
    left, after that there is nothing. Whoever wanted more than was left is degraded, and unknown from there on."""
    all_requests = requests()
    expected = as_logged(all_requests)
    for budget in (400, 200):
        policy = f"{budget} a day"
        used, degraded, affected = defaultdict(int), defaultdict(int), set()
        for request in all_requests:
            window = (request["tenant"], day(request))
            if used[window] + request["llm_tokens"] > budget:
                degraded[window] += 1
                affected.add(request["request_id"])
            used[window] = min(budget, used[window] + request["llm_tokens"])
        expected += common(all_requests, policy, affected)
        expected.append(["policies", f"{policy} / all", "llm_tokens", text(sum(used.values()))])
        expected.append(["policies", f"{policy} / all", "degraded", text(len(affected))])
        for tenant, date in used:
            row = f"{tenant} / day / {date}T00:00:00Z"
            section = f"budgets_{budget}_a_day"
            expected.append([section, row, "used", text(used[tenant, date])])
            expected.append([section, row, "degraded", text(degraded[tenant, date])])
    return expected


def double_the_price():
    """Tokens times dollars for a million: read, read from the cache, generated."""
    all_requests = requests()
    today = {"slm": (100_000, 10_000, 400_000), "llm": (2_500_000, 250_000, 10_000_000)}
    twice = {"slm": today["slm"], "llm": tuple(2 * price for price in today["llm"])}

    def total(price_of, reads_cache=True):
        pico = 0
        for request in all_requests:
            for segment in request["segments"]:
                price_in, price_cached, price_out = price_of(request)[segment["role"]]
                cached = segment["cached_input_tokens"] if reads_cache else 0
                pico += (segment["input_tokens"] - cached) * price_in + cached * price_cached
                pico += segment["tokens"] * price_out
        return Fraction(pico, 10**12)

    recorded = Fraction(sum(s["cost_pico"] for request in all_requests for s in request["segments"]), 10**12)
    costs = [
        recorded, total(lambda request: today), total(lambda request: twice),
        total(lambda request: twice if day(request) >= "2026-01-09" else today),
        total(lambda request: today, reads_cache=False),
    ]
    return as_logged(all_requests) + [
        ["costs", "as-logged / all", f"cost_{index}", text(cost, 15)] for index, cost in enumerate(costs)]


def random_router_by_tenant():
    """A random router with the share p of requests has p·L of the LLM's tokens and (1 - p)·S of the SLM's. It has the
    log's share ρ of LLM tokens where p = ρS / (ρS + (1 - ρ)L), and is right as often as p·l + (1 - p)·s."""
    chosen = [request for request in requests() if request["tags"].get("sample") == "shadow"]

    def router(some):
        alone = [request["counterfactual"] for request in some]
        slm, llm = (sum(one[model]["tokens"] for one in alone) for model in ("slm_only", "llm_only"))
        right = [Fraction(sum(one[model]["verdict"] for one in alone), len(alone)) for model in ("slm_only", "llm_only")]
        own = sum(request["llm_tokens"] for request in some)
        ratio = Fraction(own, own + sum(request["slm_tokens"] for request in some))
        share = ratio * slm / (ratio * slm + (1 - ratio) * llm)
        accuracy = Fraction(sum(verdict(request) for request in some), len(some))
        return share, right[0] + share * (right[1] - right[0]), accuracy, (accuracy - right[0]) / (right[1] - right[0])

    share, random, accuracy, p_star = router(chosen)
    expected = as_logged(chosen) + [
        ["matched", "as-logged", "accuracy", text(accuracy)], ["matched", "as-logged", "share", text(share)],
        ["matched", "as-logged", "random", text(random)], ["matched", "as-logged", "gain", text(accuracy - random)],
        ["matched", "as-logged", "p_star", text(p_star)],
    ]
    for tenant in ("acme", "globex", "initech"):
        _, random, accuracy, _ = router([request for request in chosen if request["tenant"] == tenant])
        expected.append(["groups", f"{tenant} / as-logged", "accuracy", text(accuracy)])
        expected.append(["groups", f"{tenant} / random:matched-tokens", "accuracy", text(random)])
    return expected


def chosen_threshold():
    """Usable are requests with a score, a verdict, and a verdict of either model alone; the SLM alone is what was logged
    where it wrote no command. The first half of them, by arrival, is for choosing. A threshold is a score of theirs, or
    above all of them. Of those that meet the aim, the one with most right answers, or with fewest sent; then the one
    that sends less."""
    half, everything = Fraction(1, 2), requests()
    price_in, price_out = {"slm": 100_000, "llm": 5_000_000}, {"slm": 400_000, "llm": 20_000_000}

    def alone(request, model):
        segments = request["segments"]
        if model == "slm" and all(s["role"] == "slm" and s["finish"] == "stop" and s["command_tokens"] == 0
                                  for s in segments):
            return {"verdict": verdict(request), "tokens": request["slm_tokens"]}
        return (request["counterfactual"] or {}).get(f"{model}_only")

    judged = [(float(request["tags"]["difficulty"]), alone(request, "slm"), alone(request, "llm"), request)
              for request in everything if verdict(request) is not None]
    usable = sorted((one for one in judged if one[1] and one[2]), key=lambda one: one[3]["arrived_ms"])
    train, held = usable[:int(half * len(usable))], usable[int(half * len(usable)):]
    rest = [one for one in judged if one[3]["arrived_ms"] >= held[0][3]["arrived_ms"]]

    def routed(some, threshold):
        chosen = [("llm", llm) if threshold is not None and score >= threshold else ("slm", slm)
                  for score, slm, llm, _ in some]
        pico = sum(one[3]["prompt_tokens"] * price_in[model] + answer["tokens"] * price_out[model]
                   for one, (model, answer) in zip(some, chosen))
        return {"share": Fraction(sum(model == "llm" for model, _ in chosen), len(some)),
                "accuracy": Fraction(sum(answer["verdict"] for _, answer in chosen), len(some)),
                "cost": Fraction(pico * 1000, len(some) * 10**12)}

    thresholds = [None] + sorted({one[0] for one in train}, reverse=True)
    best = Fraction(sum(one[2]["verdict"] for one in train), len(train))
    aims = [
        ("at most 30 %", "at most 0.3 of the requests to the LLM",
         lambda point: point["share"] <= Fraction(3, 10), lambda point: (-point["accuracy"], point["share"])),
        ("90 % of the LLM", "accuracy at least 0.9 of the LLM's",
         lambda point: point["accuracy"] >= Fraction(9, 10) * best, lambda point: point["share"]),
        ("at most 2.50", "at most $2.5 for 1,000 requests",
         lambda point: point["cost"] <= Fraction(5, 2), lambda point: (-point["accuracy"], point["share"])),
    ]
    expected = as_logged(everything)
    for name, aim, meets, order in aims:
        threshold = min((t for t in thresholds if meets(routed(train, t))), key=lambda t: order(routed(train, t)))
        own, other = routed(train, threshold), routed(held, threshold)
        slm, llm = (Fraction(sum(one[place]["verdict"] for one in held), len(held)) for place in (1, 2))
        random = slm + other["share"] * (llm - slm)
        known = [one[2] if one[0] >= threshold else one[1] for one in rest]
        right = sum(answer["verdict"] for answer in known if answer)
        values = {
            "threshold": text(Fraction(str(threshold))), "share_train": text(own["share"]),
            "share_held_out": text(other["share"]), "accuracy_train": text(own["accuracy"]),
            "accuracy_held_out": text(other["accuracy"]), "optimism": text(own["accuracy"] - other["accuracy"]),
            "random_held_out": text(random), "gain_held_out": text(other["accuracy"] - random),
            "llm_held_out": text(llm), "cost_train": text(own["cost"], 15), "cost_held_out": text(other["cost"], 15),
            "accuracy_all_held_out": bounds(
                Fraction(right, len(rest)), Fraction(right + sum(answer is None for answer in known), len(rest))),
        }
        expected += [["held_out", f"{name} / {aim} / chosen", column, value] for column, value in values.items()]
    # Nothing is always right, whatever the threshold.
    assert all(routed(train, threshold)["accuracy"] < 1 for threshold in thresholds)
    return expected


def main():
    scenarios = {
        "chosen-threshold": chosen_threshold(),
        "halve-the-budget": halve_the_budget(),
        "double-the-price": double_the_price(),
        "cap-n-at-50": limited("cap-n:50", lambda call: (min(call["granted"], 50), 50)),
        "every-call-100-tokens": limited("fixed:100", lambda call: (100, 100)),
        "random-router-by-tenant": random_router_by_tenant(),
    }
    lines = []
    for name, expected in scenarios.items():
        rows = ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in expected)
        lines.append(f"{json.dumps(name)}: [\n{rows}]")
    print("{" + ",\n".join(lines) + "}")


if __name__ == "__main__":
    main()
