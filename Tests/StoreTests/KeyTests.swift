import Accounting
import Postgres
import Reactor
import Store
import TestSupport
import Testing

@Suite struct APIKeyTests {
    @Test func `a hundred thousand keys are unique, well formed and read back`() {
        var secrets: Set<String> = []
        var ids: Set<String> = []
        for _ in 0..<100_000 {
            let (text, key) = APIKey.generate(random: SystemRandom.bytes)
            secrets.insert(text)
            ids.insert(key.publicID)
            if APIKey(text) != key { Issue.record("\(key.publicID) cannot be read back") }
        }
        #expect(secrets.count == 100_000)
        #expect(ids.count == 100_000)
    }

    @Test func `the form is that of the rule: prefix, 12, 43 and 6 digits of base 62`() {
        let text = APIKey.generate(random: SystemRandom.bytes).text
        #expect(text.wholeMatch(of: #/sk-relay-[0-9A-Za-z]{12}-[0-9A-Za-z]{43}-[0-9A-Za-z]{6}/#) != nil)
    }

    @Test func `the checksum is CRC-32 of all before it in base 62`() {
        // With random bytes of 0 every digit is 0. CRC-32 of "sk-relay-000000000000-" + 43 zeros by Python's
        // zlib.crc32 is 1,396,421,523, which is 1WVF1n in base 62 with the alphabet 0-9 A-Z a-z.
        let text = APIKey.generate(random: { [UInt8](repeating: 0, count: $0) }).text
        #expect(text == "sk-relay-000000000000-" + String(repeating: "0", count: 43) + "-1WVF1n")
    }

    @Test func `a change of any one character is noticed`() {
        let text = APIKey.generate(random: SystemRandom.bytes).text
        for index in text.indices {
            var changed = text
            changed.replaceSubrange(index...index, with: text[index] == "x" ? "y" : "x")
            #expect(APIKey(changed) == nil, "\(changed)")
        }
        for wrong in ["", "sk-relay-", String(text.dropLast()), text + "0", text.uppercased(), " " + text] {
            #expect(APIKey(wrong) == nil)
        }
    }
}

@Suite struct KeyDirectoryTests {
    let server: TemporaryPostgres
    let database: String
    static let now: @Sendable () -> Timestamp = { Timestamp(microseconds: 1_795_435_200_000_000) }

    init() async throws {
        server = try TemporaryPostgres.shared.get()
        database = try await server.makeMigratedDatabase()
    }

    private func administer<Value: Sendable>(
        _ body: @Sendable (Administration) async throws -> Value
    ) async throws -> Value {
        let database = self.database
        return try await onLoop { actor in
            let connection = try await PostgresConnection.connect(
                .patient(database), on: actor.loop)
            defer { connection.close() }
            return try await body(Administration(connection, now: KeyDirectoryTests.now))
        }
    }

    /// Runs `body` with a directory that has read the epoch.
    private func withDirectory(
        _ server: TemporaryPostgres? = nil, _ body: (KeyDirectory) async throws -> Void
    ) async throws {
        let thread = try LoopThread.start(name: "keys") { _ in nil }
        let directory = KeyDirectory(
            KeyDirectoryConfiguration(connection: database), loop: thread.loop, now: KeyDirectoryTests.now)
        for _ in 0..<500 where !directory.isReady { try await Task.sleep(for: .milliseconds(10)) }
        #expect(directory.isReady)
        try await body(directory)
        directory.stop()
        thread.loop.post { thread.loop.stop() }
        thread.join()
    }

    @Test func `a key is found with its tenant, at once the second time`() async throws {
        let (tenant, created) = try await administer { administration in
            let tenant = try await administration.createTenant("acme", capture: .hashes, defaultModel: "relay")
            let key = try await administration.createKey(
                tenant: "acme", label: "test", scopes: ["inference", "usage.read"])
            return (tenant, key)
        }
        try await withDirectory { directory in
            let expected = KeyIdentity(
                tenantID: tenant.id, tenantName: "acme", keyID: created.key.id, publicID: created.key.publicID,
                scopes: ["inference", "usage.read"], capture: .hashes, defaultModel: "relay", expires: nil)
            let loop = try EventLoop(name: "unused")
            #expect(await directory.lookup(created.secret) == .found(expected))
            #expect(directory.lookup(created.secret, on: loop) { _ in } == .found(expected))
        }
        // The secret is nowhere in the database.
        let secret = created.secret.split(separator: "-")[3]
        let dump = try server.sql("SELECT k::text, encode(digest, 'escape') FROM api_keys k", on: database)
        #expect(!dump.contains(secret))
    }

