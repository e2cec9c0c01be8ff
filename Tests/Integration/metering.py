"""What the tests of usage share: rows of hours whose sums are arithmetic."""

HOUR = "'2026-10-25T10:00Z'::timestamptz"


def fill(stack, tenant="acme", hours=3, tags="", model="relay"):
    """One row for each hour from 10:00 UTC: 2 requests of 1.3 s, 10 SLM and 30 LLM tokens, $ 0.000000000005.

    A latency of 1300 ms is in bucket 1 + floor(4 * log2(1300)) = 42, one of 200 ms in bucket 31.
    """
    stack.database.server.psql(stack.database.name, f"""
        INSERT INTO usage_request_deltas
        SELECT t.id, {HOUR} + make_interval(hours => h), k.id, '{model}', 'relay', $tags${tags}$tags$, 2, 1, 0, 3, 40,
            2 * latency_unit(42), 2 * latency_unit(31)
        FROM tenants t, generate_series(0, {hours - 1}) h,
            LATERAL (SELECT id FROM api_keys WHERE tenant_id = t.id ORDER BY id LIMIT 1) k WHERE t.name = '{tenant}';
        INSERT INTO usage_segment_deltas
        SELECT u.tenant_id, u.hour, u.key_id, u.model, u.policy, u.tags, r.role, r.role || '-0', 'm', 2, r.tokens, 1, 100,
            20, 0, r.cost, 0
        FROM usage_request_deltas u, (VALUES ('slm', 10, 2), ('llm', 30, 3)) AS r (role, tokens, cost)
        WHERE u.model = '{model}' AND u.tenant_id = (SELECT id FROM tenants WHERE name = '{tenant}')
            AND u.tags = $tags${tags}$tags$;
        INSERT INTO usage_refusals
        SELECT DISTINCT tenant_id, hour, key_id, model, 'rate_limit_exceeded', 7 FROM usage_request_deltas u
        WHERE tenant_id = (SELECT id FROM tenants WHERE name = '{tenant}') ON CONFLICT DO NOTHING;
        SELECT compact_usage();""")
