package import Accounting
package import Postgres
package import Store
internal import Synchronization
internal import Wire

/// Loads lines of the trace format into the ledger, through the ledger's own writer: prices, usage and tags are counted
/// as for requests that were served here. Requests that are there already are left as they are. *Loop thread.*
package final class TraceImport {
    /// What was done.
    package struct Counts: Sendable, Equatable {
        /// Requests written, or with a dry run: that would be.
        package var written = 0
        /// Requests that were there already.
        package var present = 0
        package var verdicts = 0
        /// Lines that were skipped.
        package var bad = 0
    }

    /// Whose the requests become.
    package struct Owner: Sendable {
        let tenant: UUID7
        package let tenantName: String
        let key: UUID7
        /// Which tags its reports tell apart.
        let tagKeys: Set<String>
        /// Whether lines of tenants with other names are taken too.
        let takesAll: Bool

        /// Finds the tenant of a key.
        ///
        /// - Parameters:
        ///   - key: the key's public part.
        ///   - tenant: the name it must have; then lines of other tenants are taken too.
        package static func find(
            key: String, tenant: String?, in database: any PostgresDatabase
        ) async throws(StoreError) -> Owner {
            var found: Owner?
            do throws(PostgresError) {
                let rows = try await database.query(
                    """
                    SELECT k.id, t.id AS tenant_id, t.name, t.tag_keys FROM api_keys k JOIN tenants t ON t.id = k.tenant_id
                    WHERE k.public_id = $1 AND t.state = 'active'
                    """, [.text(key)])
                if let row = rows.first {
                    found = Owner(
                        tenant: try row.uuid("tenant_id"), tenantName: try row.text("name"), key: try row.uuid("id"),
                        tagKeys: Set(try row.texts("tag_keys").compactMap(\.self)), takesAll: tenant != nil)
                }
            } catch {
                throw StoreError(error)
            }
            guard let found else {
                throw StoreError(.notFound, "no active tenant has a key with the public part \"\(key)\"")
            }
            if let tenant, tenant != found.tenantName {
                throw StoreError(.invalid, "the key \"\(key)\" belongs to tenant \(found.tenantName), not \(tenant)")
            }
            return found
        }
    }

    /// Lines that are held until they are written together.
    private static let batch = 500

    private let database: any PostgresDatabase
    /// Nil for a dry run.
    private let writer: LedgerWriter?
    private let owner: Owner
    private let now: Timestamp
    private var parser = JSONParser()
    private var waiting: [(number: Int, line: TraceLine)] = []
    private var months: Set<Int64> = []
    package private(set) var counts = Counts()
    /// Keys of tags of what was written that no report tells apart, because the tenant has not chosen them: the first
    /// `keyLimit` that were met.
    package private(set) var otherKeys: Set<String> = []
    /// Where gathering `otherKeys` ends.
    package static let keyLimit = 100
    /// Told of each bad line; by throwing it ends the import.
    private let onFault: (TraceFault) throws -> Void

    /// - Parameters:
    ///   - writer: nil for a dry run.
    ///   - onFault: told of each bad line; by throwing it ends the import. What was read before it is still written.
    package init(
        _ database: any PostgresDatabase, writer: LedgerWriter?, owner: Owner, now: Timestamp,
        onFault: @escaping (TraceFault) throws -> Void
    ) {
        self.database = database
        self.writer = writer
        self.owner = owner
        self.now = now
        self.onFault = onFault
    }

    /// Takes a line.
    package func take(_ bytes: [UInt8], number: Int) async throws {
        do throws(TraceFault) {
            let line = try TraceLine(parsing: bytes, tenant: owner.tenant, key: owner.key, with: &parser)
            guard owner.takesAll || line.tenantName == owner.tenantName else {
                throw TraceFault(
                    "tenant",
                    "is \(line.tenantName), the key belongs to \(owner.tenantName): give --tenant to take it all the same"
                )
            }
            guard line.request.started.microseconds <= now.microseconds + 86_400_000_000 else {
                throw TraceFault("arrived_ms", "lies more than a day ahead of this machine's clock")
            }
            waiting.append((number, line))
        } catch {
            try await fail(error, number)
        }
        if waiting.count >= TraceImport.batch { try await flush() }
    }

    /// Writes what is held.
    package func flush() async throws {
        let batch = waiting
        waiting = []
        guard !batch.isEmpty else { return }
        let owners = try await owners(batch.map(\.line.request.id))
        var fresh: [(number: Int, line: TraceLine)] = []
        var kept: [TraceLine] = []
        var ids: Set<UUID7> = []
        var faults: [TraceFault] = []
        for (number, line) in batch {
            let id = line.request.id
            if let other = owners[id], other != owner.tenant {
                faults.append(TraceFault("request_id", "is a request of another tenant here", line: number))
            } else if owners[id] != nil || !ids.insert(id).inserted {
                counts.present += 1
                kept.append(line)
            } else if try await isPruned(line.request.started) {
                faults.append(
                    TraceFault(
                        "arrived_ms", "lies in a month that was pruned here; its usage is still counted", line: number))
            } else {
                fresh.append((number, line))
            }
        }
        kept += try await write(fresh, &faults)
        try await judge(kept)
        counts.bad += faults.count
        for fault in faults { try onFault(fault) }
    }

    private func fail(_ fault: TraceFault, _ number: Int) async throws {
        counts.bad += 1
        var fault = fault
        fault.line = number
        do {
            try onFault(fault)
        } catch {
            // The good lines before it are kept.
            try await flush()
            throw error
        }
    }

    /// Writes requests; returns those that are durable.
    private func write(
        _ lines: [(number: Int, line: TraceLine)], _ faults: inout [TraceFault]
    ) async throws -> [TraceLine] {
        guard let writer, !lines.isEmpty else {
            counts.written += lines.count
            for (_, line) in lines { noteKeys(line) }
            return lines.map(\.line)
        }
        let results = Mutex<[Int: LedgerResult]>([:])
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            for (number, line) in lines {
                writer.append(line.request) { result in
                    let isLast = results.withLock { results in
                        results[number] = result
                        return results.count == lines.count
                    }
                    if isLast { continuation.resume() }
                }
            }
        }
        let done = results.withLock { $0 }
        var written: [TraceLine] = []
        for (number, line) in lines {
            let id = line.request.id
            switch done[number] {
            case .committed:
                counts.written += 1
                noteKeys(line)
                written.append(line)
            case .deadLettered:
                faults.append(
                    TraceFault(
                        nil, "was refused by the database; see: relaygate ledger dead-letters show \(id)", line: number)
                )
            case .stopped, .spooled, nil:
                throw StoreError(.unavailable, "the ledger was stopped before line \(number) was written")
            }
        }
        return written
    }

    private func noteKeys(_ line: TraceLine) {
        for tag in line.request.tags where otherKeys.count < TraceImport.keyLimit && !owner.tagKeys.contains(tag.key) {
            otherKeys.insert(tag.key)
        }
    }

    private func judge(_ lines: [TraceLine]) async throws(StoreError) {
        let verdicts = lines.flatMap(\.verdicts)
        counts.verdicts += verdicts.count
        guard writer != nil, !verdicts.isEmpty else { return }
        _ = try await Verdicts(database).record(verdicts, tenant: owner.tenant, with: lines.map(\.request))
    }

    private func owners(_ ids: [UUID7]) async throws(StoreError) -> [UUID7: UUID7] {
        do throws(PostgresError) {
            let rows = try await database.query("SELECT id, tenant_id FROM requests WHERE id = ANY ($1)", [.uuids(ids)])
            var owners: [UUID7: UUID7] = [:]
            for row in rows { owners[try row.uuid("id")] = try row.uuid("tenant_id") }
            return owners
        } catch {
            throw StoreError(error)
        }
    }

    /// Whether a month was pruned. Of one that was not, the partitions are made before the first request comes.
    private func isPruned(_ moment: Timestamp) async throws(StoreError) -> Bool {
        let day = moment.microseconds / 86_400_000_000
        if months.contains(day) { return false }
        do throws(PostgresError) {
            let row = try await database.query("SELECT is_pruned($1) AS is_pruned", [.timestamp(moment)]).single()
            if try row.bool("is_pruned") { return true }
            if writer != nil { _ = try await database.query("SELECT ensure_partitions(0, $1)", [.timestamp(moment)]) }
        } catch {
            throw StoreError(error)
        }
        months.insert(day)
        return false
    }
}
