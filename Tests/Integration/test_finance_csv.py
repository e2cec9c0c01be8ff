"""The CSV that the program writes, as pandas reads it: types, values, what is missing, what is hostile.

The calls of pandas are those that Docs/usage.md and Docs/trace-format.md tell their readers to make.
"""

import io
import json
import subprocess
from decimal import Decimal

import pandas
import pytest

from metering import fill
from servers import require
from traces import START, count_usage, installation
from traces import fill as fill_ledger

DAY = ("--from", "2026-10-25", "--to", "2026-10-26")
# What callers may say, and how a cell has it where that differs.
HOSTILE = {
    "=1+1": "'=1+1", "+49": "'+49", "-7": "'-7", "@SUM(A1)": "'@SUM(A1)", "\uff1d1": "'\uff1d1", "=\u0301x": "'=\u0301x",
    "\t=1": "'\t'=1", "\r=1": "'\r'=1", "x;=1": "x;'=1", "\"\u0301,=1": "\"\u0301,'=1", "\x1b[31mred": " [31mred",
    "00123": "00123", "1E5": "1E5", "1,234": "1,234", "2026-10-01": "2026-10-01", "NA": "NA", "null": "null",
    "a \"b\", c": "a \"b\", c", "two\nlines": "two\nlines", "ünï😀": "ünï😀"}
TEXTS = {name: str for name in ("row", "tenant", "key", "model", "tag:team", "hour", "month", "budget")}


@pytest.fixture
def tool(postgres, tmp_path):
    return installation(postgres, tmp_path / "one")


def frame(text, **options):
    # Bytes, so that no line break is translated on the way.
    return pandas.read_csv(io.BytesIO(text), keep_default_na=False, na_values=[""], **options)


def written(tool, *arguments):
    """What a command writes, byte by byte."""
    path = tool.path.with_name("written.csv")
    with path.open("wb") as file:
        subprocess.run([require("relaygate"), *arguments, "--config", str(tool.path)], stdout=file, check=True, timeout=60)
    return path.read_bytes()


def check_no_formula(text):
    """Whatever a spreadsheet splits at, no cell begins like a formula."""
    for separator in ",;\t\n\r":
        for cell in text.split(separator):
            assert cell.lstrip('"')[:1] not in tuple("=+-@\uff1d\uff0b\uff0d\uff20"), cell


def report(tool, *options, **reading):
    text = written(tool, "usage", *DAY, "--format", "csv", *options)
    return frame(text, dtype=TEXTS, converters={"cost_usd": Decimal}, **reading)


def test_a_report_has_its_types(tool):
    fill(tool, hours=3)
    found = report(tool, "--by", "model,day,hour,month", parse_dates=["day"])
    assert list(found["row"]) == ["group"] * 3 + ["total"]
    kinds = {name: found[name].dtype.kind for name in found.columns}
    for name in ("requests", "degraded", "failed", "refused", "calls", "slm_tokens", "llm_tokens", "command_tokens",
                 "prompt_tokens", "cached_tokens", "prompts_unknown", "unpriced_segments"):
        assert kinds[name] == "i", name
    for name in ("call_ratio", "latency_p50_ms", "latency_p95_ms", "first_token_p50_ms", "first_token_p95_ms"):
        assert kinds[name] == "f", name
    assert kinds["day"] == "M"
    assert pandas.api.types.is_string_dtype(found["month"]) and pandas.api.types.is_string_dtype(found["model"])
    # Two requests, 10 SLM and 30 LLM tokens, five pico-dollars an hour: 30 / 40.
    assert list(found["requests"]) == [2, 2, 2, 6] and list(found["llm_tokens"]) == [30, 30, 30, 90]
    assert list(found["call_ratio"]) == [0.75] * 4
    assert list(found["cost_usd"]) == [Decimal("0.000000000005")] * 3 + [Decimal("0.000000000015")]
    assert list(found["day"][:3]) == [pandas.Timestamp("2026-10-25")] * 3 and pandas.isna(found["day"][3])
    hours = pandas.to_datetime(found["hour"], utc=True)
    assert list(hours[:3]) == [pandas.Timestamp(f"2026-10-25T{hour}:00Z") for hour in (10, 11, 12)]
    assert list(found["month"][:3]) == ["2026-10"] * 3 and pandas.isna(found["month"][3])


def test_hours_of_a_change_of_clocks_are_different_times(tool):
    # 00:00 and 01:00 UTC: both are two o'clock in Berlin.
    fill(tool, hours=2)
    tool.database.server.psql(tool.database.name, """
        UPDATE usage_requests SET hour = hour - interval '10 hours';
        UPDATE usage_segments SET hour = hour - interval '10 hours';""")
    found = report(tool, "--by", "hour", "--timezone", "Europe/Berlin", "--tenant", "acme")
    assert list(found["hour"][:2]) == ["2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00"]
    times = pandas.to_datetime(found["hour"], utc=True)
    assert times[1] - times[0] == pandas.Timedelta(hours=1)


