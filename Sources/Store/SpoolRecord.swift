internal import Accounting

/// A record as the bytes that the spool keeps: a version, then the record's members in their order. Integers have
/// eight bytes, the lowest first; text and lists come after their count; what may be absent comes after 0 or 1.
enum SpoolRecord {
    private static let version: UInt8 = 1

    static func bytes(_ record: RequestRecord) -> [UInt8] {
        var out = SpoolBytes()
        out.bytes.append(version)
        for id in [record.id, record.tenant, record.key] { out.add(id) }
        for text in [record.model, record.policy, record.policyVersion] { out.add(text) }
        out.add(record.propensity.map { Int64(bitPattern: $0.bitPattern) })
        out.add(record.endpoint)
        out.add(Int64(record.isStream ? 1 : 0))
        out.add(Int64(record.choices))
        out.add(record.started.microseconds)
        out.add(record.finished.microseconds)
        out.add(record.outcome.rawValue)
        out.add(record.finish)
        out.add(record.errorCode)
        out.add(record.degraded)
        for count in [
            record.calls, record.malformed, record.promptTokens, record.slmTokens, record.llmTokens,
            record.commandTokens, record.visibleTokens,
        ] { out.add(Int64(count)) }
        out.add(Int64(record.tags.count))
        for tag in record.tags {
            out.add(tag.key)
            out.add(tag.value)
        }
        out.add(Int64(record.segments.count))
        for segment in record.segments { add(segment, to: &out) }
        out.add(Int64(record.payloads.count))
        for payload in record.payloads {
            out.add(payload.part)
            out.add(payload.sha256)
            out.add(Int64(payload.body == nil ? 0 : 1))
            if let body = payload.body { out.add(body) }
        }
        return out.bytes
    }

    private static func add(_ segment: SegmentRecord, to out: inout SpoolBytes) {
        for number in [segment.choice, segment.sequence, segment.attempt] { out.add(Int64(number)) }
        for text in [segment.role, segment.model, segment.upstream] { out.add(text) }
        for number in [
            segment.requested, segment.granted, segment.promptTokens, segment.cachedTokens, segment.cacheWriteTokens,
        ] { out.add(number.map { Int64($0) }) }
        out.add(Int64(segment.generatedTokens))
        out.add(Int64(segment.commandTokens))
        for text in [segment.source, segment.commandSource, segment.finish] { out.add(text) }
        out.add(segment.started.microseconds)
        out.add(segment.firstTokenMicroseconds)
        out.add(segment.durationMicroseconds)
        out.add(segment.error)
        out.add(Int64(segment.charges.count))
        for charge in segment.charges {
            out.add(charge.lease)
            out.add(charge.budget)
            out.add(Int64(charge.reserved))
            out.add(Int64(charge.charged))
        }
    }

    /// The record; nil for bytes that `bytes` did not make.
    static func record(_ bytes: ArraySlice<UInt8>) -> RequestRecord? {
        var reader = SpoolReader(rest: bytes)
        guard let record = try? read(&reader), reader.rest.isEmpty else { return nil }
        return record
    }

    private static func read(_ reader: inout SpoolReader) throws(SpoolReader.Damage) -> RequestRecord {
        guard reader.rest.popFirst() == version else { throw SpoolReader.Damage() }
        let (id, tenant, key) = (try reader.id(), try reader.id(), try reader.id())
        let (model, policy, policyVersion) = (try reader.text(), try reader.text(), try reader.text())
        let propensity = try reader.optionalInteger().map { Double(bitPattern: UInt64(bitPattern: $0)) }
        let endpoint = try reader.text()
        let isStream = try reader.integer() == 1
        let choices = try reader.count()
        var record = RequestRecord(
            id: id, tenant: tenant, key: key, model: model, policy: policy, policyVersion: policyVersion,
            propensity: propensity, endpoint: endpoint, isStream: isStream, choices: choices,
            started: Timestamp(microseconds: try reader.integer()))
        record.finished = Timestamp(microseconds: try reader.integer())
        guard let outcome = Outcome(rawValue: try reader.text()) else { throw SpoolReader.Damage() }
        record.outcome = outcome
        record.finish = try reader.text()
        record.errorCode = try reader.optionalText()
        record.degraded = try reader.optionalText()
        record.calls = try reader.count()
        record.malformed = try reader.count()
        record.promptTokens = try reader.count()
        record.slmTokens = try reader.count()
        record.llmTokens = try reader.count()
        record.commandTokens = try reader.count()
        record.visibleTokens = try reader.count()
        for _ in 0..<(try reader.length()) {
            record.tags.append(RequestTag(key: try reader.text(), value: try reader.text()))
        }
        for _ in 0..<(try reader.length()) { record.segments.append(try segment(&reader)) }
        for _ in 0..<(try reader.length()) {
            var payload = PayloadRecord(part: try reader.text(), sha256: try reader.octets(), body: nil)
            if try reader.integer() == 1 { payload.body = try reader.octets() }
            record.payloads.append(payload)
        }
        return record
    }

