"""What the tests of budgets share: a script for the fakes, and the budget as the command line shows it."""

import json
import time

# The SLM asks for 10 tokens, the LLM has them; then the SLM ends.
SCRIPT = {
    "ten": {"slm": ["Well <call>10</call>", " so."], "llm": ["a b c d e f g h i j k l m n o p"]},
    "twice": {"slm": ["One <call>10</call>", " two <call>10</call>", " so."], "llm": ["a b c d e f g h i j k l m n o p"]},
    "alone": {"slm": ["I write alone."], "llm": ["The large one writes."]},
    "slow": {"slm": ["Well <call>10</call>", " so."],
             "llm": [{"text": "a b c d e f g h i j k l m n o p", "delay_ms": 150}]},
    "fails": {"slm": ["Well <call>10</call>", " so."], "llm": [{"text": "a b c", "faults": {"status": 500}}]},
    "refuses": {"slm": ["Well <call>10</call>", " so."], "llm": [{"text": "a b c", "faults": {"status": 400}}]},
    "overrun": {"slm": ["Well <call>10</call>", " so."], "llm": [{"text": " ".join(["word"] * 80), "faults": {"overrun": 50}}]},
}
SCRIPT["early"] = {"slm": ["Well <call>10</call>", " so."],
                   "llm": [{"text": " ".join(["word"] * 80), "faults": {"overrun": 50, "finish_after": 1}}]}
LIES = ["missing", "zero", "x100", "negative", "string", "huge"]
SCRIPT |= {f"lie-{lie}": {"slm": ["Well <call>10</call>", " so."],
                          "llm": [{"text": "a b c d e f g h i j k l", "usage": lie}]} for lie in LIES}


def set_budget(stack, tokens, name="daily", tenant="acme", **options):
    flags = [word for key, value in options.items() for word in (f"--{key.replace('_', '-')}", str(value))]
    return stack.gateway.tool("budget", "set", tenant, "--name", name, "--tokens", str(tokens), *flags)


def show(stack, name="daily", tenant="acme"):
    found = json.loads(stack.gateway.tool("budget", "show", tenant, "--name", name, "--json"))
    return found[0]


def audit(stack):
    """All invariants; none may be broken."""
    found = json.loads(stack.gateway.tool("audit", "--json"))
    assert len(found) == 15
    broken = [item for item in found if item["broken"]]
    assert broken == []


def settled(stack, name="daily", within=4):
    """The budget when no gateway holds any of it."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        budget = show(stack, name)
        if budget["held"] == 0 and not budget["leases"]:
            return budget
        time.sleep(0.1)
    raise AssertionError(f"tokens are still held: {budget}")


def llm_tokens(stack):
    return sum(line["generated_tokens"] for line in stack.llm.log())


def effective():
    """Waits for as long as a change may take to reach every gateway: the promise, to which the tests hold them."""
    time.sleep(2)
