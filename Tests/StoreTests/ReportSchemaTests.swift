import Foundation
import Postgres
import Reactor
import Store
import TestSupport
import Testing

/// The schema `report`: what its views say, and what its role may not see.
@Suite struct ReportSchemaTests {
    private static let page = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Docs/sql.md")

    private static let columns = """
        SELECT c.relname || '.' || a.attname || '|' || format_type(a.atttypid, a.atttypmod) || '|'
            || coalesce(col_description(c.oid, a.attnum), '')
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
        WHERE c.relnamespace = 'report'::regnamespace AND c.relkind = 'v' ORDER BY c.relname, a.attnum
        """

    // MARK: The page

    @Test func `the page has every view and column, with its type and its comment`() async throws {
        let database = try await MeteredDatabase()
        let found = try database.sql(Self.columns).split(separator: "\n").map(String.init)
        var documented: [String: [String]] = [:]
        var view: String?
        for line in try String(contentsOf: Self.page, encoding: .utf8).components(separatedBy: "\n") {
            if line.hasPrefix("#") { view = nil }
            if line.hasPrefix("### report.") { view = String(line.dropFirst("### report.".count)) }
            guard let view, line.hasPrefix("| `") else { continue }
            let cells = line.components(separatedBy: " | ")
            try #require(cells.count == 3, "\(line)")
            let name = cells[0].filter { !"|` ".contains($0) }
            documented[view, default: []].append("\(view).\(name)|\(cells[1])|\(cells[2].dropLast(2))")
        }
        #expect(documented.count == 9)
        let lines = documented.sorted { $0.key < $1.key }.flatMap(\.value)
        #expect(lines == found)
        // Each has a comment.
        #expect(found.allSatisfy { !$0.hasSuffix("|") })
        let silent = try database.sql(
            "SELECT count(*) FROM pg_class c WHERE relnamespace = 'report'::regnamespace AND relkind = 'v'"
                + " AND (obj_description(oid) IS NULL OR NOT coalesce('security_barrier=true' = ANY (reloptions), false))"
        )
        #expect(silent == "0")
    }

    @Test func `a migrator that may make no roles is told, and the page's statements do the rest`() async throws {
        // Roles belong to the server, so this needs one where nobody made it yet.
        let server = try TemporaryPostgres()
        let admin = try server.makeDatabase()
        let name = admin.split(separator: "=").last.map(String.init) ?? ""
        // Budgets' functions set a parameter of their own.
        try server.sql(
            "CREATE ROLE plain LOGIN; ALTER DATABASE \(name) OWNER TO plain",
            on: admin)
        let notices = try await server.migrate(admin.replacingOccurrences(of: "user=postgres", with: "user=plain"))
        #expect(notices.contains { $0.contains("relaygate_report") && $0.contains("Docs/sql.md") }, "\(notices)")
        #expect(try server.sql("SELECT count(*) FROM pg_roles WHERE rolname = 'relaygate_report'", on: admin) == "0")
        #expect(try server.sql("SELECT count(*) FROM report.requests", on: admin) == "0")
        let text = try String(contentsOf: Self.page, encoding: .utf8)
        let behind = try #require(text.components(separatedBy: "<!-- statements: role -->\n").last)
        let statements = behind.components(separatedBy: "\n").dropFirst().prefix { $0.hasPrefix("    ") }
        try #require(statements.count == 3)
        try server.sql(statements.joined(separator: "\n"), on: admin)
        let reads = "SET ROLE relaygate_report; SELECT count(*) FROM report.requests"
        #expect(try server.sql(reads, on: admin) == "0")
        // A second database of this server finds the role and grants its own views.
        let second = try await MeteredDatabase(server)
        #expect(try second.sql(reads) == "0")
    }

    // MARK: The role

