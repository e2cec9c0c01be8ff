import Accounting
import Foundation
import Reactor
import TestSupport
import Testing

@testable import Store

/// A new directory, removed with the value.
final class SpoolPlace {
    let path = FileManager.default.temporaryDirectory.path + "/spool-\(UUID().uuidString)"
    init() throws {
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
    }
    deinit { try? FileManager.default.removeItem(atPath: path) }

    var files: [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).filter { $0 != "lock" }.sorted()
    }
}

@Suite struct SpoolFileTests {
    private let fixture = LedgerFixture()

    /// A record in which every member that may be absent is there, or none.
    private func record(_ number: Int, full: Bool) -> RequestRecord {
        var record = fixture.record(number)
        guard full else { return record }
        record.propensity = 0.3
        record.errorCode = "cut"
        record.degraded = "budget"
        record.tags = [RequestTag(key: "user", value: "a\u{0}\u{1F980}"), RequestTag(key: "", value: "")]
        record.segments[1].cacheWriteTokens = 5
        record.segments[1].error = "x"
        record.segments[1].firstTokenMicroseconds = nil
        record.segments[1].charges = [
            ChargeRecord(lease: fixture.key, budget: fixture.tenant, reserved: Int.max, charged: -1)
        ]
        record.payloads = [
            PayloadRecord(part: "prompt", sha256: SHA256.digest([1]), body: [0, 255]),
            PayloadRecord(part: "answer.0", sha256: [], body: nil),
        ]
        return record
    }

    @Test(arguments: [false, true]) func `a record is read as it was written`(full: Bool) throws {
        let record = record(7, full: full)
        let read = try #require(SpoolRecord.record(SpoolRecord.bytes(record)[...]))
        // Every member is printed, so equal text is an equal record.
        #expect("\(read)" == "\(record)")
    }

    @Test func `bytes of another version, cut or longer ones are no record`() {
        let bytes = SpoolRecord.bytes(record(1, full: true))
        #expect(SpoolRecord.record([2] + bytes.dropFirst()) == nil)
        #expect(SpoolRecord.record(bytes[...] + [0]) == nil)
        for count in 0..<bytes.count where SpoolRecord.record(bytes.prefix(count)) != nil {
            Issue.record("\(count) bytes of \(bytes.count) were taken for a record")
        }
    }

    @Test func `wherever a crash cuts a file, the whole records before the cut are read and the rest is torn`() {
        let frames = (0..<3).map { SpoolFrame.bytes(record($0, full: $0 == 1)) }
        let ends = [frames[0].count, frames[0].count + frames[1].count, frames.joined().count]
        let bytes = Array(frames.joined())
        for cut in 0...bytes.count {
            let content = SpoolFrame.content(Array(bytes.prefix(cut)))
            let whole = ends.count { $0 <= cut }
            let isRight =
                content.records.map(\.id) == (0..<whole).map { fixture.record($0).id } && content.damaged == 0
                && content.torn == cut - (whole == 0 ? 0 : ends[whole - 1])
            if !isRight { Issue.record("cut after \(cut) bytes: \(content)") }
        }
    }

    @Test func `a changed byte costs one record, and is told from a torn end`() {
        let frames = (0..<3).map { SpoolFrame.bytes(record($0, full: false)) }
        var bytes = Array(frames.joined())
        for offset in 0..<frames[1].count {
            let position = frames[0].count + offset
            bytes[position] ^= 0x10
            let content = SpoolFrame.content(bytes)
            bytes[position] ^= 0x10
            let isRight =
                content.records.map(\.id) == [fixture.record(0).id, fixture.record(2).id]
                && content.damaged == frames[1].count && content.torn == 0
            if !isRight { Issue.record("byte \(offset) of the second frame: \(content)") }
        }
    }

    @Test func `files are private, limited, taken in order, and belong to one process`() throws {
        let place = try SpoolPlace()
        let size = SpoolFrame.bytes(fixture.record(0)).count
        let spool = try SpoolDirectory(place.path, limit: 3 * size)
        try spool.append([fixture.record(0), fixture.record(1)])
        #expect(throws: SpoolError(description: "\(place.path) holds all that ledger.spool_bytes allows")) {
            try spool.append([fixture.record(2), fixture.record(3)])
        }
        #expect(
            throws: SpoolError(
                description: "\(place.path) is used by another gateway; give each one a directory of its own")
        ) {
            _ = try SpoolDirectory(place.path, limit: size)
        }
        let attributes = try FileManager.default.attributesOfItem(atPath: place.path + "/0000000000000001.spool")
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        let first = try #require(try spool.oldest())
        #expect(first.content.records.map(\.id) == [fixture.record(0).id, fixture.record(1).id])
        // What is being read is not appended to.
        try spool.append([fixture.record(2)])
        #expect(place.files == ["0000000000000001.spool", "0000000000000002.spool"])
        #expect(spool.summary == SpoolSummary(files: 2, bytes: 3 * size))
        try spool.remove(first.name, keeps: false)
        #expect(try spool.oldest()?.content.records.map(\.id) == [fixture.record(2).id])
        try spool.remove("0000000000000002.spool", keeps: true)
        #expect(spool.summary == SpoolSummary(damaged: 1))
        #expect(place.files == ["0000000000000002.spool.damaged"])
    }

    @Test func `a directory that is not there is named`() {
        #expect(throws: SpoolError(description: "cannot read the directory /nonexistent: No such file or directory")) {
            _ = try SpoolDirectory("/nonexistent", limit: 1)
        }
    }
}

