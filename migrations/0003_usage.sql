-- Usage by the hour, written in the same statement as the segments: reports never scan segments.

CREATE TABLE usage_hourly (
    tenant_id           uuid        NOT NULL,
    key_id              uuid        NOT NULL,
    hour                timestamptz NOT NULL,
    model               text        NOT NULL,
    role                text        NOT NULL,
    upstream_model      text        NOT NULL,
    requests            bigint      NOT NULL CHECK (requests BETWEEN 0 AND 9000000000000000),
    segments            bigint      NOT NULL CHECK (segments BETWEEN 0 AND 9000000000000000),
    generated_tokens    bigint      NOT NULL CHECK (generated_tokens BETWEEN 0 AND 9000000000000000),
    command_tokens      bigint      NOT NULL CHECK (command_tokens BETWEEN 0 AND 9000000000000000),
    prompt_tokens       bigint      NOT NULL CHECK (prompt_tokens BETWEEN 0 AND 9000000000000000),
    cached_tokens       bigint      NOT NULL CHECK (cached_tokens BETWEEN 0 AND 9000000000000000),
    prompts_unknown     bigint      NOT NULL CHECK (prompts_unknown BETWEEN 0 AND 9000000000000000),
    PRIMARY KEY (tenant_id, hour, key_id, model, role, upstream_model)
) WITH (fillfactor = 70);
COMMENT ON TABLE usage_hourly IS 'Sums over segments by hour. A request belongs to the hour in which it started.';
COMMENT ON COLUMN usage_hourly.hour IS 'The start of the hour, UTC.';
COMMENT ON COLUMN usage_hourly.model IS 'The public model name; upstream_model is the name that served.';
COMMENT ON COLUMN usage_hourly.requests IS 'Requests with at least one such segment: not to be added up over roles or upstream models.';
COMMENT ON COLUMN usage_hourly.prompts_unknown IS 'Segments whose server did not say how many prompt tokens it read: they are not in prompt_tokens.';
