package import Postgres

/// Whether a database can keep a hard budget: what it has acknowledged it must never forget.
package enum DatabaseSafety {
    /// Why it cannot, each reason with the change that helps; empty when it can.
    ///
    /// A standby that is not waited for may be promoted without the last grants: then the pool is too large by them.
    /// `acceptsAsynchronousFailover` takes that one reason away.
    package static func hazards(
        _ database: any PostgresDatabase, acceptsAsynchronousFailover: Bool
    ) async throws(StoreError) -> [String] {
        let rows = try await storing { () async throws(PostgresError) in try await database.query(settings) }
        return try reading { () throws(PostgresError) in
            let row = try rows.single()
            var hazards: [String] = []
            if try row.text("fsync") != "on" {
                hazards.append(
                    "fsync is off: a crash of the machine loses acknowledged grants; set fsync = on in postgresql.conf")
            }
            if try row.text("full_page_writes") != "on" {
                hazards.append("full_page_writes is off: a crash can tear pages; set full_page_writes = on")
            }
            let commit = try row.text("synchronous_commit")
            if commit != "on", commit != "remote_apply" {
                hazards.append(
                    "synchronous_commit is \(commit): a crash or a failover loses acknowledged grants; set it to on for "
                        + "this database and role")
            }
            if !acceptsAsynchronousFailover, try row.bool("is_asynchronous") {
                hazards.append(
                    "a standby follows that is not waited for: a failover to it forgets the last grants; name it in "
                        + "synchronous_standby_names, or accept that with budgets.accept_async_failover: true")
            }
            return hazards
        }
    }

    /// Whether there is any budget of LLM tokens in force.
    package static func hasBudgets(_ database: any PostgresDatabase) async throws(StoreError) -> Bool {
        let rows = try await storing { () async throws(PostgresError) in
            try await database.query(
                """
                SELECT EXISTS (SELECT FROM budgets WHERE state = 'active' AND resource = 'llm_tokens') AS has_budgets
                """)
        }
        return try reading { () throws(PostgresError) in try rows.single().bool("has_budgets") }
    }

    private static let settings: PostgresStatement = """
        SELECT current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes,
            current_setting('synchronous_commit') AS synchronous_commit,
            EXISTS (SELECT FROM pg_stat_replication WHERE state <> 'backup')
                AND current_setting('synchronous_standby_names') = ''
                AS is_asynchronous
        """
}