    private static func segment(_ reader: inout SpoolReader) throws(SpoolReader.Damage) -> SegmentRecord {
        let (choice, sequence, attempt) = (try reader.count(), try reader.count(), try reader.count())
        let (role, model, upstream) = (try reader.text(), try reader.text(), try reader.text())
        let (requested, granted) = (try reader.optionalCount(), try reader.optionalCount())
        let (prompt, cached) = (try reader.optionalCount(), try reader.optionalCount())
        let cacheWrite = try reader.optionalCount()
        let (generated, command) = (try reader.count(), try reader.count())
        let (source, commandSource, finish) = (try reader.text(), try reader.text(), try reader.text())
        var segment = SegmentRecord(
            choice: choice, sequence: sequence, attempt: attempt, role: role, model: model, upstream: upstream,
            requested: requested, granted: granted, promptTokens: prompt, cachedTokens: cached,
            generatedTokens: generated, commandTokens: command, source: source, commandSource: commandSource,
            finish: finish, started: Timestamp(microseconds: try reader.integer()),
            firstTokenMicroseconds: try reader.optionalInteger(), durationMicroseconds: try reader.integer(),
            error: try reader.optionalText())
        segment.cacheWriteTokens = cacheWrite
        for _ in 0..<(try reader.length()) {
            segment.charges.append(
                ChargeRecord(
                    lease: try reader.id(), budget: try reader.id(), reserved: try reader.count(),
                    charged: try reader.count()))
        }
        return segment
    }
}

/// Appends values as the spool keeps them.
private struct SpoolBytes {
    var bytes: [UInt8] = []

    mutating func add(_ value: Int64) {
        for shift in stride(from: 0, to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> Int64(shift))) }
    }
    mutating func add(_ value: Int64?) {
        bytes.append(value == nil ? 0 : 1)
        if let value { add(value) }
    }
    mutating func add(_ id: UUID7) {
        add(Int64(bitPattern: id.high))
        add(Int64(bitPattern: id.low))
    }
    mutating func add(_ octets: [UInt8]) {
        add(Int64(octets.count))
        bytes += octets
    }
    mutating func add(_ text: String) { add(Array(text.utf8)) }
    mutating func add(_ text: String?) {
        bytes.append(text == nil ? 0 : 1)
        if let text { add(text) }
    }
}

/// Takes them off again. Bytes from a disk are not trusted: every read is checked.
private struct SpoolReader {
    struct Damage: Error {}

    var rest: ArraySlice<UInt8>

    private mutating func take(_ count: Int) throws(Damage) -> ArraySlice<UInt8> {
        guard count >= 0, count <= rest.count else { throw Damage() }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }
    mutating func integer() throws(Damage) -> Int64 {
        try take(8).reversed().reduce(0) { $0 << 8 | Int64($1) }
    }
    mutating func count() throws(Damage) -> Int { Int(try integer()) }
    /// How many elements follow, each of at least one byte.
    mutating func length() throws(Damage) -> Int {
        let length = try count()
        guard length >= 0, length <= rest.count else { throw Damage() }
        return length
    }
    private mutating func isPresent() throws(Damage) -> Bool { try take(1).first == 1 }
    mutating func optionalInteger() throws(Damage) -> Int64? { try isPresent() ? try integer() : nil }
    mutating func optionalCount() throws(Damage) -> Int? { try optionalInteger().map { Int($0) } }
    mutating func id() throws(Damage) -> UUID7 {
        UUID7(high: UInt64(bitPattern: try integer()), low: UInt64(bitPattern: try integer()))
    }
    mutating func octets() throws(Damage) -> [UInt8] { Array(try take(try count())) }
    mutating func text() throws(Damage) -> String { String(decoding: try octets(), as: UTF8.self) }
    mutating func optionalText() throws(Damage) -> String? { try isPresent() ? try text() : nil }
}
