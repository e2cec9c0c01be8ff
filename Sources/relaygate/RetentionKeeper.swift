internal import Arguments
internal import Configuration
internal import Glibc
internal import Postgres
internal import Reactor
internal import Store
internal import Synchronization
internal import Telemetry

/// Prunes the ledger while the gateway runs, and watches for rows that lie in no month; on a thread of its own, because
/// a month takes as long as it takes.
final class RetentionKeeper: Sendable {
    /// Between two looks at the DEFAULT partitions, and between two prunings.
    private static let lookInterval: Duration = .seconds(60)
    private static let pruneInterval: Duration = .seconds(3600)

    private let connection: String
    private let settings: RetentionSettings
    private let logger: Logger
    private let rows = Atomic<Int>(-1)
    private let isStopped = Atomic<Bool>(false)

    /// Starts the thread: the first look is at once, the first pruning a few seconds later, not at the same moment on
    /// gateways that are started together.
    static func start(
        _ configuration: GatewayConfiguration, logger: Logger
    ) throws(SystemError) -> RetentionKeeper {
        let keeper = RetentionKeeper(configuration, logger)
        let delay = Duration.milliseconds(Int.random(in: 2000..<8000))
        let thread = try LoopThread.start(name: "retention") { _ in nil }
        // The thread ends with the process: a statement under way is then finished or undone by the server.
        Task { await LoopActor(thread.loop).run { actor in await keeper.run(on: actor.loop, firstPruning: delay) } }
        return keeper
    }

    private init(_ configuration: GatewayConfiguration, _ logger: Logger) {
        connection = configuration.postgres.url.reveal()
        settings = RetentionSettings(configuration.retention)
        self.logger = logger
    }

    /// Nothing more is begun.
    func stop() { isStopped.store(true, ordering: .relaxed) }

    private func run(on loop: EventLoop, firstPruning: Duration) async {
        var nextPruning = ContinuousClock.now + firstPruning
        while !isStopped.load(ordering: .relaxed) {
            let now = ContinuousClock.now
            let prunes = !settings.keepsAll && now >= nextPruning
            do {
                try await turn(loop, prunes: prunes)
                if prunes { nextPruning = now + RetentionKeeper.pruneInterval }
            } catch {
                let reason = (error as? StoreError)?.description ?? "\(error)"
                logger.warning(
                    "the ledger was not looked after; tried again in a minute", ["reason": .string(reason)])
                if prunes { nextPruning = now + RetentionKeeper.lookInterval }
            }
            let nextLook = now + RetentionKeeper.lookInterval
            let wake = settings.keepsAll ? nextLook : min(nextLook, nextPruning)
            await withCheckedContinuation { continuation in
                loop.schedule(after: max(.milliseconds(100), wake - ContinuousClock.now)) { continuation.resume() }
            }
        }
    }

    private func turn(_ loop: EventLoop, prunes: Bool) async throws {
        let database = try await PostgresConnection.connect(
            Postgres.PostgresConfiguration(
                connection: connection, application: "relaygate retention", answerTimeout: nil), on: loop)
        defer { database.close() }
        try await look(database)
        guard prunes else { return }
        for step in try await Retention(database, actor: "relaygate serve").prune(settings, isDryRun: false) {
            logger.info("retention", ["what": .string(RetentionText.line(step))])
        }
    }

    private func look(_ database: PostgresConnection) async throws {
        let found = try await LedgerStatus.defaultRows(database)
        let before = rows.exchange(found, ordering: .relaxed)
        if found > max(0, before) {
            logger.error(
                "rows of the ledger lie in no month; was a clock wrong? see: relaygate ledger status",
                ["rows": .integer(found)])
        }
    }

    /// Rows in no month as Prometheus text; nothing until they have been counted.
    func metrics() -> [UInt8] {
        let rows = rows.load(ordering: .relaxed)
        guard rows >= 0 else { return [] }
        return Array(
            """
            # HELP relaygate_ledger_default_rows Rows of the ledger that lie in no month.
            # TYPE relaygate_ledger_default_rows gauge
            relaygate_ledger_default_rows \(rows)

            """.utf8)
    }
}
