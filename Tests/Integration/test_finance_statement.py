"""A month's bill through the commands alone: prices are set, twenty requests come in, and every format of the statement
has the amounts that were worked out by hand."""

import csv
import datetime
import html.parser
import io
import json
import uuid
from decimal import Decimal

import pytest

from traces import audit, installation

NOON = datetime.datetime(2025, 10, 1, 12, tzinfo=datetime.UTC)


def attempt(seq, role, model, read, cached, written, generated):
    """A segment as the trace format has it; `read` is None where the server did not say."""
    return {
        "role": role, "choice": 0, "seq": seq, "attempt": 1, "model": model, "upstream": "u", "requested": None,
        "granted": 100 if role == "llm" else None, "tokens": generated, "command_tokens": 0, "finish": "stop",
        "input_tokens": read, "cached_input_tokens": cached, "cache_write_tokens": written, "source": "reported",
        "command_source": "counted", "cost_pico": None, "started_ms": seq, "ms": 1, "first_token_ms": None, "error": None}


def request(day):
    """The request of a day of October 2025, at noon.

    Each: the SLM `mini` reads 1000 + day tokens and writes 200 + day; on even days 100 of those read were cached, and
    from the 16th on 40 were written to the cache. Every fourth: the LLM `maxi` reads 500 (200 cached) and writes 50. Days
    5 and 15: `free`, which nobody priced, reads 300 and writes 30. Day 10: `maxi` does not take the call up. Day 19: its
    server does not say what it read for 7 tokens.
    """
    segments = [attempt(0, "slm", "mini", 1000 + day, 100 if day % 2 == 0 else None, 40 if day >= 16 else None, 200 + day)]
    if day % 4 == 0:
        segments.append(attempt(1, "llm", "maxi", 500, 200, None, 50))
    if day in (5, 15):
        segments.append(attempt(1, "llm", "free", 300, None, None, 30))
    if day == 10:
        segments.append(attempt(1, "llm", "maxi", None, None, None, 0))
    if day == 19:
        segments.append(attempt(1, "llm", "maxi", None, None, None, 7))
    at = int((NOON + datetime.timedelta(days=day - 1)).timestamp() * 1000)
    tokens = {role: sum(item["tokens"] for item in segments if item["role"] == role) for role in ("slm", "llm")}
    return {
        "version": 2, "request_id": str(uuid.UUID(int=at << 80 | 7 << 76 | 1 << 63 | day)), "tenant": "acme",
        "model": "relay", "policy": {"name": "relay", "version": "v", "propensity": None}, "endpoint": "chat",
        "stream": False, "arrived_ms": at, "finished_ms": at + 5, "outcome": "completed", "finish": "stop", "error": None,
        "degraded": None, "choices": 1, "calls": int(tokens["llm"] > 0), "malformed": 0, "prompt_tokens": 1000 + day,
        "slm_tokens": tokens["slm"], "llm_tokens": tokens["llm"], "command_tokens": 0,
        "visible_tokens": tokens["slm"] + tokens["llm"], "tags": {}, "segments": segments, "verdicts": [],
        "counterfactual": None}


# In dollars for a million tokens, and for an attempt. What `maxi` asks for cached tokens is what it asks for others.
OLD = {"uncached_input": "0.15", "cached_input": "0.075", "output": "0.60", "attempts": "0"}
NEW = {"uncached_input": "0.10", "cached_input": "0.05", "cache_write": "0.125", "output": "0.40", "attempts": "0.001"}
LARGE = {"uncached_input": "2.50", "cached_input": "2.50", "output": "10", "attempts": "0"}

