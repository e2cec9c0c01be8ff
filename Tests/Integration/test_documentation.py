"""The documentation says what the program prints."""

import pathlib
import re
import subprocess
import sys

from servers import BIN

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_help_texts_and_reference_are_those_of_the_program():
    script = ROOT / "Scripts" / "docs.py"
    done = subprocess.run([sys.executable, script, "--check", str(BIN / "relaygate")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_request_parameter_is_in_the_api_page():
    table = (ROOT / "Sources" / "Wire" / "Parameter+Table.swift").read_text()
    names = re.findall(r'Parameter\(\s*"([^"]+)"', table)
    assert len(names) > 50
    page = (ROOT / "Docs" / "api.md").read_text()
    assert [name for name in names if f"`{name}`" not in page] == []


def test_links_between_pages_lead_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "Docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if not re.match(r"[a-z]+:", target):
                assert (page.parent / target).exists(), f"{page.name}: {target}"
