"""Filters that nothing fits: most are typing errors, and an empty report looks like one of nothing used."""

import subprocess

import pytest

from metering import fill
from servers import require
from traces import fill as fill_traces, installation


@pytest.fixture
def stack(make_stack):
    """The tenant acme, with the model `relay` under the policy `relay` at `slm-0` and `llm-0`, and the tag `team`, of which
    `search` is told apart; and the tenant bolt, which used nothing."""
    stack = make_stack()
    stack.gateway.tool("tenant", "tags", "acme", "team")
    fill(stack)
    fill(stack, hours=1, tags='{"team": "search"}')
    fill(stack, hours=1, tags='{"team": "other"}')
    stack.database.server.psql(
        stack.database.name, "INSERT INTO tag_values SELECT id, 'team', 'search' FROM tenants WHERE name = 'acme'")
    stack.gateway.tool("tenant", "create", "bolt")
    return stack


def run(tool, *arguments):
    call = [require("relaygate"), *arguments, "--config", str(tool.path)]
    return subprocess.run(call, capture_output=True, text=True, timeout=60, check=True)


def notes(stack, *filters, day=25):
    """What is said beside a report of the day, on which all of it was used."""
    return run(stack.gateway, "usage", "--from", f"2026-10-{day}", "--to", f"2026-10-{day + 1}", *filters).stderr


UNTOLD = '; those beyond a tenant\'s limit are counted as "other"'


@pytest.mark.parametrize("filters,note", [
    (("--model", "relya"), '--model relya: nothing that was counted has it; did you mean "relay"?'),
    (("--policy", "RELAY"), '--policy RELAY: nothing that was counted has it; did you mean "relay"?'),
    (("--upstream", "slm-9"), '--upstream slm-9: nothing that was counted has it; did you mean "slm-0"?'),
    (("--upstream-model", "zzz"), "--upstream-model zzz: nothing that was counted has it"),
    (("--tag", "teem=search"), '--tag teem=search: no tenant keeps a tag "teem"; did you mean "team"?'),
    (("--tag", "team=serch"), '--tag team=serch: is none of the values of "team" that are told apart; did you mean '
                              '"search"?' + UNTOLD),
    # One of several is enough for the report to have rows, and the other is told all the same.
    (("--model", "relay", "--model", "relya"), '--model relya: nothing that was counted has it; did you mean "relay"?'),
    # What others have is not of this tenant.
    (("--tenant", "bolt", "--model", "relay"), "--model relay: nothing that was counted has it"),
    # No row has a tag where there is no row: that is said of the filter alone.
    (("--by", "tag:team", "--model", "relya"), '--model relya: nothing that was counted has it; did you mean "relay"?'),
])
def test_a_filter_that_nothing_fits_is_told(stack, filters, note):
    assert notes(stack, *filters) == f"note: {note}\n"


def test_what_fits_is_not_told(stack):
    for filters in (
            (), ("--model", "relay"), ("--model", "relay", "--upstream", "llm-0"), ("--tag", "team=search"),
            ("--tag", "team=other"), ("--tag", "team=search", "--tag", "team=other"), ("--tenant", "bolt")):
        assert notes(stack, *filters) == "", filters
    # Known, and not used on that day.
    assert notes(stack, "--model", "relay", "--policy", "relay", "--tag", "team=search", day=24) == ""


def test_a_key_of_another_tenant_is_told(stack):
    key = stack.gateway.create_key("bolt").removeprefix("sk-relay-").split("-")[0]
    said = notes(stack, "--tenant", "acme", "--key", key)
    assert said == f'note: --key {key}: is a key of the tenant "bolt", which --tenant leaves out\n'
    assert notes(stack, "--key", key) == notes(stack, "--tenant", "bolt", "--key", key) == ""


def test_an_export_that_nothing_fits_says_so(postgres, tmp_path):
    tool = installation(postgres, tmp_path / "one")
    fill_traces(tool, 3)
    for form in ("jsonl", "csv"):
        nothing = run(tool, "trace", "export", "--model", "nope", "--format", form)
        assert nothing.stderr == "note: no request fits\n" and nothing.stdout.count("\n") == (form == "csv")
    path = str(tmp_path / "out.jsonl")
    assert run(tool, "trace", "export", "--model", "relay", "--output", path).stderr == ""
    # There is nothing to add to a whole export.
    assert run(tool, "trace", "export", "--model", "relay", "--output", path, "--resume").stderr == ""
