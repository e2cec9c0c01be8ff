"""Verdicts: posted by callers, imported from files, and whose they are."""

import json
import uuid

import httpx
import pytest

from servers import Postgres
from traces import fill, installation

SCRIPT = {"plain": {"slm": ["A plain answer."], "llm": ["The large one."]}}


@pytest.fixture
def stack(make_stack):
    return make_stack(script=SCRIPT)


def ask(stack, key=None, **fields):
    response = stack.post(key=key, json={"model": "slm", "messages": [{"role": "user", "content": "[[plain]] Q."}], **fields})
    assert response.status_code == 200, response.text
    return response


def judge(stack, body, key=None, **options):
    return stack.post("/v1/verdicts", key=key, json=body, **options)


def rows(stack):
    return stack.database.rows(
        "SELECT request_id, choice, source, verdict, judged_at AT TIME ZONE 'UTC' AS at, note FROM verdicts ORDER BY 1, 2, 3, 5")


def test_one_verdict_is_kept(stack):
    answer = ask(stack)
    request = answer.headers["x-request-id"]
    body = {"request_id": request, "verdict": 1, "source": "tests", "judged_at": "2026-01-02T03:04:05.25+01:00", "note": "ok"}
    response = judge(stack, body)
    assert response.status_code == 200
    assert response.json() == {
        "object": "verdict", "request_id": request, "choice": 0, "source": "tests", "status": 200}
    expected = {"request_id": request, "choice": 0, "source": "tests", "verdict": 1, "at": "2026-01-02T02:04:05.25", "note": "ok"}
    assert rows(stack) == [expected]
    # The same again is no error and changes nothing; what contradicts it is one, and changes nothing either.
    assert judge(stack, {**body, "note": "again"}).status_code == 200
    refused = judge(stack, {**body, "verdict": 0})
    assert refused.status_code == 409
    assert (refused.json()["error"]["code"], refused.json()["error"]["param"]) == ("conflict", "judged_at")
    later = {**body, "source": "later"}
    batch = judge(stack, [{**body, "verdict": 0.5}, body, later, {**later, "verdict": 0}]).json()["data"]
    assert [item["status"] for item in batch] == [409, 200, 200, 409]
    assert rows(stack) == [{**expected, "source": "later"}, expected]
    # A response's id names its request, too; without a time it is judged now, and the latest counts.
    assert judge(stack, {"request_id": answer.json()["id"], "verdict": 0.5, "source": "tests"}).status_code == 200
    assert judge(stack, {"request_id": request, "verdict": 0, "source": "people", "note": None}).status_code == 200
    listed = json.loads(stack.gateway.tool("verdict", "list", "--request", request, "--json"))
    assert [(item["source"], item["verdict"], item["counts"]) for item in listed] == [
        ("later", 1.0, True), ("people", 0.0, True), ("tests", 0.5, True), ("tests", 1.0, False)]
    assert "people" in stack.gateway.tool("verdict", "list", "--request", request[:18])
    line = json.loads(stack.gateway.tool("trace", "export", "--limit", "1"))
    assert [(item["source"], item["verdict"]) for item in line["verdicts"]] == [("later", 1.0), ("people", 0.0), ("tests", 0.5)]


def test_a_note_does_not_move_the_operators_cursor(stack):
    request = ask(stack).headers["x-request-id"]
    # Escape, a control of the second block, and a mark that turns the direction of text around.
    assert judge(stack, {"request_id": request, "verdict": 1, "source": "tests", "note": "\x1b[2J\x9b1A\u202ea\nb"}).is_success
    listed = stack.gateway.tool("verdict", "list", "--request", request)
    assert listed.splitlines()[1].endswith("yes      [2J 1A a b")
    assert "\x1b" not in stack.gateway.tool("verdict", "list", "--request", request, "--json")


def test_a_tenant_judges_its_own_requests_only(stack):
    stack.gateway.tool("tenant", "create", "globex")
    theirs = stack.gateway.create_key("globex")
    request = ask(stack).headers["x-request-id"]
    other = ask(stack, theirs).headers["x-request-id"]
    alien = {"request_id": request, "verdict": 1, "source": "tests"}
    nobody = {"request_id": str(uuid.UUID(int=7)), "verdict": 1, "source": "tests"}
    refusals = [judge(stack, body, theirs) for body in (alien, nobody)]
    assert [response.status_code for response in refusals] == [404, 404]
    # Nothing tells a request of somebody else from none.
    assert refusals[0].json() == refusals[1].json()
    assert refusals[0].json()["error"]["code"] == "not_found"
    response = judge(stack, [alien, {"request_id": other, "verdict": 0.5, "source": "tests"}, nobody], theirs)
    assert response.status_code == 200
    data = response.json()["data"]
    assert [item["status"] for item in data] == [404, 200, 404]
    assert data[0]["error"] == data[2]["error"] and "error" not in data[1]
    assert [row["request_id"] for row in rows(stack)] == [other]
    # An answer that was not asked for is not there either.
    assert judge(stack, {"request_id": other, "choice": 1, "verdict": 1, "source": "tests"}, theirs).status_code == 404
    two = ask(stack, theirs, n=2).headers["x-request-id"]
    assert judge(stack, {"request_id": two, "choice": 1, "verdict": 1, "source": "tests"}, theirs).status_code == 200


