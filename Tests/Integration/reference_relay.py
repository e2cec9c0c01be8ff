"""A second, small implementation of the rules of the relay, to compare the gateway's answers with.

It asks the fake models directly, without stop strings and without streams: the fakes are stateless, so it can cut the
text itself. It covers the policies relay and fixed(k) without a limit of tokens.
"""

import re

WHITE = " \t\n\r\v\f"
OPEN, CLOSE = "<call>", "</call>"
BODY = re.compile(r"[ \t\n\r\v\f]*([0-9]*)[ \t\n\r\v\f]*")


class View:
    """The text without commands: removing one keeps one run of the white space around it."""

    def __init__(self):
        self.text, self.drops = "", False

    def add(self, text):
        if self.drops:
            text = text.lstrip(WHITE)
        if text:
            self.text, self.drops = self.text + text, False

    def remove(self):
        self.drops = self.text[-1:] in tuple(WHITE)


def scan(text, closed, view):
    """Adds a turn's text to the view without commands. Returns the command's number, how many are malformed, and
    whether the turn ended while a command was open."""
    malformed, at, isOpen = 0, 0, False
    while (start := text.find(OPEN, at)) >= 0:
        view.add(text[at:start])
        view.remove()
        body = BODY.match(text, start + len(OPEN))
        rest = text[body.end():]
        if not rest:
            return (int(body[1]), malformed, False) if closed and body[1] else (None, malformed + 1, not closed)
        malformed += 1
        if closed and len((rest + CLOSE).encode()) <= 64:
            return None, malformed, False
        isOpen = isOpen or not closed and len(rest.encode()) < 64
        at = body.end()
    view.add(text[at:])
    if closed:
        view.remove()
    return None, malformed + closed, isOpen


def relay(slm, llm, prompt, ban=None, fixed=None, max_calls=4, cap=512, max_malformed=3):
    """The client view of a whole answer. `ban` is what forbids commands at this SLM, None if nothing does."""
    controller, view, calls, malformed, refused = "", View(), 0, 0, 0
    while True:
        forbidden = calls >= max_calls or malformed >= max_malformed
        choice = slm.complete(prompt=prompt + controller, **(ban if forbidden and ban else {}))["choices"][0]
        text, closed, _ = choice["text"].partition(CLOSE)
        controller += text + closed
        number, bad, isOpen = scan(text, bool(closed), view)
        malformed += bad
        if number is None and not closed and not isOpen:
            return view.text
        if forbidden:
            refused += 1
            if refused >= 3:
                return view.text
        elif number is not None:
            calls += 1
            # A fixed policy puts its k in the place of n before n is looked at.
            if number > 0 or fixed:
                limit = fixed or min(number, cap)
                answer = llm.complete(prompt=prompt + view.text.rstrip(WHITE), max_tokens=limit)["choices"][0]
                piece = answer["text"].removesuffix("\ufffd") if answer["finish_reason"] == "length" else answer["text"]
                view.add(piece)
                controller += piece
                if answer["finish_reason"] != "length":
                    return view.text
