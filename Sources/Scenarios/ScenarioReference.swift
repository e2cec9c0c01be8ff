package import Configuration
internal import Simulator

/// Every key of a scenario file as data: the loader and the documentation share this one table.
package enum ScenarioReference {
    /// All keys, a section directly before its keys.
    package static let entries: [ReferenceEntry] =
        topEntries + sourceEntries + selectEntries + policyEntries + costEntries + relayEntries

    static let table = KeyTable(entries)

    /// The table of all keys in Markdown, for Docs/simulate.md.
    package static var markdown: String {
        let rows = entries.map { entry in
            let cells = [
                "`\(entry.path)`", ConfigurationReference.typeText(entry.kind),
                ConfigurationReference.defaultText(entry.defaultValue), entry.meaning,
            ]
            return "| \(cells.map(ConfigurationReference.escaped).joined(separator: " | ")) |"
        }
        return (["| key | type | default | meaning |", "| --- | --- | --- | --- |"] + rows).joined(separator: "\n")
            + "\n"
    }

    private static let topEntries: [ReferenceEntry] = [
        .init(
            "title", .text(maximumBytes: 200), .derived("the file's name"), "Stands above the report: the question."),
        .init(
            "matched", .choice(matchedWords), .value("llm_tokens"),
            "The quantity that is made equal when a policy is compared at matched cost; it is printed with the result."),
        .init(
            "verdict_source", .text(maximumBytes: 63), .absent,
            "Whose verdicts are believed. Absent: the only source there is; an error when there are several."),
        .init(
            "group_by", .text(maximumBytes: 200), .absent,
            "Splits the report: `tenant`, `model`, or the name of a tag, such as `benchmark`."),
        .init(
            "cluster", .text(maximumBytes: 200), .value("request"),
            "What belongs together when intervals are drawn: `request`, `tenant` or `tag:NAME`."),
        .init(
            "seed", .integer(0...Int.max), .value("20260108"), "Of the bootstrap. The same seed gives the same bytes."),
        .init(
            "replicates", .integer(0...100_000), .value("2000"),
            "Of the bootstrap; 0 for none; intervals by a formula remain."),
        .init(
            "train", .section, .absent,
            "The part of the requests on which thresholds with an aim are chosen; the rest is held out, and they are reported on it."
        ),
        .init(
            "train.share", .number(TrainSplit.shares), .value("0.5"),
            "Of the requests that have a score and verdicts of both models."),
        .init(
            "train.order", .choice(["time", "file", "random"]),
            .derived("`time` for traces, `random` for pair tables"),
            "`time`: those that arrived first, of traces; `file`: the first rows, of pair tables, that have the score and both verdicts; `random`: by a hash of the request or of its cluster."
        ),
    ]

    private static let matchedWords = [
        "llm_tokens", "generated_tokens", "billed_tokens", "money", "activated_parameters", "requests",
    ]

    private static let sourceEntries: [ReferenceEntry] = [
        .init(
            "source", .section, .absent, "Where the data are: one of `traces`, `pairs`, `rows`, `ledger` and `paper`."),
        .init(
            "source.traces", .names, .absent,
            "Trace files of version 2, JSON Lines or tables named `.csv`, relative to the scenario file. Their order does not matter."
        ),
        .init(
            "source.pairs", .text(maximumBytes: 4096), .absent,
            "A pair table: CSV with a verdict of either model alone for each question, relative to the scenario file."),
        .init(
            "source.columns", .text(maximumBytes: 4096), .absent,
            "Which columns of the pair table hold what, such as `slm_correct=small_ok,llm_correct=large_ok`."),
        .init(
            "source.rows", .text(maximumBytes: 4096), .absent,
            "Published rows: CSV with accuracies and call ratios of systems, relative to the scenario file."),
        .init(
            "source.ledger", .boolean, .absent, "`true` reads the ledger of the configuration that `--config` names."),
        .init("source.paper", .boolean, .absent, "`true` takes the tables that the paper published."),
    ]

    private static let selectEntries: [ReferenceEntry] = [
        .init("select", .section, .absent, "Which requests are simulated; all conditions hold."),
        .init(
            "select.from", .text(maximumBytes: 30), .absent,
            "The first moment, in UTC: `2026-11-01` or `2026-11-01T15:00`."),
        .init("select.to", .text(maximumBytes: 30), .absent, "The moment before which they end."),
        .init("select.tenants", .names, .absent, "Only these tenants' requests."),
        .init(
            "select.policies", .names, .absent,
            "Only requests that were served under these policies, as logged: `relay`."),
        .init("select.tags", .names, .absent, "Only requests with these tags, all of them: `KEY=VALUE`."),
    ]

    private static let policyEntries: [ReferenceEntry] = [
        .init(
            "policies", .sections, .absent, "What could have been done instead: each item has one of the keys below."),
        .init("policies[].name", .text(maximumBytes: 100), .derived("the policy"), "What the report calls it."),
        .init(
            "policies[].policy", .text(maximumBytes: 200), .absent,
            "One word, as for `--policy`: `as-logged`, `slm`, `llm`, `oracle`, `random:SHARE`, `random:matched-QUANTITY`, `fixed:N`, `cap-n:N`, `cap-calls:N`, `cap-tokens:N`, `threshold:TAG>=NUMBER`, `threshold:TAG@AIM=NUMBER`, `cascade:ACCEPT/REJECT`."
        ),
        .init("policies[].cap_n", .integer(1...1_000_000_000), .absent, "Every n above this is cut to it."),
        .init("policies[].cap_calls", .integer(0...1_000_000), .absent, "At most so many calls in an answer."),
        .init(
            "policies[].cap_tokens", .integer(0...1_000_000_000), .absent, "At most so many LLM tokens in an answer."),
        .init("policies[].budgets", .sections, .absent, "Budgets of LLM tokens, used in the order of arrival."),
        .init("policies[].budgets[].tenant", .text(maximumBytes: 200), .absent, "Whose. Absent: each tenant has one."),
        .init(
            "policies[].budgets[].tokens", .integer(0...9_000_000_000_000_000), .required, "LLM tokens in a window."),
        .init(
            "policies[].budgets[].window", .choice(["hour", "day", "month", "total"]), .value("day"),
            "When it is full again, in UTC."),
        .init(
            "policies[].budgets[].on_exhausted", .choice(["degrade", "reject"]), .value("degrade"),
            "The SLM goes on alone, or the request is refused."),
        .init("policies[].time_share", .section, .absent, "Two policies that share the requests at random."),
        .init("policies[].time_share.first", .text(maximumBytes: 200), .required, "A policy in one word."),
        .init("policies[].time_share.second", .text(maximumBytes: 200), .required, "A policy in one word."),
        .init("policies[].time_share.share", .number(0...1), .required, "The share of requests of the first."),
        .init(
            "policies[].threshold", .section, .absent,
            "Sends requests to the LLM by a score: a tag of traces, or a column of a pair table."),
        .init(
            "policies[].threshold.score", .text(maximumBytes: 200), .required,
            "The tag or the column that holds the score."),
        .init(
            "policies[].threshold.at_least", .number(-1e300...1e300), .absent,
            "From here on the LLM answers. This, or one of the aims below, for which the threshold is chosen on the training part."
        ),
        .init(
            "policies[].threshold.share", .number(0...1), .absent,
            "Aim: at most this share of the requests to the LLM, and the most right answers."),
        .init(
            "policies[].threshold.accuracy", .number(0...1), .absent,
            "Aim: at least this accuracy, and the fewest requests to the LLM."),
        .init(
            "policies[].threshold.llm_accuracy", .number(0...1), .absent,
            "Aim: at least this part of the LLM's accuracy, and the fewest requests to the LLM."),
        .init(
            "policies[].threshold.cost", .number(0...1e9), .absent,
            "Aim: at most so many dollars for 1,000 requests, and the most right answers; needs prices."),
        .init("policies[].cascade", .section, .absent, "The SLM first, then the LLM where a judge says wrong."),
        .init(
            "policies[].cascade.false_accept", .number(0...1), .value("0"),
            "How often the judge accepts a wrong answer."),
        .init(
            "policies[].cascade.false_reject", .number(0...1), .value("0"), "How often it rejects a right one."),
    ]

    private static let costEntries: [ReferenceEntry] = [
        .init("cost_models", .sections, .absent, "What requests cost, side by side."),
        .init("cost_models[].name", .text(maximumBytes: 100), .required, "What the report calls it."),
        .init(
            "cost_models[].basis",
            .choice(["recorded", "prices", "parameters", "generated_tokens", "billed_tokens"]), .required,
            "As recorded in the trace; by `prices`; activated parameters (the rule of R2R); or tokens."),
        .init("cost_models[].prices", .sections, .absent, "With the basis `prices`: dollars for a million tokens."),
        .init(
            "cost_models[].prices[].model", .text(maximumBytes: 200), .required,
            "The model's name as it served, or `slm` or `llm` for every model in that role."),
        .init(
            "cost_models[].prices[].from", .text(maximumBytes: 30), .value("1970-01-01"),
            "Requests that arrive then or later have it, until the model's next price."),
        .init("cost_models[].prices[].input", .text(maximumBytes: 40), .required, "Dollars for a million tokens read."),
        .init(
            "cost_models[].prices[].cached_input", .text(maximumBytes: 40), .derived("`input`"),
            "Dollars for a million tokens read from the cache."),
        .init(
            "cost_models[].prices[].cache_write", .text(maximumBytes: 40), .derived("`input`"),
            "Dollars for a million tokens written to the cache."),
        .init(
            "cost_models[].prices[].output", .text(maximumBytes: 40), .required,
            "Dollars for a million generated tokens."),
        .init(
            "cost_models[].prices[].request", .text(maximumBytes: 40), .value("0"),
            "Dollars for each call of the model."),
        .init(
            "cost_models[].cache", .choice(["reported", "none", "perfect", "rule"]), .value("reported"),
            "With the basis `prices`: which prompt tokens were cached: as reported, none, all that an earlier call of the request shares, or by `cache_rule`."
        ),
        .init("cost_models[].cache_rule", .section, .absent, "With `cache: rule`."),
        .init(
            "cost_models[].cache_rule.minimum", .integer(0...1_000_000_000), .value("0"),
            "No shorter prefix is cached, in tokens."),
        .init(
            "cost_models[].cache_rule.step", .integer(1...1_000_000_000), .value("1"),
            "A cached prefix is a multiple of this, in tokens: a block size."),
        .init(
            "cost_models[].cache_rule.ttl", .duration(.milliseconds(1)...(.seconds(31_536_000))), .absent,
            "How long a prefix is kept. Absent: for ever."),
        .init("cost_models[].parameters", .section, .absent, "With the basis `parameters`: billions of them."),
        .init("cost_models[].parameters.slm", .number(0...1e6), .required, "Of the SLM."),
        .init("cost_models[].parameters.llm", .number(0...1e6), .required, "Of the LLM."),
    ]

    private static let relayEntries: [ReferenceEntry] = [
        .init(
            "relay", .section, .absent,
            "The limits under which the trace was made, which it does not hold: bounds on changed answers need them."),
        .init("relay.max_calls", .integer(0...1_000_000), .value("4"), "Calls in an answer."),
        .init("relay.max_call_tokens", .integer(1...1_000_000_000), .value("512"), "LLM tokens in a call."),
        .init(
            "relay.max_malformed", .integer(0...1_000_000), .value("3"),
            "Malformed commands before commands are forbidden."),
        .init(
            "relay.max_tokens", .integer(1...1_000_000_000), .absent,
            "The largest `max_tokens` of the callers. Absent: callers may leave it out, and answers have no known end."),
        .init(
            "relay.budgets_refuse", .boolean, .absent,
            "`true` when budgets that refuse a call rather than clamp it may have stood over the trace."),
    ]
}