ID = "01912acd-8e00-7000-8000-000000000001"
GOOD = {"request_id": ID, "verdict": 1, "source": "tests"}


@pytest.mark.parametrize("body, param, code", [
    ({"verdict": 1, "source": "tests"}, "request_id", "missing_required_parameter"),
    ({"request_id": ID, "source": "tests"}, "verdict", "missing_required_parameter"),
    ({"request_id": ID, "verdict": 1}, "source", "missing_required_parameter"),
    ({**GOOD, "request_id": "x"}, "request_id", "invalid_value"), ({**GOOD, "request_id": 7}, "request_id", "invalid_value"),
    ({**GOOD, "verdict": 1.1}, "verdict", "invalid_value"), ({**GOOD, "verdict": "1"}, "verdict", "invalid_value"),
    ({**GOOD, "verdict": None}, "verdict", "invalid_value"), ({**GOOD, "source": "Tests"}, "source", "invalid_value"),
    ({**GOOD, "choice": -1}, "choice", "invalid_value"), ({**GOOD, "choice": 0.5}, "choice", "invalid_value"),
    ({**GOOD, "judged_at": "today"}, "judged_at", "invalid_value"),
    ({**GOOD, "judged_at": "2026-11-26 11:00:00"}, "judged_at", "invalid_value"),
    ({**GOOD, "judged_at": "2026-11-26"}, "judged_at", "invalid_value"),
    ({**GOOD, "judged_at": 1723000000}, "judged_at", "invalid_value"),
    ({**GOOD, "judged_at": "2999-01-01T00:00:00Z"}, "judged_at", "invalid_value"),
    ({**GOOD, "note": "x" * 2001}, "note", "invalid_value"), ({**GOOD, "note": ["x"]}, "note", "invalid_value"),
    ({**GOOD, "rating": 5}, "rating", "unknown_parameter"), ([GOOD, {**GOOD, "verdict": 2}], "[1].verdict", "invalid_value"),
    ([], None, "invalid_value"), ([GOOD] * 1001, None, "invalid_value"), ([7], "[0]", "invalid_type"),
    ([{**GOOD, "rating": 5}], "[0].rating", "unknown_parameter"),
])
def test_bad_verdicts_are_named(judging, body, param, code):
    response = judge(judging, body)
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert (error["code"], error["param"]) == (code, param), error
    assert rows(judging) == []


@pytest.fixture(scope="module")
def judging(postgres, tmp_path_factory):
    """One gateway for all refusals: they leave nothing behind."""
    from servers import Stack

    stack = Stack(postgres, tmp_path_factory.mktemp("stack"), script=SCRIPT)
    yield stack
    assert stack.stop() == 0


def test_the_route_is_guarded(judging):
    url = judging.gateway.url + "/v1/verdicts"
    assert httpx.post(url, json=GOOD).status_code == 401
    assert httpx.post(url, json=GOOD, headers={"authorization": "Bearer sk-relay-wrong"}).status_code == 401
    response = httpx.get(url)
    assert response.status_code == 405 and response.headers["allow"] == "POST"
    assert judging.post("/v1/verdicts", content="{}", headers={"content-type": "text/plain"}).status_code == 415
    assert judging.post("/v1/verdicts", content="{").status_code == 400
    scoped = json.loads(judging.gateway.tool("key", "create", "--tenant", "acme", "--scope", "usage.read", "--json"))["key"]
    assert judge(judging, GOOD, scoped).status_code == 403
    # A thousand of them fit.
    response = judge(judging, [GOOD] * 1000)
    assert response.status_code == 200 and [item["status"] for item in response.json()["data"]] == [404] * 1000


