"""Judges what gateways did, by the invariants of the database and by the model server's own log (E1 to E5)."""

import json


class Illegal(AssertionError):
    """Something is not as it must be. `names` are the invariants that say so.

    `open` is for leases that stay open, `crash` for a gateway that ended by itself.
    """

    def __init__(self, found):
        self.names = {name for name, _ in found}
        super().__init__("\n".join(f"{name}: {what}" for name, what in found))


def totals(cluster, budget, tenant):
    """A budget's sums over all of its windows, as the tables have them. It may have been removed."""
    return cluster.database.rows(f"""
        SELECT max(b.amount) AS amount, count(w.*) AS windows, coalesce(sum(w.charged), 0) AS used,
            coalesce(sum(w.unreconciled), 0) AS unreconciled, coalesce(sum(w.leased), 0) AS held,
            coalesce(sum(w.overrun), 0) AS overrun
        FROM budgets b JOIN tenants t ON t.id = b.tenant_id LEFT JOIN budget_windows w ON w.budget_id = b.id
        WHERE b.name = '{budget}' AND t.name = '{tenant}'""")[0]


def stranded(cluster):
    """What the leases of gateways that died held when they were last heard of, as the database saw it."""
    return cluster.database.rows("""
        SELECT coalesce(sum(l.granted - l.settled - l.returned), 0) AS tokens
        FROM leases l JOIN gateways g ON g.id = l.gateway_id WHERE g.state = 'expired'""")[0]["tokens"]


def judge(cluster, budget, tenant, overcharge=0, amount=None, windows=1, uncounted=0):
    """Raises `Illegal` with everything that is wrong; returns the budget's sums and what the LLM produced.

    `overcharge` is what may be charged beyond the truth, `amount` what the budget was at its highest, `uncounted` what
    the LLM produced while no budget was in force.
    """
    found = [(item["invariant"], item["samples"])
             for item in json.loads(cluster.tools.tool("audit", "--json", check=False)) if item["broken"]]
    if leases := cluster.open_leases():
        found.append(("open", f"leases that nobody needs stay open: {leases}"))
    if crashed := cluster.crashed():
        found.append(("crash", f"a gateway ended by itself: {crashed}"))
    state = totals(cluster, budget, tenant)
    produced = sum(line["generated_tokens"] for line in cluster.truth(tenant))
    truth = produced - uncounted
    charged = state["used"] + state["unreconciled"]
    limit = (state["amount"] if amount is None else amount) * windows
    if truth > limit:
        found.append(("E1", f"{truth} tokens were produced, the budget is {limit}: {state}"))
    if state["overrun"]:
        found.append(("E1", f"a server that sends no more than it is asked for cannot overrun a budget: {state}"))
    if truth > charged:
        found.append(("E2", f"{truth} tokens were produced, {charged} are charged: {state}"))
    if charged - truth > overcharge:
        found.append(("E3", f"{charged} tokens are charged, {truth} were produced, {overcharge} more allowed: {state}"))
    found += receipts(cluster) + strangers(cluster)
    if found:
        raise Illegal(found)
    return state, truth


def receipts(cluster):
    """E4: every answer that a caller holds is in the ledger, once, with its tokens and its tenant."""
    rows = cluster.database.rows(
        "SELECT r.id, r.llm_tokens, t.name AS tenant FROM requests r JOIN tenants t ON t.id = r.tenant_id")
    known = {row["id"]: (row["tenant"], row["llm_tokens"]) for row in rows}
    held = {call.answer.headers["x-request-id"]: (call.tenant, call.llm_tokens)
            for call in list(cluster.calls) if call.is_answered}
    return [("E4", f"the receipt {request} says {receipt}, the ledger {known.get(request)}")
            for request, receipt in held.items() if known.get(request) != receipt]


def strangers(cluster):
    """E5: an answer has only words of the script entry that its caller asked for."""
    found = []
    for call in list(cluster.calls):
        if not call.is_answered:
            continue
        own = {word for turns in cluster.script[call.entry].values() for turn in turns
               for word in (turn if isinstance(turn, str) else turn["text"]).split()}
        said = set(call.answer.json()["choices"][0]["message"]["content"].split())
        if not said <= own:
            found.append(("E5", f"{call.tenant} asked for {call.marker} and got {said - own}"))
    return found
