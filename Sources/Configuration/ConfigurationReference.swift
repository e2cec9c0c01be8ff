import Notation

/// Every key of `relaygate.yaml` as data: the loader, the example's test and the documentation share this one table.
package enum ConfigurationReference {
    /// All keys, a section directly before its keys.
    package static let entries: [ReferenceEntry] =
        serverEntries + budgetEntries + retentionEntries + upstreamEntries + modelEntries + processEntries

    /// The same, by sections.
    package static let table = KeyTable(entries)

    private static let serverEntries: [ReferenceEntry] = [
        .init("listen", .section, .absent, "Where callers connect, and the limits of one process."),
        .init(
            "listen.host", .text(maximumBytes: 255), .value("127.0.0.1"),
            "Numeric address to listen on, or `localhost`."),
        .init(
            "listen.port", .integer(0...65535), .value("8080"),
            "TCP port to listen on; 0 takes a free one."),
        .init(
            "listen.loops", .automaticInteger(1...256), .value("auto"),
            "Event-loop threads. `auto` is half the processors, at least one."),
        .init(
            "listen.body_limit", .bytes(1024...1 << 30), .value("4MiB"),
            "Longest request body; beyond it 413."),
        .init(
            "listen.header_limit", .bytes(1024...1 << 20), .value("16KiB"),
            "Longest request head; beyond it 431."),
        .init(
            "listen.connection_limit", .integer(1...1_000_000), .value("10000"),
            "Most open client connections of one event loop; more are refused."),
        .init(
            "listen.idle_timeout", .duration(.seconds(1)...(.seconds(86_400))), .value("60s"),
            "An idle client connection is closed after this."),
        .init(
            "listen.stream_buffer", .bytes(4096...1 << 30), .value("256KiB"),
            "Text held for one slow client before its upstream transfer is paused."),
        .init(
            "listen.max_choices", .integer(1...128), .value("8"), "Largest `n` a request may ask for."),

        .init("postgres", .section, .absent, "The database of tenants, budgets and the ledger."),
        .init(
            "postgres.url", .connectionString, .value("env:DATABASE_URL"),
            "Connection string of PostgreSQL, by `env:NAME` or `file:/path`; literally only without a password."
        ),
        .init(
            "postgres.replica", .connectionString, .absent,
            "Connection string of a replica that `relaygate usage`, `trace export` and `simulate --ledger` read, in the forms of `postgres.url`; absent: they read the primary."
        ),
        .init("postgres.connections", .integer(1...64), .value("2"), "Connections of one process."),
        .init(
            "postgres.outage_grace", .duration(.seconds(1)...(.seconds(3600))), .value("2s"),
            "How long admission goes on when PostgreSQL does not answer."),

        .init("ledger", .section, .absent, "How usage is written."),
        .init(
            "ledger.receipt", .choice(LedgerConfiguration.Receipt.allCases.map(\.rawValue)),
            .value("committed"),
            "Whether a response's last event waits until its rows are `committed` or only until they are `queued`."
        ),
        .init(
            "ledger.queue_limit", .bytes(1 << 20...1 << 34), .value("64MiB"),
            "Rows waiting to be written; when full, admission stops."),
        .init(
            "ledger.batch_limit", .integer(1...65_536), .value("512"),
            "Most requests written in one transaction."),
        .init(
            "ledger.connections", .integer(1...16), .value("2"),
            "Connections that transactions are spread over when there is more to write than one can take."),
        .init(
            "ledger.spool", .text(maximumBytes: 1024), .absent,
            "Directory on a local disk where finished requests are kept while PostgreSQL is away. See [operations.md](operations.md#the-spool)."
        ),
        .init(
            "ledger.spool_bytes", .bytes(1 << 20...1 << 40), .value("1GiB"),
            "Most bytes in `ledger.spool`; when it is full, rows wait in memory."),
    ]

    private static let budgetEntries: [ReferenceEntry] = [
        .init(
            "budgets", .section, .absent,
            "How budgets are kept; the budgets themselves are set with `relaygate budget`."),
        .init(
            "budgets.webhook", .secret, .absent,
            "Address that gets a POST for each budget threshold that is reached, by `env:NAME` or `file:/path`."),
        .init(
            "budgets.accept_async_failover", .boolean, .value("false"),
            "Keep hard budgets although a standby follows that commits do not wait for: a failover to it forgets the last grants."
        ),
    ]

    private static let retentionEntries: [ReferenceEntry] = [
        .init(
            "retention", .section, .absent,
            "How long the ledger keeps things; what is absent is kept for ever. See [retention.md](retention.md)."),
        .init(
            "retention.segments", .duration(.seconds(62 * 86_400)...(.seconds(36_500 * 86_400))), .absent,
            "Requests, segments and charges, by whole months; such as `400d`. A month that a budget still needs is kept. Statements need them: see [retention.md](retention.md#statements)."
        ),
        .init(
            "retention.payloads", .duration(.seconds(3600)...(.seconds(36_500 * 86_400))), .absent,
            "Hashes and text of prompts and answers; such as `30d`."),
        .init(
            "retention.dead_letters", .duration(.seconds(86_400)...(.seconds(36_500 * 86_400))), .absent,
            "Records that the tables refused; those that leases have paid for go with their charges."),
        .init(
            "retention.lease_events", .duration(.seconds(7 * 86_400)...(.seconds(36_500 * 86_400))), .absent,
            "Grants and returns of leases, counted from the end of the lease."),
    ]

    private static let upstreamEntries: [ReferenceEntry] = [
        .init("upstreams", .sections, .required, "The model servers."),
        .init("upstreams[].name", .name, .required, "The name that pairs use."),
        .init(
            "upstreams[].model", .text(maximumBytes: 256), .required, "The model's name on that server."),
        .init(
            "upstreams[].url", .url, .required,
            "Base address, to which `/completions` is appended. Without a path, `/v1` is meant."),
        .init(
            "upstreams[].dialect", .choice(UpstreamConfiguration.Dialect.allCases.map(\.rawValue)),
            .required,
            "What kind of server it is; says how it is asked to go on with a text."),
        .init(
            "upstreams[].api_key", .secret, .absent,
            "Sent as bearer token, by `env:NAME` or `file:/path`."),
        .init(
            "upstreams[].context_window", .integer(16...100_000_000), .absent,
            "Tokens that fit the model; calls are clamped to what is left of it. Absent means that the server's own check decides."
        ),
        .init(
            "upstreams[].template", .choice(UpstreamConfiguration.Template.allCases.map(\.rawValue)),
            .derived("`server` for `llamacpp` and `vllm`, else `chatml`"),
            "Who renders chat messages to a prompt: the server's own endpoint, or a template built in here."
        ),
        .init(
            "upstreams[].continuation",
            .choice(UpstreamConfiguration.Continuation.allCases.map(\.rawValue)),
            .value("completions"), "The endpoint by which the server continues a text."),
        .init(
            "upstreams[].idle_connections", .integer(1...65_536), .value("256"),
            "Connections to the server that each event loop keeps open for reuse."),
        .init(
            "upstreams[].connect_timeout", .duration(.milliseconds(10)...(.seconds(600))), .value("2s"),
            "Time to connect."),
        .init(
            "upstreams[].first_byte_timeout", .duration(.milliseconds(10)...(.seconds(3600))),
            .value("120s"),
            "Time from the request to the first byte of its answer."),
        .init(
            "upstreams[].idle_timeout", .duration(.milliseconds(10)...(.seconds(3600))), .value("60s"),
            "Longest silence inside an answer."),
        .init(
            "upstreams[].retries", .integer(0...10), .value("1"),
            "New attempts, only before the first byte."),
        .init(
            "upstreams[].max_tokens", .integer(1...100_000_000), .value("2048"),
            "Length of an answer when the caller sets none."),
        .init(
            "upstreams[].running_usage", .boolean, .derived("what the dialect offers"),
            "Whether stream chunks carry a running token count."),
        .init(
            "upstreams[].forbid", .choice(UpstreamConfiguration.Forbid.allCases.map(\.rawValue)),
            .value("auto"),
            "How commands are forbidden: `auto` uses what the dialect has, `none` only removes them."),
    ]

    private static let modelEntries: [ReferenceEntry] = [
        .init("pairs", .sections, .required, "Which LLM stands behind which SLM."),
        .init("pairs[].name", .name, .required, "The name that models use."),
        .init(
            "pairs[].slm", .names, .required,
            "Upstream of the SLM, or a list of replicas of the same model."),
        .init(
            "pairs[].llm", .names, .required,
            "Upstream of the LLM, or a list of replicas of the same model."),

        .init(
            "models", .sections, .derived("`relay`, `prompted`, `slm` and `llm` for each pair"),
            "The model names callers see. With several pairs the names made by default are `<pair>-relay` and so on."
        ),
        .init("models[].name", .modelName, .required, "The public name."),
        .init("models[].pair", .name, .required, "The pair that answers."),
        .init(
            "models[].policy", .policy, .required,
            "Who writes what: `relay`, `prompted`, `fixed(k)`, `random(p)`, `slm` or `llm`."),
        .init(
            "models[].max_calls", .integer(0...1000), .value("4"), "Most calls of the LLM in one answer."),
        .init(
            "models[].max_call_tokens", .integer(1...1_000_000), .value("512"), "Most tokens of one call."
        ),
        .init(
            "models[].max_malformed", .integer(0...1000), .value("3"),
            "After this many malformed commands the SLM goes on with commands forbidden."),
        .init(
            "models[].on_llm_eos", .choice(ModelConfiguration.EndOfSequence.allCases.map(\.rawValue)),
            .value("finish"), "When the LLM ends by itself: `finish` the answer, or let the SLM `resume`."
        ),
        .init(
            "models[].on_refused", .choice(ModelConfiguration.Refusal.allCases.map(\.rawValue)),
            .value("degrade"),
            "When a call is refused or fails: `degrade` to the SLM alone, or `fail` the request."),
        .init("models[].tags", .section, .absent, "How a command is written."),
        .init("models[].tags.open", .text(maximumBytes: 32), .value("<call>"), "Starts a command."),
        .init("models[].tags.close", .text(maximumBytes: 32), .value("</call>"), "Ends a command."),
        .init(
            "models[].prompted", .section, .absent,
            "What teaches the command to the SLM; what is absent in it is built in. Policy `prompted` always has it; "
                + "`fixed(k)`, `slm` and `random(p)` have it where it is written, to be compared with `prompted`."),
        .init(
            "models[].prompted.system", .text(maximumBytes: 65_536), .absent,
            "Text before the worked examples."),
        .init("models[].prompted.examples", .sections, .absent, "Worked examples."),
        .init(
            "models[].prompted.examples[].question", .text(maximumBytes: 65_536), .required,
            "What is asked."),
        .init(
            "models[].prompted.examples[].answer", .text(maximumBytes: 65_536), .required,
            "The answer, with commands where the LLM wrote."),
    ]

    private static let processEntries: [ReferenceEntry] = [
        .init("shutdown", .section, .absent, "How the process ends."),
        .init(
            "shutdown.deadline", .duration(.zero...(.seconds(86_400))), .value("30s"),
            "Time that running requests get to finish."),
        .init("log", .section, .absent, "What is logged to standard error."),
        .init(
            "log.format", .choice(LogConfiguration.Format.allCases.map(\.rawValue)), .value("text"),
            "Lines for people, or one JSON object on each line."),
        .init(
            "log.level", .choice(LogConfiguration.Level.allCases.map(\.rawValue)), .value("info"),
            "The least important level that is written."),
    ]
}
