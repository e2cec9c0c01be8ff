#!/usr/bin/env python3
"""Puts what the program prints about itself into the documentation; with --check only compares.

    Scripts/docs.py [--check] [PROGRAM]        PROGRAM: .build/debug/relaygate

Docs/cli.md: the indented block behind each `<!-- help: COMMAND -->` is that command's help text.
Docs/configuration.md: what stands between the `reference` markers is `relaygate config reference`; in
Docs/simulate.md it is `relaygate simulate reference`.
"""
import os
import re
import subprocess
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")


def printed(program, *arguments):
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.rstrip("\n")


def commands(text, program):
    def block(match):
        help_text = printed(program, *match[1].split(), "--help")
        lines = [("    " + line).rstrip() for line in help_text.split("\n")]
        return f"<!-- help: {match[1]} -->\n\n" + "\n".join(lines) + "\n\n"

    # A block is lines that are indented or empty; it ends before the next line that is neither.
    return re.sub(r"<!-- help: *(.*?) *-->\n\n(?:(?: {4}.*)?\n)*", block, text)


def configuration(text, program):
    return reference(text, printed(program, "config", "reference"))


def scenarios(text, program):
    return reference(text, printed(program, "simulate", "reference"))


def reference(text, table):
    begin, end = "<!-- reference:begin -->", "<!-- reference:end -->"
    head, rest = text.split(begin)
    return head + begin + "\n" + table + "\n" + end + rest.split(end)[1]


def main():
    arguments = [a for a in sys.argv[1:] if a != "--check"]
    program = os.path.abspath(arguments[0] if arguments else os.path.join(ROOT, ".build/debug/relaygate"))
    stale = []
    for name, make in [("cli.md", commands), ("configuration.md", configuration), ("simulate.md", scenarios)]:
        path = os.path.join(ROOT, "Docs", name)
        with open(path, encoding="utf-8") as file:
            old = file.read()
        new = make(old, program).rstrip("\n") + "\n"
        if new == old:
            continue
        stale.append(name)
        if "--check" not in sys.argv:
            with open(path, "w", encoding="utf-8") as file:
                file.write(new)
    if stale and "--check" in sys.argv:
        sys.exit(f"stale: {', '.join(stale)}; run Scripts/docs.py")


main()