    @Test func `a forged secret with the public id of a remembered key is unknown`() async throws {
        let created = try await administer { administration in
            _ = try await administration.createTenant("acme")
            return try await administration.createKey(tenant: "acme", label: "")
        }
        // The same public id, another secret, and a checksum that fits: random bytes that give the same first digits.
        let publicDigits = Array(created.key.publicID.utf8)
        let alphabet = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)
        let forged = APIKey.generate { count in
            count == 12 ? publicDigits.map { UInt8(alphabet.firstIndex(of: $0) ?? 0) } : SystemRandom.bytes(count)
        }
        #expect(forged.key.publicID == created.key.publicID)
        try await withDirectory { directory in
            guard case .found = await directory.lookup(created.secret) else {
                Issue.record("not found")
                return
            }
            #expect(await directory.lookup(forged.text) == .unknown)
            #expect(await directory.lookup(forged.text) == .unknown)
            #expect(await directory.lookup(APIKey.generate(random: SystemRandom.bytes).text) == .unknown)
            #expect(await directory.lookup("sk-relay-nonsense") == .unknown)
        }
    }

    enum End: CaseIterable { case revoked, tenantDeleted }

    @Test(arguments: End.allCases)
    func `a key that has ended is refused everywhere within two seconds`(_ end: End) async throws {
        let created = try await administer { administration in
            _ = try await administration.createTenant("acme")
            return try await administration.createKey(tenant: "acme", label: "")
        }
        try await withDirectory { directory in
            guard case .found = await directory.lookup(created.secret) else {
                Issue.record("not found")
                return
            }
            try await administer { administration in
                switch end {
                case .revoked: _ = try await administration.revokeKey(created.key.publicID)
                case .tenantDeleted: _ = try await administration.deleteTenant("acme")
                }
            }
            // However slow the machine: whoever asks two seconds after the end is not let in. What comes of the asking
            // may be late.
            let ended = ContinuousClock.now
            var answer = KeyResult.unavailable
            while answer != .revoked, ContinuousClock.now - ended < .seconds(60) {
                let asked = ContinuousClock.now
                answer = await directory.lookup(created.secret)
                if case .found = answer { #expect(asked - ended < .seconds(2)) }
                try await Task.sleep(for: .milliseconds(10))
            }
            #expect(answer == .revoked)
        }
    }

    @Test func `an expired key is expired, whether remembered or not`() async throws {
        let instant = KeyDirectoryTests.now().microseconds
        let (old, young) = try await administer { administration in
            _ = try await administration.createTenant("acme")
            let old = try await administration.createKey(
                tenant: "acme", label: "", expires: Timestamp(microseconds: instant))
            let young = try await administration.createKey(
                tenant: "acme", label: "", expires: Timestamp(microseconds: instant + 1))
            return (old.secret, young.secret)
        }
        try await withDirectory { directory in
            for _ in 0..<2 {
                #expect(await directory.lookup(old) == .expired)
                guard case .found = await directory.lookup(young) else {
                    Issue.record("not found")
                    return
                }
            }
        }
    }

    @Test func `without the database no key is judged, and soon after it is back all are`() async throws {
        let server = try TemporaryPostgres()
        let database = try await server.makeMigratedDatabase()
        let created = try await onLoop { actor in
            let connection = try await PostgresConnection.connect(
                .patient(database), on: actor.loop)
            defer { connection.close() }
            let administration = Administration(connection, now: KeyDirectoryTests.now)
            _ = try await administration.createTenant("acme")
            return try await administration.createKey(tenant: "acme", label: "")
        }
        let thread = try LoopThread.start(name: "keys") { _ in nil }
        let directory = KeyDirectory(
            KeyDirectoryConfiguration(connection: database), loop: thread.loop, now: KeyDirectoryTests.now)
        for _ in 0..<500 where !directory.isReady { try await Task.sleep(for: .milliseconds(10)) }
        guard case .found = await directory.lookup(created.secret) else {
            Issue.record("not found")
            return
        }
        try server.crash()
        try await Task.sleep(for: .milliseconds(2100))
        #expect(!directory.isReady)
        #expect(await directory.lookup(created.secret) == .unavailable)
        #expect(await directory.lookup("sk-relay-nonsense") == .unknown)
        try server.start()
        for _ in 0..<500 where !directory.isReady { try await Task.sleep(for: .milliseconds(10)) }
        guard case .found = await directory.lookup(created.secret) else {
            Issue.record("not found again")
            return
        }
        directory.stop()
        thread.loop.post { thread.loop.stop() }
        thread.join()
    }

    /// Something that the administration refuses, and what it says.
    struct Refusal: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let code: StoreError.Code
        let attempt: @Sendable (Administration) async throws -> Void
    }

    static let refusals = [
        Refusal(testDescription: "a name that is taken", code: .exists) { _ = try await $0.createTenant("acme-labs") },
        Refusal(testDescription: "a name that is no name", code: .invalid) {
            _ = try await $0.createTenant("Bad Name")
        },
        Refusal(testDescription: "a key for nobody", code: .notFound) {
            _ = try await $0.createKey(tenant: "acme-lab", label: "")
        },
        Refusal(testDescription: "a scope that does not exist", code: .invalid) {
            _ = try await $0.createKey(tenant: "acme-labs", label: "", scopes: ["everything"])
        },
        Refusal(testDescription: "NUL in a name", code: .invalid) { _ = try await $0.createTenant("a\u{0}") },
        Refusal(testDescription: "capture for nobody", code: .notFound) {
            _ = try await $0.setCapture(.text, tenant: "zzz")
        },
        Refusal(testDescription: "a key that does not exist", code: .notFound) {
            _ = try await $0.revokeKey("000000000000")
        },
        Refusal(testDescription: "keys of nobody", code: .notFound) { _ = try await $0.listKeys(tenant: "zzz") },
    ]

    @Test(arguments: refusals) func `administration refuses with a clear error`(_ refusal: Refusal) async throws {
        let error = try await administer { administration in
            _ = try await administration.createTenant("acme-labs")
            do {
                try await refusal.attempt(administration)
                return nil as StoreError?
            } catch { return error as? StoreError }
        }
        #expect(error?.code == refusal.code)
        #expect(error?.description.isEmpty == false)
    }

    @Test func `a tenant that was misspelt is suggested`() async throws {
        let text = try await administer { administration in
            _ = try await administration.createTenant("acme-labs")
            do {
                _ = try await administration.setCapture(.text, tenant: "acme-lab")
                return ""
            } catch { return "\(error)" }
        }
        #expect(text == "no tenant is named \"acme-lab\"; did you mean \"acme-labs\"?")
    }
}
