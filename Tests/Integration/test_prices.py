"""The price book as its operators see it: setting, listing, files with mistakes, and what another book would cost."""

import json
import re
import subprocess

import pytest

from servers import Gateway, free_port, require

HEADER = "model,upstream,from,input,cached_input,cache_write,output,request\n"


@pytest.fixture
def book(postgres, tmp_path):
    """The tools on a database of their own; nothing has to serve."""
    database = postgres.create_database()
    upstreams = [{"name": name, "model": model, "url": "http://127.0.0.1:9/v1", "dialect": "openai"}
                 for name, model in [("small", "mini-1b"), ("large", "big-70b")]]
    gateway = Gateway({
        "listen": {"host": "127.0.0.1", "port": free_port()}, "postgres": {"url": database.url},
        "upstreams": upstreams, "pairs": [{"name": "pair", "slm": "small", "llm": "large"}],
        "models": [{"name": "relay", "pair": "pair", "policy": "relay"}]}, tmp_path)
    gateway.database = database
    gateway.tool("migrate")
    gateway.folder = tmp_path
    return gateway


def listed(book, *options):
    return json.loads(book.tool("price", "list", "--json", *options))


def file(book, name, text):
    path = book.folder / name
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    return str(path)


def test_a_price_is_set_and_listed_as_it_was_written(book):
    said = book.tool("price", "set", "big-70b", "--input", "2.5", "--output", "10", "--cached-input", "1.250000",
                     "--cache-write", "3.125", "--request", "0.000000000001", "--from", "2037-01-01T00:00",
                     "--reason", "list price", "--actor", "ada")
    assert "from 2037-01-01 00:00:00 UTC" in said and "past" not in said
    assert listed(book) == []
    (price,) = listed(book, "--all")
    assert price | {"created_at": ""} == {
        "model": "big-70b", "upstream": None, "from": "2037-01-01T00:00:00Z", "until": None, "input": "2.50",
        "cached_input": "1.25", "cache_write": "3.125", "output": "10.00", "request": "0.000000000001",
        "actor": "ada", "reason": "list price", "created_at": ""}
    # In pico-dollars for a token: 2.5 * 10^12 / 10^6.
    rows = book.database.rows("SELECT input, cached_input, cache_write, output, request FROM prices")
    assert rows == [{"input": 2500000, "cached_input": 1250000, "cache_write": 3125000, "output": 10000000, "request": 1}]


def test_the_list_shows_what_is_in_force_then(book):
    for date, price in [("2030-01-01", "1"), ("2031-01-01", "2")]:
        book.tool("price", "set", "big-70b", "--input", price, "--output", price, "--from", date)
    book.tool("price", "set", "big-70b", "--unpriced", "--from", "2032-01-01")
    book.tool("price", "set", "big-70b", "--input", "9", "--output", "9", "--upstream", "large", "--from", "2031-01-01")

    def inputs(at):
        return [(price["upstream"], price["input"]) for price in listed(book, "--at", at)]

    assert inputs("2029-12-31T23:59") == []
    assert inputs("2030-01-01") == [(None, "1.00")]
    assert inputs("2030-12-31 23:59:59") == [(None, "1.00")]
    assert inputs("2031-01-01") == [(None, "2.00"), ("large", "9.00")]
    assert inputs("2032-01-01") == [(None, None), ("large", "9.00")]
    assert "unpriced" in book.tool("price", "list", "--at", "2032-01-01")
    assert "no prices of mini-1b" in book.tool("price", "list", "--model", "mini-1b")


def test_a_second_price_of_a_date_is_refused_with_the_remedy(book):
    book.tool("price", "set", "big-70b", "--input", "1", "--output", "1", "--from", "2030-01-01")
    said = book.refused_tool("price", "set", "big-70b", "--input", "2", "--output", "2", "--from", "2030-01-01")
    assert "set already" in said and "another date" in said
    assert [price["input"] for price in listed(book, "--all")] == ["1.00"]


def test_a_date_in_the_past_is_allowed_and_told(book):
    said = book.tool("price", "set", "big-70b", "--input", "1", "--output", "1", "--from", "2020-01-01")
    assert "what is recorded keeps its cost" in said and "price simulate" in said
    assert "past" not in book.tool("price", "set", "mini-1b", "--input", "1", "--output", "1")


@pytest.mark.parametrize("options,says", [
    (["--input", "1e5", "--output", "1"], "--input: must be dollars in digits"),
    (["--input", "1", "--output", "1,5"], "--output: must be dollars in digits"),
    (["--input=-1", "--output", "1"], "--input: must be dollars in digits"),
    (["--input", "0.0000001", "--output", "1"], "--input: has more than 6 decimals"),
    (["--input", "1", "--output", "1", "--request", "0.0000000000001"], "--request: has more than 12 decimals"),
    (["--input", "1", "--output", "1", "--request", "1001"], "--request: is more than 1000 dollars"),
    (["--input", "1000001", "--output", "1"], "--input: is more than 1000000 dollars"),
    (["--input", "99999999999999999999", "--output", "1"], "--input: is too large"),
    (["--input", "1"], "--output: is missing"),
    (["--output", "1"], "--input: is missing"),
    (["--unpriced", "--cache-write", "1"], "--cache-write: makes no sense with --unpriced"),
    (["--unpriced", "--from", "tomorrow"], "--from: must be a date such as"),
    (["--unpriced", "--upstream", "a\u202eb"], "--upstream: must have 1 to 256 characters, no control characters"),
    (["--unpriced", "--upstream", " large"], "--upstream: must have 1 to 256 characters"),
])
def test_what_is_wrong_with_a_price_is_told(book, options, says):
    said = book.refused_tool("price", "set", "big-70b", *options)
    assert says in said, said
    assert listed(book, "--all") == []


