package import Accounting

/// The settings of a ledger writer.
package struct LedgerConfiguration: Sendable {
    /// libpq's connection string or URI.
    package var connection: String
    /// Connections that batches are spread over, at least 1. Default 2: one batch is worked on while another waits for
    /// the disk.
    package var connections = 2
    /// Bytes of records without an acknowledgement, over which `isFull` holds. Default 64 MiB.
    package var queueLimit = 64 << 20
    /// Requests in one batch, which is one statement and one commit. Default 512.
    package var batchLimit = 512
    /// Bytes in one batch. Default 8 MiB; a record larger than that is a batch of its own.
    package var batchBytes = 8 << 20
    /// A batch without an answer is sent again over a new connection after this. Default 30 s.
    package var answerTimeout: Duration = .seconds(30)

    /// Where records are kept while the database is away; nil: in memory only.
    package var spool: LedgerSpool?

    /// Told what an operator should hear of. Called on the ledger's thread.
    package var onEvent: @Sendable (LedgerEvent) -> Void = { _ in }

    package init(connection: String) { self.connection = connection }
}

/// What happened to the ledger's connection, and to its spool.
package enum LedgerEvent: Sendable, Equatable {
    /// The database was lost, or cannot be reached; records wait. Told once for each outage, with a safe description.
    case lost(String)
    /// The database is back; what waited is being written.
    case restored
    /// The spool cannot be used; records wait in memory. Told once until it works again.
    case spoolFailed(String)
    /// A file of the spool was set aside because the disk has changed so many bytes of it; what is whole was taken.
    case spoolDamaged(file: String, bytes: Int)
    /// The tables refuse a record; it lies in the dead letters.
    case buried(UUID7, sqlState: String)
    /// All records of a file of the spool, so many, are in the database.
    case replayed(Int)
}

/// What became of a record, and what its request cost.
package struct LedgerReceipt: Sendable, Equatable {
    package let result: LedgerResult
    package let cost: RequestCost

    package init(_ result: LedgerResult, cost: RequestCost = .unknown) {
        self.result = result
        self.cost = cost
    }
}

/// What became of a record.
package enum LedgerResult: Sendable, Equatable {
    /// Its rows are durable.
    case committed
    /// The database refused its values; it lies in `dead_letters`, durable.
    case deadLettered
    /// It is durable on this machine's disk, and goes from there to the database.
    case spooled
    /// The writer was stopped first; the record may or may not have been written.
    case stopped
}

/// The writer's counters since its start.
package struct LedgerStatistics: Sendable, Equatable {
    /// Statements that were committed, and the records in them (replays included).
    package var batches = 0
    package var requests = 0
    package var segments = 0
    /// Batches sent again after an error or a lost connection.
    package var retries = 0
    package var deadLetters = 0
    /// Records that were written to the spool since the start, and those taken from it that the database has.
    package var spooled = 0
    package var replayed = 0
    /// What lies in the spool now.
    package var spool = SpoolSummary()
    /// Whether the last attempt to use the spool failed.
    package var isSpoolFailing = false
    /// Connections made.
    package var connects = 0
    /// Records without an acknowledgement, and their bytes in memory (estimated).
    package var queuedRecords = 0
    package var queuedBytes = 0
    package var isConnected = false
    /// Microseconds from sending to the answer, summed over `batches`; and the last one's.
    package var commitMicroseconds: Int64 = 0
    package var lastCommitMicroseconds: Int64 = 0
    /// For the operator's log; cleared by the next success.
    package var lastError: String?
}