def test_503_while_the_database_is_away(tmp_path):
    from servers import Stack

    server = Postgres()
    stack = Stack(server, tmp_path, script=SCRIPT, config={})
    try:
        request = ask(stack).headers["x-request-id"]
        body = {"request_id": request, "verdict": 1, "source": "tests"}
        server.control("stop", "immediate")
        # The key is still remembered for a moment; afterwards nobody can be let in at all. Both are 503.
        for _ in range(3):
            response = judge(stack, body)
            assert response.status_code == 503, response.text
            assert response.json()["error"]["code"] == "service_unavailable"
            assert response.headers["retry-after"] == "1"
        server.control("start")
        stack.gateway.wait_ready(20)
        response = judge(stack, body)
        for _ in range(50):
            if response.status_code == 200:
                break
            response = judge(stack, body)
        assert response.status_code == 200, response.text
        assert len(rows(stack)) == 1
    finally:
        stack.stop()
        server.stop()


def test_files_of_verdicts(postgres, tmp_path):
    tool = installation(postgres, tmp_path / "one")
    fill(tool, 3)
    tool.database.server.psql(tool.database.name, "DELETE FROM verdicts")
    ids = [json.loads(line)["request_id"] for line in tool.tool("trace", "export").splitlines()]
    jsonl = tmp_path / "verdicts.jsonl"
    jsonl.write_text("".join(json.dumps({"request_id": id, "verdict": index / 2, "judged_at": "2026-01-01T00:00:00Z"}) + "\n"
                             for index, id in enumerate(ids)))
    said = tool.tool("verdict", "import", str(jsonl), "--source", "unit-tests", "--dry-run")
    assert said == "3 verdict(s) of unit-tests would be written, 0 bad line(s)\n"
    for _ in range(2):
        assert tool.tool("verdict", "import", str(jsonl), "--source", "unit-tests").startswith("3 verdict(s)")
    found = tool.database.rows("SELECT request_id, verdict, source FROM verdicts ORDER BY 1")
    assert found == [{"request_id": id, "verdict": index / 2, "source": "unit-tests"} for index, id in enumerate(ids)]
    table = tmp_path / "verdicts.csv"
    table.write_text(f'note,request_id,verdict,choice\r\n"so, ""so""\nand so",{ids[0]},0.25,0\r\n,{ids[1]},1,')
    tool.tool("verdict", "import", str(table), "--source", "people")
    found = tool.database.rows("SELECT verdict, note FROM verdicts WHERE source = 'people' ORDER BY request_id")
    assert found == [{"verdict": 0.25, "note": 'so, "so"\nand so'}, {"verdict": 1, "note": ""}]


@pytest.mark.parametrize("name, text, message", [
    ("v.jsonl", '{"request_id":"ID","verdict":1}\n{"request_id":"ID","verdict":7}', "line 2: 'verdict' must be a number"),
    ("v.jsonl", '{"request_id":"ID","verdict":1,"source":"x"}', "line 1: A verdict has no member 'source'"),
    ("v.jsonl", '\n{"request_id":"' + ID + '","verdict":1}', "line 2: request_id names no request"),
    ("v.jsonl", "[", "line 1: The body is not valid JSON"),
    ("v.csv", "request_id,score\n", "line 1: must name the columns request_id and verdict"),
    ("v.csv", "request_id,verdict\nID\n", "line 2: has 1 fields, the header 2"),
    ("v.csv", "request_id,verdict\nID,no\n", "line 2: 'verdict' must be a number"),
    ("v.csv", 'request_id,verdict\n"ID,1\n', "line 2: is no CSV: a quote is not closed"),
    ("v.csv", "request_id,verdict,judged_at\nID,1,2026-11-26\n", "line 2: 'judged_at' must be a time with its zone"),
    ("v.csv", "request_id,verdict,judged_at\nID,1,2026-11-26T01:00Z\nID,1,2026-11-26T01:00Z\nID,0,2026-11-26T02:00+01:00\n",
     "line 4: judged_at is that of another verdict of this source and answer"),
    ("v.csv", "request_id,verdict\nID,1\nID,0\n", "line 3: judged_at is that of another verdict"),
    ("v.txt", "", "--format: is needed"),
])
def test_bad_files_are_named(postgres, tmp_path, name, text, message):
    tool = installation(postgres, tmp_path / "one")
    fill(tool, 1)
    id = json.loads(tool.tool("trace", "export"))["request_id"]
    path = tmp_path / name
    path.write_text(text.replace('"ID', '"' + id).replace("ID", id))
    assert message in tool.refused_tool("verdict", "import", str(path), "--source", "tests")
    assert "--source: must be" in tool.refused_tool("verdict", "import", str(path), "--source", "My Tests")
