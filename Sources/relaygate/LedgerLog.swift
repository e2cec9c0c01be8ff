internal import Accounting
internal import Arguments
internal import Configuration
internal import Store
internal import Telemetry

/// What operators see of the ledger's writer: its spool, its events, its counters.
enum LedgerLog {
    /// The spool that the configuration names.
    static func openSpool(_ configuration: Configuration.LedgerConfiguration) throws(CommandExit) -> LedgerSpool? {
        guard let path = configuration.spool else { return nil }
        do {
            return try LedgerSpool(path, limit: configuration.spoolBytes)
        } catch {
            throw .failure(
                "ledger.spool: \(error); name a directory that is there and that this user may write (mkdir -m 700 \(path))"
            )
        }
    }

    static func write(_ event: LedgerEvent, _ logger: Logger) {
        switch event {
        case .lost(let reason): logger.error("database lost; the ledger waits", ["reason": .string(reason)])
        case .restored: logger.info("database restored; the ledger is written")
        case .spoolFailed(let reason):
            logger.error("the spool cannot be used; the ledger waits in memory", ["reason": .string(reason)])
        case .spoolDamaged(let file, let bytes):
            logger.error(
                "a file of the spool is damaged and was set aside; what is whole of it was written",
                ["file": .string(file), "bytes": .integer(bytes)])
        case .buried(let request, let sqlState):
            logger.error(
                "the tables refused a request; see: relaygate ledger dead-letters",
                ["id": .string(request.description), "sqlstate": .string(sqlState)])
        case .replayed(let records): logger.info("spooled requests are in the ledger", ["requests": .integer(records)])
        }
    }

    /// The writer's counters as Prometheus text.
    static func metrics(_ ledger: LedgerWriter) -> [UInt8] {
        let now = ledger.statistics
        let metrics: [(name: String, kind: String, help: String, value: Int)] = [
            ("requests_total", "counter", "Requests that the database has, repeats included.", now.requests),
            ("retries_total", "counter", "Batches that had to be sent again.", now.retries),
            ("dead_letters_total", "counter", "Requests that the tables refused.", now.deadLetters),
            ("queued_bytes", "gauge", "Bytes of requests that are not durable yet.", now.queuedBytes),
            ("connected", "gauge", "1 while there is a connection to write over.", now.isConnected ? 1 : 0),
            ("spooled_total", "counter", "Requests written to the spool.", now.spooled),
            ("replayed_total", "counter", "Requests of the spool that the database has.", now.replayed),
            ("spool_bytes", "gauge", "Bytes in the spool.", now.spool.bytes),
            ("spool_files_damaged", "gauge", "Files of the spool that were set aside.", now.spool.damaged),
            ("spool_failing", "gauge", "1 while the spool cannot be used.", now.isSpoolFailing ? 1 : 0),
        ]
        return metrics.flatMap { metric in
            let name = "relaygate_ledger_" + metric.name
            return Array("# HELP \(name) \(metric.help)\n# TYPE \(name) \(metric.kind)\n\(name) \(metric.value)\n".utf8)
        }
    }
}