@Suite(.serialized) struct LedgerSpoolTests {
    private let fixture = LedgerFixture()

    private func writer(_ database: String, _ place: SpoolPlace, limit: Int = 1 << 20) throws -> LedgerWriter {
        var configuration = LedgerConfiguration(connection: database)
        configuration.spool = try LedgerSpool(place.path, limit: limit)
        return try LedgerWriter.start(configuration)
    }

    /// Another thread does it; up to twenty seconds.
    private func wait(for condition: () -> Bool) async throws {
        for _ in 0..<4000 where !condition() { try await Task.sleep(for: .milliseconds(5)) }
        #expect(condition())
    }

    @Test func `through an outage and a restart what was spooled reaches the ledger once`() async throws {
        let server = try TemporaryPostgres()
        let database = try await server.makeMigratedDatabase()
        let place = try SpoolPlace()
        let acknowledged = Acknowledgements()
        let settled = Acknowledgements()
        let tell: @Sendable () -> Void = { settled.add(.committed) }
        let thread = try LoopThread.start(name: "target") { _ in nil }
        defer {
            thread.loop.post { thread.loop.stop() }
            thread.join()
        }
        let first = try writer(database, place)
        func append(_ numbers: Range<Int>, to writer: LedgerWriter) {
            for number in numbers {
                writer.append(fixture.record(number), on: thread.loop, settled: tell) { acknowledged.add($0.result) }
            }
        }
        append(0..<10, to: first)
        #expect(await first.flush(within: .seconds(60)))
        try server.crash()
        append(10..<60, to: first)
        #expect(await first.flush(within: .seconds(60)))
        #expect(first.statistics.queuedBytes == 0 && first.statistics.spool.files > 0)
        first.stop()
        try await wait { acknowledged[.committed] + acknowledged[.spooled] == 60 }
        #expect(acknowledged[.committed] + acknowledged[.spooled] == 60 && acknowledged[.spooled] >= 50)
        #expect(settled[.committed] == acknowledged[.committed])
        // What a power failure can leave behind the last whole record.
        let last = try #require(place.files.last)
        let file = try #require(FileHandle(forWritingAtPath: place.path + "/" + last))
        try file.seekToEnd()
        try file.write(contentsOf: Data(SpoolFrame.bytes(fixture.record(99)).dropLast()))
        try file.close()
        try server.start()
        let second = try writer(database, place)
        defer { second.stop() }
        append(60..<70, to: second)
        #expect(await second.flush(within: .seconds(60)))
        try await wait { second.statistics.spool.files == 0 }
        #expect(place.files.isEmpty)
        #expect(second.statistics.replayed >= 50)
        #expect(try server.sql("SELECT count(*) FROM requests", on: database) == "70")
        #expect(try server.sql("SELECT count(*) FROM segments", on: database) == "210")
        #expect(try server.sql(usageDifference, on: database) == "0")
    }

    @Test func `when the database refuses, the spool takes over; charges are told when it has them`() async throws {
        let server = try TemporaryPostgres.shared.get()
        let database = try await server.makeMigratedDatabase()
        let place = try SpoolPlace()
        let writer = try writer(database, place)
        defer { writer.stop() }
        try server.sql("ALTER TABLE usage_segment_deltas RENAME TO hidden", on: database)
        let acknowledged = Acknowledgements()
        let settled = Acknowledgements()
        let tell: @Sendable () -> Void = { settled.add(.committed) }
        let thread = try LoopThread.start(name: "target") { _ in nil }
        defer {
            thread.loop.post { thread.loop.stop() }
            thread.join()
        }
        for number in 0..<10 {
            writer.append(fixture.record(number), on: thread.loop, settled: tell) { acknowledged.add($0.result) }
        }
        #expect(await writer.flush(within: .seconds(60)))
        try await wait { acknowledged[.spooled] == 10 }
        #expect(settled[.committed] == 0)
        try server.sql("ALTER TABLE hidden RENAME TO usage_segment_deltas", on: database)
        try await wait { writer.statistics.spool.files == 0 }
        #expect(settled[.committed] == 10 && acknowledged[.spooled] == 10)
        #expect(try server.sql("SELECT count(*) FROM segments", on: database) == "30")
    }

    @Test func `a full spool turns back to memory, and nothing is dropped`() async throws {
        let server = try TemporaryPostgres()
        let database = try await server.makeMigratedDatabase()
        let place = try SpoolPlace()
        let writer = try writer(database, place, limit: 1)
        defer { writer.stop() }
        try server.crash()
        let acknowledged = Acknowledgements()
        for number in 0..<10 { writer.append(fixture.record(number)) { acknowledged.add($0) } }
        try await wait { writer.statistics.isSpoolFailing }
        #expect(acknowledged[.spooled] == 0 && writer.statistics.queuedRecords == 10)
        try server.start()
        #expect(await writer.flush(within: .seconds(60)))
        #expect(acknowledged[.committed] == 10)
    }
}
