"""What the tests of traces share: a configuration without servers, and a ledger full of known requests."""

import json

from servers import Gateway

CONFIG = {
    "upstreams": [
        {"name": name, "model": name, "url": "http://127.0.0.1:9/v1", "dialect": "openai"} for name in ("small", "large")],
    "pairs": [{"name": "pair", "slm": "small", "llm": "large"}],
}
# 2025-03-10 00:00 UTC, in milliseconds.
START = 1_741_564_800_000


def installation(postgres, directory, tenant="acme", **config):
    """An empty ledger with one tenant and key, and prices for one of the two models."""
    database = postgres.create_database()
    directory.mkdir(exist_ok=True)
    tool = Gateway({**CONFIG, "listen": {"host": "127.0.0.1", "port": 0}, "postgres": {"url": database.url}, **config},
                   directory)
    key = tool.prepare(tenant)
    tool.database, tool.key = database, key.removeprefix("sk-relay-").split("-")[0]
    postgres.psql(database.name, """
        INSERT INTO prices (model, upstream, effective_from, input, output, actor, reason)
            VALUES ('small', '', '1970-01-01Z', 100, 700, 'test', '')""")
    return tool


def fill(tool, count, step_ms=1000, tenant="acme"):
    """Requests number 0 to count - 1, step_ms apart: two segments of the SLM and, in every third, one of the LLM between
    them; tags in every second; verdicts of two sources in every fifth, of which one changed its mind."""
    tool.database.server.psql(tool.database.name, f"""
        SELECT ensure_partitions(1, to_timestamp({START / 1000}));
        CREATE TEMP TABLE made AS
        SELECT n, (lpad(to_hex({START} + n * {step_ms}::bigint), 12, '0') || '7000' || '8' || lpad(to_hex(n), 15, '0'))::uuid
            AS id, to_timestamp(({START} + n * {step_ms}::bigint) / 1000.0) + (n % 1000) * interval '1 us' AS at,
            n % 3 = 0 AS calls
        FROM generate_series(0, {count} - 1) AS n;
        INSERT INTO requests (id, tenant_id, key_id, model, policy, policy_version, propensity, endpoint, is_stream,
            choices, started_at, finished_at, outcome, finish, error_code, degraded, calls, malformed, prompt_tokens,
            slm_tokens, llm_tokens, command_tokens, visible_tokens, tags)
        SELECT m.id, t.id, k.id, CASE WHEN n % 4 = 0 THEN 'other' ELSE 'relay' END,
            CASE WHEN calls THEN 'relay' ELSE 'random(0.25)' END, 'v1', CASE WHEN calls THEN NULL ELSE 0.1 + (n % 7) / 10.0 END,
            CASE WHEN n % 2 = 0 THEN 'chat' ELSE 'completions' END, n % 2 = 0, 1, at, at + (n % 5000) * interval '1.001 ms',
            CASE WHEN n % 11 = 0 THEN 'failed' ELSE 'completed' END, 'stop',
            CASE WHEN n % 11 = 0 THEN 'upstream_error' END, CASE WHEN n % 13 = 0 THEN 'budget' END,
            calls::int, 0, 20, 15, CASE WHEN calls THEN 7 ELSE 0 END, CASE WHEN calls THEN 4 ELSE 0 END, 18,
            CASE WHEN n % 2 = 0 THEN jsonb_build_object('user', 'u' || n % 10, 'te"am', E'a,"b"\\n' || n % 3) ELSE '{{}}' END
        FROM made m, tenants t JOIN api_keys k ON k.tenant_id = t.id WHERE t.name = '{tenant}';
        INSERT INTO segments (request_id, choice, seq, attempt, role, model, upstream, requested, granted, prompt_tokens,
            cached_tokens, generated_tokens, command_tokens, source, command_source, finish, started_at, first_token_us,
            duration_us, error, cache_write_tokens, price_id, cost_pico)
        SELECT m.id, 0, s.seq, 1, s.role, s.model, s.model || '-1', CASE s.role WHEN 'llm' THEN 9 END,
            CASE s.role WHEN 'llm' THEN 7 END, CASE s.role WHEN 'slm' THEN 20 + n % 5 END,
            CASE s.role WHEN 'slm' THEN n % 5 END, s.tokens, s.command, 'reported', 'counted',
            CASE s.seq WHEN 0 THEN 'call' ELSE 'stop' END, at + s.seq * interval '1.5 ms', 1234, 98765 + n % 10,
            CASE WHEN n % 17 = 0 THEN 'a "quoted", text' END, NULL, p.price,
            cost_of(p.input, p.cached_input, p.cache_write, p.output, p.request, CASE s.role WHEN 'slm' THEN 20 + n % 5 END,
                CASE s.role WHEN 'slm' THEN n % 5 END, NULL, s.tokens)
        FROM made m CROSS JOIN LATERAL (VALUES
            (0, 'slm', 'small', 10, CASE WHEN calls THEN 4 ELSE 0 END), (1, 'llm', 'large', 7, 0),
            (CASE WHEN calls THEN 2 ELSE 1 END, 'slm', 'small', 5, 0)) AS s (seq, role, model, tokens, command)
        LEFT JOIN price_spans(ARRAY['small', 'large'], ARRAY['small-1', 'large-1']) p
            ON p.model = s.model AND at >= p.since AND at < p.until
        WHERE calls OR s.role = 'slm';
        INSERT INTO verdicts (request_id, tenant_id, source, verdict, judged_at, note)
        SELECT m.id, t.id, v.source, v.verdict, at + v.later * interval '1 ms', 'n' || n
        FROM made m, tenants t, (VALUES ('tests', 0::float8, 1), ('tests', 1, 2.5), ('people', 0.25, 1)) AS v (source, verdict, later)
        WHERE n % 5 = 0 AND t.name = '{tenant}';
        ANALYZE;""")


def count_usage(tool):
    """Counts the requests that `fill` made, as the ledger's writer would have."""
    tool.database.server.psql(tool.database.name, """
        INSERT INTO usage_request_deltas SELECT tenant_id, date_trunc('hour', started_at, 'UTC'), key_id, model, policy, '',
            count(*), count(degraded), count(*) FILTER (WHERE outcome = 'failed'), sum(calls), sum(visible_tokens), 0, 0
            FROM requests GROUP BY 1, 2, 3, 4, 5;
        INSERT INTO usage_segment_deltas SELECT r.tenant_id, date_trunc('hour', r.started_at, 'UTC'), r.key_id, r.model, r.policy,
            '', s.role, s.upstream, s.model, count(*), sum(s.generated_tokens), sum(s.command_tokens),
            coalesce(sum(s.prompt_tokens), 0), coalesce(sum(s.cached_tokens), 0),
            count(*) FILTER (WHERE s.prompt_tokens IS NULL), coalesce(sum(s.cost_pico), 0),
            count(*) FILTER (WHERE s.cost_pico IS NULL)
            FROM segments s JOIN requests r ON r.id = s.request_id GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9""")


def audit(tool):
    broken = [item for item in json.loads(tool.tool("audit", "--json")) if item["broken"]]
    assert broken == []