def test_a_model_that_nobody_serves_is_told_of(book):
    call = ["price", "set", "--input", "1", "--output", "1", "--from", "2030-01-01"]
    path = file(book, "p.csv", HEADER + "big-7b,,2031-01-01,1,,,1,\nbig-70b,small,2031-01-01,1,,,1,\n")
    for arguments, says in [
            ([*call, "big-70c"], 'serves "big-70c"; did you mean "big-70b"?'),
            ([*call, "big-70b", "--upstream", "larg"], 'no upstream "larg"; did you mean "large"?'),
            (["price", "import", path], 'serves "big-7b"; did you mean "big-70b"?'),
            (["price", "import", path, "--dry-run"], None)]:
        done = subprocess.run([require("relaygate"), *arguments, "--config", str(book.path)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert (says in done.stderr) if says else (done.stderr == ""), done.stderr


def test_a_file_is_added_whole_and_once(book):
    path = file(book, "p.csv", HEADER.replace("model,", "\ufeffmodel,") + (
        "big-70b,,2030-01-01,2.50,1.25,,10,\r\n"
        '"big-70b","large",2030-01-01T12:00, 2.40 ,,,9,0.001\r\n'
        "big-70b,,2031-01-01,unpriced,,,,\r\n"))
    assert "3 to be added, 0 unchanged; nothing was written" in book.tool("price", "import", path, "--dry-run")
    assert listed(book, "--all") == []
    assert "3 added, 0 unchanged" in book.tool("price", "import", path, "--actor", "ada", "--reason", "contract")
    assert "0 added, 3 unchanged" in book.tool("price", "import", path)
    prices = listed(book, "--all")
    assert [(p["upstream"], p["from"], p["input"], p["request"], p["actor"], p["reason"]) for p in prices] == [
        (None, "2030-01-01T00:00:00Z", "2.50", None, "ada", "contract"),
        (None, "2031-01-01T00:00:00Z", None, None, "ada", "contract"),
        ("large", "2030-01-01T12:00:00Z", "2.40", "0.001", "ada", "contract")]
    # What list prints is a file of prices.
    again = file(book, "again.json", prices)
    assert "0 added, 3 unchanged" in book.tool("price", "import", again)


def test_every_mistake_is_told_with_line_and_column_and_nothing_is_written(book):
    book.tool("price", "set", "big-70b", "--input", "1", "--output", "1", "--from", "2030-01-01")
    path = file(book, "p.csv", HEADER + (
        "mini-1b,,2030-01-01,1,,,1,\n"
        ",,soon,1e5,-1,0.0000001,,x\n"
        "\n"
        "big-70b,,2030-02-01,unpriced,,,1,\n"
        "mini-1b,,2030-01-01T00:00,2,,,2,\n"
        "short\n"))
    said = book.refused_tool("price", "import", path)
    found = [line.strip() for line in said.splitlines()[1:]]
    assert [re.match(r"(line \d+): (?:(\w+): )?", line).groups() for line in found] == [
        ("line 3", "model"), ("line 3", "from"), ("line 3", "output"), ("line 3", "input"), ("line 3", "cached_input"),
        ("line 3", "cache_write"), ("line 3", "request"), ("line 5", "output"), ("line 6", "from"), ("line 7", None)]
    assert "line 2 again" in said
    taken = file(book, "t.csv", HEADER + "mini-1b,,2030-01-01,1,,,1,\nbig-70b,,2030-01-01,1,,,2,\n")
    said = book.refused_tool("price", "import", taken)
    assert "line 3: from: " in said and "another price (input 1.00, output 1.00 $" in said and "later date" in said
    assert len(listed(book, "--all")) == 1


@pytest.mark.parametrize("name,text,says", [
    ("p.csv", "", "p.csv is empty"),
    ("p.csv", HEADER, "holds no price"),
    ("p.csv", "model,from,inptu,output\n", 'line 1: "inptu" is no column of prices; did you mean input?'),
    ("p.csv", "model,from,input,output,model\n", "line 1: model: is there twice"),
    ("p.csv", "model,input,output\n", "line 1: from: is no column of the header"),
    ("p.csv", "model;from;input;output\nm;2030-01-01;1,5;2\n", "line 1: has semicolons between its columns"),
    ("p.csv", HEADER + '"big', "line 2: a quote is not closed"),
    ("p.json", "[{]", "p.json: It is not valid JSON"),
    ("p.json", "{}", "must be a JSON array of objects"),
    ("p.json", [], "holds no price"),
    ("p.json", [3], "item 1: must be an object"),
    ("p.json", [{"model": "m", "from": "now", "input": True, "output": 1}], "item 1: input: must be a text or a number"),
    ("p.json", [{"model": "m", "from": "now", "output": 1}], "item 1: input: is missing"),
    ("p.json", '[{"model": "m", "from": "now", "input": 1e-3, "output": 1}]', "item 1: input: must be dollars in digits"),
    ("p.json", '[{"model": "m", "model": "m", "from": "now", "input": 1, "output": 1}]', "item 1: model: is there twice"),
    ("p.json", [{"model": "m", "frm": "now", "input": 1, "output": 1}], "did you mean from?"),
    ("p.txt", "", "must end in .csv or .json"),
])
def test_a_file_that_is_none_is_refused(book, name, text, says):
    said = book.refused_tool("price", "import", file(book, name, text))
    assert says in said, said
    assert listed(book, "--all") == []


def test_a_file_that_cannot_be_read_is_told(book):
    assert "cannot be read" in book.refused_tool("price", "import", str(book.folder / "none.csv"))
    raw = book.folder / "latin.csv"
    raw.write_bytes(HEADER.encode() + b"m\xfcller,,now,1,,,1,\n")
    assert "not UTF-8" in book.refused_tool("price", "import", str(raw))


def test_numbers_of_json_are_read_digit_by_digit(book):
    # 0.1 + 0.2 as a double would not be 0.3.
    path = file(book, "p.json", '[{"model": "big-70b", "from": "2030-01-01", "input": 0.300000, "output": 100000.000001}]')
    book.tool("price", "import", path)
    assert book.database.rows("SELECT input, output FROM prices") == [{"input": 300000, "output": 100000000001}]


def test_another_book_is_simulated(book):
    database = book.database
    book.tool("tenant", "create", "acme")
    database.server.psql(database.name, """
        INSERT INTO requests (id, tenant_id, key_id, model, policy, policy_version, endpoint, is_stream, choices,
            started_at, finished_at, outcome, finish, calls, malformed, prompt_tokens, slm_tokens, llm_tokens,
            command_tokens, visible_tokens)
        SELECT uuid7_bound('2026-11-02Z'), id, gen_random_uuid(), 'relay', 'relay', '1', 'chat', false, 1,
            '2026-11-02Z', '2026-11-02Z', 'completed', 'stop', 1, 0, 0, 0, 0, 0, 0 FROM tenants;
        INSERT INTO segments (request_id, choice, seq, attempt, role, model, upstream, prompt_tokens, generated_tokens,
            command_tokens, source, command_source, finish, started_at, duration_us, cost_pico)
        SELECT uuid7_bound('2026-11-02Z'), 0, seq, 1, role, model, upstream, 1000, 100, 0, 'reported', 'counted', 'stop',
            '2026-11-02Z', 1, cost
        FROM (VALUES (0, 'slm', 'mini-1b', 'small', NULL), (1, 'llm', 'big-70b', 'large', 3500000000))
            v (seq, role, model, upstream, cost)""")
    path = file(book, "other.json", [{"model": "big-70b", "input": "2", "output": "8"}])
    call = ["price", "simulate", path, "--from", "2026-11-01", "--to", "2026-12-01"]
    found = json.loads(book.tool(*call, "--json"))
    # 1000 * 2 $ + 100 * 8 $ for a million tokens are 0.0028 $; 3,500,000,000 pico-dollars are 0.0035 $.
    sums = {"segments": 1, "recorded_dollars": "0.0035", "repriced_dollars": "0.0028", "difference_dollars": "-0.0007",
            "recorded_unpriced": 0, "repriced_unpriced": 0}
    assert found == {
        "from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00Z", "tenant": None,
        "total": sums | {"segments": 2, "recorded_unpriced": 1, "repriced_unpriced": 1},
        "models": [
            {"upstream_model": "big-70b", "upstream": "large"} | sums,
            {"upstream_model": "mini-1b", "upstream": "small", "segments": 1, "recorded_dollars": "0.00",
             "repriced_dollars": "0.00", "difference_dollars": "0.00", "recorded_unpriced": 1, "repriced_unpriced": 1}]}
    text = book.tool(*call, "--tenant", "acme")
    assert re.search(r"^big-70b +large +1 +0.0035 +0.0028 +-0.0007 +0 +0$", text, re.M), text
    assert re.search(r"^all +2 +0.0035 ", text, re.M) and "unpriced is in no sum" in text
    assert "no tenant is named" in book.refused_tool(*call, "--tenant", "acne")
    assert book.tool("price", "simulate", path, "--from", "2025-01-01", "--to", "2025-02-01") == "no requests in that time\n"
    assert "later than --from" in book.refused_tool("price", "simulate", path, "--from", "2026-01-01", "--to", "2025-02-01")
    assert listed(book, "--all") == []