    @Test func `the role reads every view and no table`() async throws {
        let database = try await MeteredDatabase()
        try database.add(1, at: "2026-11-01Z", [.init(prompt: 1, generated: 1, cost: 5)])
        let views = try database.sql(
            "SELECT relname FROM pg_class WHERE relnamespace = 'report'::regnamespace AND relkind = 'v'"
        )
        .split(separator: "\n")
        #expect(views.count == 9)
        for view in views { try database.sql("SET ROLE relaygate_report; SELECT * FROM report.\(view)") }
        #expect(
            try database.sql("SET ROLE relaygate_report; SELECT tenant, key FROM report.requests")
                == "acme|AcmeAcmeAcme")
        let tables = try database.sql(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')"
        )
        .split(separator: "\n").map(String.init)
        #expect(Set(tables).isSuperset(of: ["payloads", "api_keys", "requests", "prices", "tenants", "budget_usage"]))
        for table in tables {
            let error = #expect(throws: TemporaryPostgres.Failure.self) {
                try database.sql("SET ROLE relaygate_report; SELECT count(*) FROM public.\(table)")
            }
            #expect(error?.description.contains("permission denied") == true, "\(table)")
        }
        let writable = try database.sql(
            """
            SELECT count(*) FROM pg_class c, unnest('{INSERT,UPDATE,DELETE,TRUNCATE,TRIGGER,REFERENCES}'::text[]) p
            WHERE c.relkind IN ('r', 'p', 'v') AND relnamespace IN ('public'::regnamespace, 'report'::regnamespace)
                AND has_table_privilege('relaygate_report', c.oid, p)
            """)
        #expect(writable == "0")
    }

    @Test(arguments: [
        "SELECT * FROM report.reprice('2026-01-01', '2027-01-01', '[]')", "SELECT compact_usage()",
        "SELECT report_tags(gen_random_uuid(), '{}')", "CREATE VIEW report.mine AS SELECT 1",
        "SELECT digest FROM public.api_keys", "CREATE TABLE report.t ()",
        "INSERT INTO public.usage_refusals DEFAULT VALUES",
    ])
    func `the role does nothing else`(attempt: String) async throws {
        let database = try await MeteredDatabase()
        let error = #expect(throws: TemporaryPostgres.Failure.self) {
            try database.sql("SET ROLE relaygate_report; \(attempt)")
        }
        #expect(error?.description.contains("permission denied") == true, "\(String(describing: error))")
    }

    @Test func `what has its owner's rights is called by nobody else`() async throws {
        let database = try await MeteredDatabase()
        func count(_ condition: String) throws -> Int? {
            Int(try database.sql("SELECT count(*) FROM pg_proc WHERE prosecdef AND \(condition)"))
        }
        #expect(try count("pronamespace = 'public'::regnamespace").map { $0 > 15 } == true)
        #expect(try count("has_function_privilege('relaygate_report', oid, 'EXECUTE')") == 0)
        let error = #expect(throws: TemporaryPostgres.Failure.self) {
            try database.sql("SET ROLE relaygate_report; SELECT * FROM raise_alerts()")
        }
        #expect(error?.description.contains("permission denied") == true, "\(String(describing: error))")
    }

    @Test func `no view is made of payloads, hashes of keys or notes of judges`() async throws {
        let database = try await MeteredDatabase()
        func uses(_ table: String, _ column: String?) throws -> String {
            let only = column.map { "AND a.attname = '\($0)'" } ?? ""
            return try database.sql(
                """
                SELECT count(*) FROM pg_depend d JOIN pg_rewrite w ON w.oid = d.objid
                JOIN pg_class v ON v.oid = w.ev_class JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                WHERE v.relnamespace = 'report'::regnamespace AND d.refobjid = '\(table)'::regclass \(only)
                """)
        }
        #expect(try uses("payloads", nil) == "0")
        #expect(try uses("api_keys", "digest") == "0")
        #expect(try uses("verdicts", "note") == "0")
        // The question finds what is there.
        #expect(try uses("verdicts", "judged_at") != "0")
        #expect(try uses("api_keys", "public_id") != "0")
    }
}

extension TemporaryPostgres {
    /// Migrates a database; returns what the server told meanwhile.
    fileprivate func migrate(_ connection: String) async throws -> [String] {
        try await onLoop { actor in
            let postgres = try await PostgresConnection.connect(
                .patient(connection), on: actor.loop)
            defer { postgres.close() }
            var notices: [String] = []
            postgres.onNotice = { _, text in notices.append(text) }
            _ = try await Migrator(postgres).apply()
            return notices
        }
    }
}