# By hand. Days 1 to 15: 15 * 1000 + (1 + ... + 15 = 120) = 15,120 read, of which 7 days had 100 cached: 14,420 + 700;
# 15 * 200 + 120 = 3,120 written. Days 16 to 20: 5 * 1000 + (16 + ... + 20 = 90) = 5,090 read, of which 3 * 100 cached
# and 5 * 40 written to the cache: 4,590 + 300 + 200; 5 * 200 + 90 = 1,090 written. Days 4, 8, 12, 16, 20: 5 * 500 read,
# 5 * 200 of them cached, 5 * 50 written.
#   14,420 * 0.15 = 2,163      700 * 0.075 = 52.5                        3,120 * 0.60 = 1,872     millionths of a dollar
#    4,590 * 0.10 =   459      300 * 0.05  = 15      200 * 0.125 = 25    1,090 * 0.40 =   436     and 5 * 0.001 $
#    1,500 * 2.50 = 3,750    1,000 * 2.50  = 2,500                         250 * 10   = 2,500
#   4,087.5 + 5,935 + 8,750 = 18,772.5
LINES = [
    ("slm", "mini", OLD, [("uncached_input", 14_420, "0.002163"), ("cached_input", 700, "0.0000525"),
                          ("output", 3120, "0.001872"), ("attempts", 15, "0")], "0.0040875"),
    ("slm", "mini", NEW, [("uncached_input", 4590, "0.000459"), ("cached_input", 300, "0.000015"),
                          ("cache_write", 200, "0.000025"), ("output", 1090, "0.000436"), ("attempts", 5, "0.005")],
     "0.005935"),
    ("llm", "maxi", LARGE, [("uncached_input", 1500, "0.00375"), ("cached_input", 1000, "0.0025"),
                            ("output", 250, "0.0025"), ("attempts", 5, "0")], "0.00875"),
]
TOTAL = Decimal("0.0187725")
UNPRICED = [("free", {"uncached_input": 600, "output": 60, "attempts": 2}),
            ("maxi", {"output": 7, "attempts": 1, "prompts_unknown": 1})]
TITLES = {"uncached_input": "uncached input tokens", "cached_input": "cached input tokens",
          "cache_write": "cache write tokens", "output": "output tokens", "attempts": "attempts"}


@pytest.fixture
def ledger(postgres, tmp_path):
    """The prices are set and the requests come in by the commands; the ledger's own path prices them."""
    tool = installation(postgres, tmp_path / "one")
    for model, start, prices in [
            ("mini", "2025-10-01", ["--input", "0.15", "--cached-input", "0.075", "--output", "0.60"]),
            ("mini", "2025-10-16", ["--input", "0.1", "--cached-input", "0.05", "--cache-write", "0.125", "--output", "0.4",
                                    "--request", "0.001"]),
            ("maxi", "2025-09-01", ["--input", "2.50", "--output", "10"])]:
        tool.tool("price", "set", model, "--from", start, *prices)
    path = tmp_path / "twenty.jsonl"
    path.write_text("".join(json.dumps(request(day)) + "\n" for day in range(1, 21)))
    said = tool.tool("trace", "import", str(path), "--key", tool.key)
    assert said == "20 request(s) written, 0 there already, 0 verdict(s), 0 bad line(s)\n"
    return tool


def statement(tool, form, *options):
    return tool.tool("usage", "statement", "--tenant", "acme", "--month", "2025-10", "--format", form, *options)


def test_the_table_above_adds_up():
    for _, _, prices, items, amount in LINES:
        for kind, quantity, cost in items:
            unit = Decimal(prices[kind]) * (1 if kind == "attempts" else Decimal("0.000001"))
            assert quantity * unit == Decimal(cost)
        assert sum(Decimal(cost) for _, _, cost in items) == Decimal(amount)
    assert sum(Decimal(line[4]) for line in LINES) == TOTAL


def test_json_has_the_bill(ledger):
    found = json.loads(statement(ledger, "json"))
    assert (found["requests"], found["is_over"], found["total_usd"]) == (20, True, "0.018772500000")
    assert len(found["lines"]) == len(LINES)
    for line, (role, model, prices, items, amount) in zip(found["lines"], LINES):
        assert (line["role"], line["upstream_model"], Decimal(line["amount_usd"])) == (role, model, Decimal(amount))
        assert [(item["kind"], item["quantity"], Decimal(item["amount_usd"])) for item in line["items"]] == [
            (kind, quantity, Decimal(cost)) for kind, quantity, cost in items]
        for item in line["items"]:
            assert item["quantity"] * Decimal(item["unit_price_usd"]) == Decimal(item["amount_usd"])
    assert [(line["upstream_model"], {name: line[name] for name in counts}) for line, (_, counts) in zip(
        found["unpriced"], UNPRICED)] == UNPRICED
    # Reports of usage say the same as the bill, and the audit has nothing to say.
    usage = json.loads(ledger.tool("usage", "--from", "2025-10-01", "--to", "2025-11-01", "--format", "json"))["totals"]
    assert (Decimal(usage["cost_usd"]), usage["unpriced_segments"], usage["requests"]) == (TOTAL, 3, 20)
    audit(ledger)


