-- What segments cost, and whether answers were right.

-- What a model costs from a moment on, in pico-dollars (10^-12 $): a price of 1 $ for a million tokens is 1,000,000
-- pico-dollars a token, so six decimals of such a price are exact.
CREATE TABLE prices (
    id             bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model          text        NOT NULL CHECK (length(model) BETWEEN 1 AND 256),
    upstream       text        NOT NULL DEFAULT '' CHECK (length(upstream) <= 256),
    effective_from timestamptz NOT NULL,
    input          bigint      CHECK (input BETWEEN 0 AND 1000000000000),
    cached_input   bigint      CHECK (cached_input BETWEEN 0 AND 1000000000000),
    cache_write    bigint      CHECK (cache_write BETWEEN 0 AND 1000000000000),
    output         bigint      CHECK (output BETWEEN 0 AND 1000000000000),
    request        bigint      CHECK (request BETWEEN 0 AND 1000000000000000),
    actor          text        NOT NULL CHECK (length(actor) BETWEEN 1 AND 200),
    reason         text        NOT NULL CHECK (length(reason) <= 2000),
    created_at     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (model, upstream, effective_from),
    CHECK ((input IS NULL) = (output IS NULL)),
    CHECK (input IS NOT NULL OR cached_input IS NULL AND cache_write IS NULL AND request IS NULL)
);
COMMENT ON TABLE prices IS 'The price book. Append-only: what a request cost is what held when it began.';
COMMENT ON COLUMN prices.model IS 'The model name that the upstream serves.';
COMMENT ON COLUMN prices.upstream IS 'Only at this upstream; empty for every one that has no price of its own.';
COMMENT ON COLUMN prices.input IS 'A prompt token. NULL, and output too: from here on the model has no price.';
COMMENT ON COLUMN prices.cached_input IS 'A prompt token from the server''s cache; NULL: as input.';
COMMENT ON COLUMN prices.cache_write IS 'A prompt token that the server wrote to its cache; NULL: as input.';
COMMENT ON COLUMN prices.effective_from IS 'For requests that begin then or later, until the next price.';
COMMENT ON COLUMN prices.output IS 'A generated token.';
COMMENT ON COLUMN prices.actor IS 'Who set it.';
COMMENT ON COLUMN prices.reason IS 'Why; may be empty.';
COMMENT ON COLUMN prices.request IS 'Each attempt that was served; NULL: nothing.';
CREATE TRIGGER prices_append_only BEFORE UPDATE OR DELETE ON prices FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER prices_no_truncate BEFORE TRUNCATE ON prices FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The prices of models at upstreams, each with the span of time in which it holds: prices for every upstream hold until
-- the upstream gets one of its own.
CREATE FUNCTION price_spans(models text[], upstreams text[]) RETURNS TABLE (
    model text, upstream text, price bigint, input bigint, cached_input bigint, cache_write bigint, output bigint,
    request bigint, since timestamptz, until timestamptz
) LANGUAGE sql STABLE AS $$
    SELECT k.model, k.upstream, p.id, p.input, p.cached_input, p.cache_write, p.output, p.request, p.effective_from,
        lead(p.effective_from, 1, 'infinity') OVER (PARTITION BY k.model, k.upstream ORDER BY p.effective_from)
    FROM (SELECT DISTINCT u.model, u.upstream FROM unnest(models, upstreams) AS u (model, upstream)) k
    JOIN prices p ON p.model = k.model AND p.upstream IN (k.upstream, '')
    WHERE p.upstream <> '' OR p.effective_from < ALL (
        SELECT o.effective_from FROM prices o WHERE o.model = k.model AND o.upstream = k.upstream AND o.upstream <> '')
$$;

-- cost_of for numbers that could leave a bigint; NULL where the cost does.
CREATE FUNCTION large_cost(
    input bigint, cached_input bigint, cache_write bigint, output bigint, request bigint, prompt bigint, cached bigint,
    written bigint, generated bigint
) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN c.cost <= 9000000000000000000 THEN c.cost::bigint END
    FROM (SELECT
        greatest(0, coalesce(prompt, 0) - coalesce(cached, 0) - coalesce(written, 0))::numeric * input
        + coalesce(cached, 0)::numeric * coalesce(cached_input, input)
        + coalesce(written, 0)::numeric * coalesce(cache_write, input)
        + generated::numeric * output + coalesce(request, 0)) AS c (cost)
$$;

-- Pico-dollars for one attempt; NULL where nobody can say: no price, or tokens that cost something were not counted by
-- the server. An attempt that gave neither text nor a count was not served and costs nothing.
CREATE FUNCTION cost_of(
    input bigint, cached_input bigint, cache_write bigint, output bigint, request bigint, prompt bigint, cached bigint,
    written bigint, generated bigint
) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN prompt IS NULL AND generated = 0 THEN 0
        WHEN input IS NULL THEN NULL
        WHEN prompt IS NULL AND greatest(input, cached_input, cache_write) > 0 THEN NULL
        -- No sum of four products of numbers like these leaves a bigint.
        WHEN greatest(prompt, cached, written, generated, 0) <= 2000000
            AND greatest(input, cached_input, cache_write, output) <= 1000000000000 THEN
            greatest(0, coalesce(prompt, 0) - coalesce(cached, 0) - coalesce(written, 0)) * input
                + coalesce(cached, 0) * coalesce(cached_input, input)
                + coalesce(written, 0) * coalesce(cache_write, input) + generated * output + coalesce(request, 0)
        ELSE large_cost(input, cached_input, cache_write, output, request, prompt, cached, written, generated) END
$$;

-- Verdicts: whether an answer was right, by whoever judged it. Several sources are kept apart; the same source may
-- change its mind, and the latest counts.
CREATE TABLE verdicts (
    request_id uuid             NOT NULL,
    choice     bigint           NOT NULL DEFAULT 0 CHECK (choice BETWEEN 0 AND 9000000000000000),
    tenant_id  uuid             NOT NULL,
    source     text             NOT NULL CHECK (source ~ '^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$'),
    verdict    double precision NOT NULL CHECK (verdict BETWEEN 0 AND 1),
    judged_at  timestamptz      NOT NULL,
    note       text             NOT NULL DEFAULT '' CHECK (length(note) <= 2000),
    created_at timestamptz      NOT NULL DEFAULT now(),
    PRIMARY KEY (request_id, choice, source, judged_at)
);
COMMENT ON TABLE verdicts IS 'Judgements of answers: 1 is right, 0 wrong, between them a share. Append-only; of one source the latest counts.';
COMMENT ON COLUMN verdicts.request_id IS 'The request; it may be pruned.';
COMMENT ON COLUMN verdicts.choice IS 'Which of its answers, from 0.';
COMMENT ON COLUMN verdicts.source IS 'Who judged, such as a test suite.';
COMMENT ON COLUMN verdicts.verdict IS '1 is right, 0 wrong, between them a share.';
COMMENT ON COLUMN verdicts.judged_at IS 'When, as the source says.';
COMMENT ON COLUMN verdicts.note IS 'What the source says of it; emptied when a person is forgotten.';
CREATE TRIGGER verdicts_append_only BEFORE UPDATE ON verdicts
    FOR EACH ROW EXECUTE FUNCTION refuse_change_but_forgetting();
