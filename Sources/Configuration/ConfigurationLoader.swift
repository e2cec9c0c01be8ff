import Notation

/// Builds a `GatewayConfiguration` from a parsed file and collects what is wrong with it.
struct ConfigurationLoader {
    let problems: ProblemList
    let environment: [String: String]
    /// Processors of this machine, for `listen.loops: auto`.
    let processors: Int

    /// Reads the whole file. The result is only meaningful when no problem was added.
    func load(_ root: YAMLNode?) -> GatewayConfiguration {
        var reader = SectionReader(
            root, path: "", referencePath: "", position: .start, problems: problems)
        let listen = listen(reader.section("listen"))
        let postgres = postgres(reader.section("postgres"))
        let ledger = ledger(reader.section("ledger"))
        let budgets = budgets(reader.section("budgets"))
        let retention = retention(reader.section("retention"))
        let upstreamReaders = items("upstreams", of: &reader)
        let upstreams = upstreamReaders.map(upstream)
        checkUnique(upstreams.map(\.name), upstreamReaders)
        let pairReaders = items("pairs", of: &reader)
        let pairs = pairReaders.map { pair($0, upstreams: upstreams.map(\.name)) }
        checkUnique(pairs.map(\.name), pairReaders)
        let models = models(&reader, pairs: pairs.map(\.name))
        var shutdown = reader.section("shutdown")
        let deadline = shutdown.duration("deadline")
        shutdown.finish()
        let log = log(reader.section("log"))
        reader.finish()
        return GatewayConfiguration(
            listen: listen, postgres: postgres, ledger: ledger, budgets: budgets, retention: retention,
            upstreams: upstreams, pairs: pairs, models: models, shutdown: .init(deadline: deadline), log: log)
    }

    // MARK: - Single sections

    private func listen(_ section: SectionReader) -> ListenConfiguration {
        var reader = section
        defer { reader.finish() }
        let host = reader.text("host")
        if host != "localhost", !NumericAddress.isValid(host) {
            reader.add(.outOfRange, "host", "must be a numeric address such as 127.0.0.1, 0.0.0.0 or ::1, or localhost")
        }
        return ListenConfiguration(
            host: host, port: reader.integer("port"),
            loops: reader.automaticInteger("loops") ?? max(1, processors / 2),
            bodyLimit: reader.bytes("body_limit"), headerLimit: reader.bytes("header_limit"),
            connectionLimit: reader.integer("connection_limit"),
            idleTimeout: reader.duration("idle_timeout"),
            streamBuffer: reader.bytes("stream_buffer"), maxChoices: reader.integer("max_choices"))
    }

    private func postgres(_ section: SectionReader) -> PostgresConfiguration {
        var reader = section
        defer { reader.finish() }
        return PostgresConfiguration(
            url: connectionString("url", &reader) ?? Secret(""), replica: connectionString("replica", &reader),
            connections: reader.integer("connections"),
            outageGrace: reader.duration("outage_grace"))
    }

    private func ledger(_ section: SectionReader) -> LedgerConfiguration {
        var reader = section
        defer { reader.finish() }
        let spool = reader.textIfPresent("spool")
        if let spool, !spool.hasPrefix("/") {
            reader.add(.outOfRange, "spool", "must be the whole path of a directory, beginning with /")
        }
        return LedgerConfiguration(
            receipt: reader.choice("receipt", LedgerConfiguration.Receipt.self) ?? .committed,
            queueLimit: reader.bytes("queue_limit"), batchLimit: reader.integer("batch_limit"),
            connections: reader.integer("connections"), spool: spool, spoolBytes: reader.bytes("spool_bytes"))
    }

    private func budgets(_ section: SectionReader) -> BudgetsConfiguration {
        var reader = section
        defer { reader.finish() }
        let webhook = secret("webhook", &reader)
        if let address = webhook?.reveal(), !address.hasPrefix("https://"), !address.hasPrefix("http://") {
            reader.add(.outOfRange, "webhook", "must be an address that begins with https:// or http://")
        }
        return BudgetsConfiguration(
            webhook: webhook, acceptAsyncFailover: reader.booleanIfPresent("accept_async_failover") ?? false)
    }

    private func retention(_ section: SectionReader) -> RetentionConfiguration {
        var reader = section
        defer { reader.finish() }
        return RetentionConfiguration(
            segments: reader.durationIfPresent("segments"), payloads: reader.durationIfPresent("payloads"),
            deadLetters: reader.durationIfPresent("dead_letters"),
            leaseEvents: reader.durationIfPresent("lease_events"))
    }

    private func log(_ section: SectionReader) -> LogConfiguration {
        var reader = section
        defer { reader.finish() }
        return LogConfiguration(
            format: reader.choice("format", LogConfiguration.Format.self) ?? .text,
            level: reader.choice("level", LogConfiguration.Level.self) ?? .info)
    }

    // MARK: - Lists

    /// The items of a required list.
    private func items(_ key: String, of reader: inout SectionReader) -> [SectionReader] {
        guard let items = reader.sections(key) else { return [] }
        if items.isEmpty { reader.add(.missing, key, "must have at least one item") }
        return items
    }

    /// Adds a problem for each name that an earlier item has.
    func checkUnique(_ names: [String], _ readers: [SectionReader]) {
        var seen: [String: String] = [:]
        for (name, reader) in zip(names, readers) where !name.isEmpty {
            if let earlier = seen[name] {
                reader.add(.duplicate, "name", "\(shown(name)) is the name of \(earlier) already")
            } else {
                seen[name] = reader.path
            }
        }
    }

    private func pair(_ section: SectionReader, upstreams: [String]) -> PairConfiguration {
        var reader = section
        defer { reader.finish() }
        return PairConfiguration(
            name: reader.text("name"), slm: references("slm", in: &reader, to: upstreams),
            llm: references("llm", in: &reader, to: upstreams))
    }

    private func references(_ key: String, in reader: inout SectionReader, to upstreams: [String])
        -> [String]
    {
        reader.names(key).map { name, path, position in
            if let message = dangling(name, known: upstreams, kind: "upstream") {
                problems.add(.danglingReference, at: position, path: path, message)
            }
            return name
        }
    }

    /// The message for a name that refers to nothing, or nil when it is known.
    func dangling(_ name: String, known: [String], kind: String) -> String? {
        if known.contains(name) { return nil }
        let guess = NearestName.among(known, to: name).map { ", did you mean \"\($0)\"?" }
        return "no \(kind) has the name \(shown(name))"
            + (guess ?? ", known are \(known.joined(separator: ", "))")
    }
}