@pytest.mark.parametrize("options,separator,point", [([], ",", "."), (["--decimal-comma"], ";", ",")])
def test_csv_has_the_bill(ledger, options, separator, point):
    rows = list(csv.DictReader(io.StringIO(statement(ledger, "csv", *options)), delimiter=separator))

    def number(text):
        return Decimal(text.replace(point, "."))

    items = [row for row in rows if row["row"] == "item"]
    assert [(row["role"], row["upstream_model"], row["kind"], int(row["quantity"]), number(row["amount_usd"]))
            for row in items] == [(role, model, kind, quantity, Decimal(cost))
                                  for role, model, _, all_items, _ in LINES for kind, quantity, cost in all_items]
    assert all(int(row["quantity"]) * number(row["unit_price_usd"]) == number(row["amount_usd"]) for row in items)
    assert sum(number(row["amount_usd"]) for row in items) == TOTAL == number(rows[-1]["amount_usd"])
    assert [row["row"] for row in rows] == ["item"] * len(items) + ["unpriced"] * 6 + ["total"]
    unpriced = [row for row in rows if row["row"] == "unpriced"]
    assert [(row["upstream_model"], row["kind"], int(row["quantity"])) for row in unpriced] == [
        (model, kind, count) for model, counts in UNPRICED for kind, count in counts.items()]
    assert all(row["amount_usd"] == row["unit_price_usd"] == "" for row in unpriced)
    assert {row["price_from"] for row in items} == {"2025-10-01 00:00:00", "2025-10-16 00:00:00", "2025-09-01 00:00:00"}


def check_table(rows, unpriced):
    """Rows of cells as people read them: items with the title and the amount last, then the total. Attempts are told
    where they have a price."""
    expected = [(TITLES[kind], f"{quantity:,}", Decimal(cost)) for line in LINES for kind, quantity, cost in line[3]
                if line[2][kind] != "0"]
    assert [(row[-4], row[-3], Decimal(row[-1])) for row in rows[:-1]] == expected
    assert Decimal(rows[-1][-1]) == sum(Decimal(row[-1]) for row in rows[:-1]) == TOTAL
    for row, (model, counts) in zip(unpriced, UNPRICED):
        assert model in row and all(f"{count:,}" in row for count in counts.values())


def test_the_text_has_the_bill(ledger):
    lines = statement(ledger, "text").splitlines()
    head = next(index for index, line in enumerate(lines) if line.startswith("model "))
    total = next(index for index, line in enumerate(lines) if line.startswith("total"))
    free = lines.index("without a price, not in the total")

    def cells(line):
        return [cell for cell in line.split("  ") if cell]

    # Cells are two spaces apart; "unit price" stands between the quantity and the amount.
    rows = [[cell.strip() for cell in cells(line)] for line in lines[head + 1:total + 1]]
    check_table(rows, [[cell.strip() for cell in cells(line)] for line in lines[free + 2:free + 4]])
    assert "the primary's ledger: 20 requests, 28 attempts that were served" in "\n".join(lines)


class Tables(html.parser.HTMLParser):
    """The cells of a page's tables, row by row."""

    def __init__(self):
        super().__init__()
        self.tables = []
        self.cell = None

    def handle_starttag(self, tag, attributes):
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.cell = ""

    def handle_data(self, data):
        if self.cell is not None:
            self.cell += data

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.tables[-1][-1].append(self.cell)
            self.cell = None


