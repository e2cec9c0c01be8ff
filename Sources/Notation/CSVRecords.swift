/// Splits CSV (RFC 4180) into records, from chunks of any size. A line break ends a record unless it is quoted.
package struct CSVRecords {
    /// What is wrong with the text.
    package struct Fault: Error, Equatable {
        /// The line at which it is seen, from 1.
        package let line: Int
        package let what: String

        package init(line: Int, what: String) {
            self.line = line
            self.what = what
        }
    }

    /// One record and the line at which it begins, from 1.
    package struct Record: Equatable {
        package let line: Int
        package let fields: [String]

        package init(line: Int, fields: [String]) {
            self.line = line
            self.fields = fields
        }
    }

    private enum State {
        /// At the start of a field.
        case start
        /// In a field without quotes.
        case plain
        /// Between the quotes of a field.
        case quoted
        /// Behind a quote in a quoted field: its end, or the first of two.
        case closing
    }

    private var state = State.start
    private var field: [UInt8] = []
    private var fields: [String] = []
    private var line = 1
    private var begun = 1
    private var wasReturn = false

    package init() {}

    /// The records that end in these bytes. Empty lines are no records.
    package mutating func read(_ bytes: some Sequence<UInt8>) throws(Fault) -> [Record] {
        var records: [Record] = []
        for byte in bytes {
            if let record = try take(byte) { records.append(record) }
        }
        return records
    }

    /// The record that the text ends in without a line break.
    package mutating func finish() throws(Fault) -> Record? {
        guard state != .quoted else { throw Fault(line: begun, what: "a quote is not closed") }
        return endRecord()
    }

    private mutating func take(_ byte: UInt8) throws(Fault) -> Record? {
        if state == .quoted {
            if byte == 0x0A { line += 1 }
            if byte == 0x22 { state = .closing } else { field.append(byte) }
            return nil
        }
        // Only the first half of a line break has a meaning; elsewhere it would be lost in silence.
        if wasReturn, byte != 0x0A { throw Fault(line: line, what: "a carriage return stands inside a line") }
        switch byte {
        case 0x2C: endField()
        case 0x0A:
            line += 1
            return endRecord()
        case 0x0D:
            wasReturn = true
        case 0x22 where state == .start: state = .quoted
        case 0x22 where state == .closing:
            field.append(byte)
            state = .quoted
        default:
            guard state != .closing else { throw Fault(line: line, what: "text follows a closing quote") }
            guard byte != 0x22 else { throw Fault(line: line, what: "a quote stands inside a field without quotes") }
            field.append(byte)
            state = .plain
        }
        return nil
    }

    private mutating func endField() {
        fields.append(String(decoding: field, as: UTF8.self))
        field = []
        state = .start
    }

    private mutating func endRecord() -> Record? {
        defer {
            begun = line
            wasReturn = false
        }
        if fields.isEmpty, field.isEmpty, state == .start { return nil }
        endField()
        defer { fields = [] }
        return Record(line: begun, fields: fields)
    }
}