def test_what_is_empty_is_missing_and_not_nought(tool):
    fill(tool, hours=1)
    found = report(tool, "--by", "role")
    for name in ("requests", "refused", "calls", "latency_p50_ms"):
        assert found[name].isna().all(), name
    assert list(found["slm_tokens"]) == [0, 10, 10]
    budgets = report(tool, "--by", "tenant")
    assert budgets["budget"].isna().all() and budgets["budget_left"].isna().all()


def test_texts_of_callers_are_texts_and_never_formulas(tool):
    # A tag that nobody gave is missing; one that is given is the text it is, also where it looks like something else.
    for number, value in enumerate(HOSTILE):
        fill(tool, hours=1, tags=json.dumps({"team": value}), model=f"m{number:02}")
    fill(tool, hours=1, model="none")
    found = report(tool, "--by", "model,tag:team")
    assert list(found["tag:team"][:-2]) == list(HOSTILE.values())
    assert found["tag:team"][-2:].isna().all()
    assert list(found["requests"]) == [2] * (len(HOSTILE) + 1) + [2 * (len(HOSTILE) + 1)]
    text = written(tool, "usage", *DAY, "--format", "csv", "--by", "model,tag:team").decode()
    check_no_formula(text)
    assert not {character for character in text if ord(character) < 32} - set("\t\r\n")


def test_decimal_commas_are_read_as_the_same_numbers(tool):
    fill(tool, hours=2)
    text = written(tool, "usage", *DAY, "--format", "csv", "--by", "model,day", "--decimal-comma")
    comma = frame(text, sep=";", decimal=",", dtype=TEXTS, parse_dates=["day"])
    point = frame(written(tool, "usage", *DAY, "--format", "csv", "--by", "model,day"), dtype=TEXTS, parse_dates=["day"])
    pandas.testing.assert_frame_equal(comma, point)
    assert b",75" in text and b"0.75" not in text
    assert comma["cost_usd"][0] == 1e-11
    said = tool.refused_tool("usage", "--decimal-comma")
    assert "--decimal-comma: is for CSV only; give --format csv with it" in said


def test_a_statement_has_its_types(tool):
    fill_ledger(tool, 30)
    count_usage(tool)
    text = written(tool, "usage", "statement", "--tenant", "acme", "--month", "2025-03", "--format", "csv")
    texts = {name: str for name in ("row", "tenant", "month", "timezone", "model", "role", "upstream_model", "kind")}
    found = frame(text, dtype=texts | {"price_id": "Int64", "quantity": "Int64"}, parse_dates=["price_from"],
                  converters={"unit_price_usd": lambda cell: Decimal(cell) if cell else None,
                              "amount_usd": lambda cell: Decimal(cell) if cell else None})
    items = found[found["row"] == "item"]
    assert (items["quantity"] * items["unit_price_usd"] == items["amount_usd"]).all()
    assert sum(items["amount_usd"]) == found["amount_usd"].iloc[-1] > 0
    assert items["price_from"].dtype.kind == "M" and set(items["price_from"]) == {pandas.Timestamp("1970-01-01")}
    free = found[found["row"] == "unpriced"]
    # Ten requests called the LLM, which has no price and did not say what it read: 7 tokens each.
    assert free.groupby("kind")["quantity"].sum().to_dict() == {"output": 70, "attempts": 10, "prompts_unknown": 10}
    assert free["amount_usd"].isna().all() and free["price_id"].isna().all()


def test_traces_have_their_types(tool):
    fill_ledger(tool, 60)
    tool.database.server.psql(tool.database.name, """
        ALTER TABLE requests DISABLE TRIGGER USER;
        UPDATE requests SET policy_version = '12e4567890123456', tags = '{"team": "x;=1", "-b": "=2"}';""")
    text = written(tool, "trace", "export", "--format", "csv")
    texts = {name: str for name in (
        "request_id", "tenant", "model", "policy", "policy_version", "error", "degraded", "tags", "verdicts", "segment_error")}
    counts = {"segment_granted": "Int64", "segment_input_tokens": "Int64", "segment_cost_pico": "Int64"}
    found = frame(text, dtype=texts | counts)
    # Twenty requests of three segments, forty of two.
    assert len(found) == 20 * 3 + 40 * 2 and found["request_id"].nunique() == 60
    assert set(found["policy_version"]) == {"12e4567890123456"}
    assert found["stream"].dtype.kind == "b" and found["calls"].dtype.kind == "i" and found["segment_ms"].dtype.kind == "f"
    # The SLM read 20 tokens at 100 pico-dollars and wrote 10 at 700; nobody prices the LLM.
    assert list(found["segment_cost_pico"][:3].astype(object)) == [20 * 100 + 10 * 700, pandas.NA, 20 * 100 + 5 * 700]
    times = pandas.to_datetime(found["arrived_ms"], unit="ms", utc=True)
    assert times[0] == pandas.Timestamp(START, unit="ms", tz="UTC")
    assert json.loads(found["tags"][0]) == {"team": "x;=1", "-b": "=2"}
    check_no_formula(text.decode())
    assert [verdict["source"] for verdict in json.loads(found["verdicts"][0])] == ["people", "tests"]
    assert found["propensity"][0:3].isna().all() and found["segment_granted"].isna()[0]