def test_the_page_has_the_bill(ledger, tmp_path):
    path = tmp_path / "october.html"
    assert statement(ledger, "html", "--output", str(path)) == ""
    page = Tables()
    page.feed(path.read_text())
    facts, bill, unpriced = page.tables
    assert ["tenant"] == [row[0] for row in facts][:1]
    check_table(bill[1:], unpriced[1:])


def test_models_have_subtotals_and_an_upstreams_own_price_stands_beside_the_model(postgres, tmp_path):
    tool = installation(postgres, tmp_path / "one")
    tool.tool("price", "set", "mini", "--upstream", "u", "--from", "2025-10-01", "--input", "1", "--output", "2")
    path = tmp_path / "two.jsonl"
    path.write_text("".join(json.dumps(request(day) | {"model": model}) + "\n" for day, model in ((1, "a"), (2, "b"))))
    tool.tool("trace", "import", str(path), "--key", tool.key)
    # Day 1 reads 1001 and writes 201: 1001 + 402 millionths. Day 2 reads 1002 and writes 202: 1002 + 404.
    one, two, total = "0.001403000000", "0.001406000000", "0.002809000000"
    rows = [line.split() for line in statement(tool, "text").splitlines()]
    assert [row[-1] for row in rows if "subtotal" in row] == [one, two] and ["total", total] in rows
    assert [row[0] for row in rows if "subtotal" in row] == ["a", "b"]
    assert [row[:5] for row in rows if "mini" in row] == [[name, "slm", "mini", "at", "u"] for name in ("a", "b")]
    items = list(csv.DictReader(io.StringIO(statement(tool, "csv"))))
    assert [row["price_upstream"] for row in items] == ["u"] * (len(items) - 1) + [""]
    # Day 1 has no cached tokens; CSV has the attempts, which have no price, too.
    assert [row["kind"] for row in items[:-1]] == [
        "uncached_input", "output", "attempts", "uncached_input", "cached_input", "output", "attempts"]
    # No page break goes through a body: the total stands with the last line, whatever is printed.
    bodies = statement(tool, "html").split("<h2>What was used</h2>")[1].split("</table>")[0].split("<tbody>")[1:]
    assert len(bodies) == 2 and all(body.count("subtotal") == 1 for body in bodies)
    assert [body.count('class="total"') for body in bodies] == [0, 1] and "mini at u" in bodies[1]


def test_a_month_is_one_that_has_begun(ledger):
    call = ("usage", "statement", "--tenant", "acme", "--month")
    said = ledger.refused_tool(*call, "2999-01")
    assert said.startswith("error: --month: 2999-01 has not begun in UTC; name one that has, such as last-month")
    for word, offset in (("this-month", 0), ("last-month", 1)):
        found = json.loads(ledger.tool(*call, word, "--format", "json"))
        assert found["is_over"] == bool(offset)
        today = datetime.datetime.now(datetime.UTC)
        months = today.year * 12 + today.month - 1 - offset
        # The month may end between the command and this line.
        assert found["month"] in [f"{when // 12}-{when % 12 + 1:02}" for when in (months, months - 1)]


def test_a_full_disk_is_told_and_a_link_stays_a_link(ledger, tmp_path):
    # A link, so that a statement that took the place of what it writes to would not take that of the device.
    link = tmp_path / "link"
    link.symlink_to("/dev/full")
    call = ["usage", "statement", "--tenant", "acme", "--month", "2025-10", "--output"]
    said = ledger.refused_tool(*call, str(link))
    assert f"--output: cannot write {link}" in said and "space" in said
    assert link.is_symlink()
    assert "is a directory; name a file in it" in ledger.refused_tool(*call, str(tmp_path))
    # A file that is there is replaced by a whole one.
    path = tmp_path / "statement.txt"
    path.write_text("old")
    assert ledger.tool(*call, str(path)) == "" and path.read_text().startswith("statement of acme for 2025-10\n")


@pytest.mark.parametrize("form", ["text", "json", "html"])
def test_a_decimal_comma_is_for_csv(ledger, form):
    said = ledger.refused_tool(
        "usage", "statement", "--tenant", "acme", "--month", "2025-10", "--format", form, "--decimal-comma")
    assert "--decimal-comma: is for CSV only" in said
