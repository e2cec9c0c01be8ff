internal import Accounting
internal import Arguments
internal import Foundation
internal import Notation
internal import Store
internal import Wire

/// Price books in files: CSV with a header, or a JSON array of objects with the same names.
enum PriceFile {
    static let columns = [
        "model", "upstream", "from", "input", "cached_input", "cache_write", "output", "request",
    ]
    /// What `price list --json` writes besides; not read.
    private static let ignored = ["until", "actor", "reason", "created_at"]
    private static let byteLimit = 16 << 20
    private static let rowLimit = 100_000
    private static let shownMistakes = 50

    /// Where something stands: a line of CSV, an item of JSON; from 1.
    struct Place: Sendable {
        let kind: String
        let number: Int

        var text: String { "\(kind) \(number)" }
    }

    /// A row as it was found: its fields by column, those that are empty left out.
    struct Row {
        let place: Place
        var fields: [String: String] = [:]
    }

    /// What is wrong with a file and where, such as `line 3: input: must be …`.
    struct Mistake {
        let place: Place
        let column: String?
        let message: String

        var text: String { ([place.text] + (column.map { [$0] } ?? []) + [message]).joined(separator: ": ") }
    }

    /// A price and where it stands in its file.
    struct Entry: Sendable {
        let place: Place
        let price: Price
    }

    /// Reads and checks a whole file. Fails with every mistake in it, one a line.
    ///
    /// - Parameters:
    ///   - now: what `now` stands for in the column `from`.
    ///   - start: what an empty `from` stands for; nil when it must not be empty.
    static func read(_ path: String, now: Accounting.Timestamp, start: Accounting.Timestamp?) throws(CommandExit)
        -> [Entry]
    {
        let kind = (path as NSString).pathExtension.lowercased()
        guard ["csv", "json"].contains(kind) else {
            throw .badUsage("<file> must end in .csv or .json, not \(path.json)")
        }
        let bytes = try contents(path)
        var mistakes: [Mistake] = []
        let rows =
            kind == "csv"
            ? try csvRows(bytes, path, needsDate: start == nil, &mistakes) : try jsonRows(bytes, path, &mistakes)
        if rows.count > rowLimit { throw .failure("\(path) has more than \(rowLimit) prices; split it") }
        var entries: [Entry] = []
        var places: [String: Place] = [:]
        for row in rows {
            guard let price = PriceRow(row, now: now, start: start).read(&mistakes) else { continue }
            // No name holds a line break.
            let identity = "\(price.model)\n\(price.upstream ?? "")\n\(price.from.microseconds)"
            if let first = places[identity] {
                mistakes.append(
                    Mistake(
                        place: row.place, column: "from",
                        message: "is the model, upstream and date of \(first.text) again"))
            } else {
                places[identity] = row.place
                entries.append(Entry(place: row.place, price: price))
            }
        }
        try stop(at: mistakes, path)
        guard !entries.isEmpty else { throw .failure("\(path) holds no price") }
        return entries
    }

    /// Fails with the mistakes, when there are any.
    static func stop(at mistakes: [Mistake], _ path: String) throws(CommandExit) {
        guard !mistakes.isEmpty else { return }
        let inOrder = mistakes.enumerated().sorted {
            ($0.element.place.number, $0.offset) < ($1.element.place.number, $1.offset)
        }
        let lines = inOrder.prefix(shownMistakes).map { "  " + Terminal.oneLine($0.element.text) }
        let rest = mistakes.count > shownMistakes ? ["  and \(mistakes.count - shownMistakes) more"] : []
        let count = mistakes.count == 1 ? "a mistake" : "\(mistakes.count) mistakes"
        throw .failure(
            (["\(path) has \(count), so nothing of it is used:"] + lines + rest)
                .joined(separator: "\n"))
    }

    private static func contents(_ path: String) throws(CommandExit) -> [UInt8] {
        do {
            let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
            defer { try? handle.close() }
            let data = try handle.read(upToCount: byteLimit + 1) ?? Data()
            if data.count > byteLimit { throw CommandExit.failure("\(path) is larger than 16 MiB; split it") }
            return [UInt8](data)
        } catch let exit as CommandExit {
            throw exit
        } catch {
            throw .failure("\(path) cannot be read: \(error.localizedDescription)")
        }
    }

    // MARK: CSV

    private static func csvRows(
        _ bytes: [UInt8], _ path: String, needsDate: Bool, _ mistakes: inout [Mistake]
    ) throws(CommandExit) -> [Row] {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw .failure("\(path) is not UTF-8; save it as UTF-8")
        }
        var records: [CSVRecords.Record]
        do throws(CSVRecords.Fault) {
            var reader = CSVRecords()
            // Spreadsheets put a byte order mark at the beginning.
            records = try reader.read((text.first == "\u{FEFF}" ? text.dropFirst() : text[...]).utf8)
            if let last = try reader.finish() { records.append(last) }
        } catch {
            throw .failure("\(path), line \(error.line): \(error.what)")
        }
        guard let first = records.first else { throw .failure("\(path) is empty; it begins with a header") }
        if first.fields.count == 1, first.fields[0].contains(";") {
            throw .failure(
                "\(path), line 1: has semicolons between its columns; save it with commas between columns and points in "
                    + "numbers")
        }
        let (header, top) = (first.fields.map(trimmed), Place(kind: "line", number: first.line))
        for (index, name) in header.enumerated() {
            if !columns.contains(name), !ignored.contains(name) {
                mistakes.append(unknown(name, "column", place: top))
            } else if header[..<index].contains(name) {
                mistakes.append(Mistake(place: top, column: name, message: "is there twice"))
            }
        }
        for name in ["model", "input", "output"] + (needsDate ? ["from"] : []) where !header.contains(name) {
            mistakes.append(Mistake(place: top, column: name, message: "is no column of the header"))
        }
        // Without its columns no row makes sense.
        try stop(at: mistakes, path)
        var rows: [Row] = []
        for record in records.dropFirst() {
            var row = Row(place: Place(kind: "line", number: record.line))
            guard record.fields.count == header.count else {
                let message = "has \(record.fields.count) fields, the header has \(header.count)"
                mistakes.append(Mistake(place: row.place, column: nil, message: message))
                continue
            }
            for (name, field) in zip(header, record.fields.map(trimmed)) where !field.isEmpty {
                row.fields[name] = field
            }
            rows.append(row)
        }
        return rows
    }

    private static func trimmed(_ field: String) -> String { field.trimmingCharacters(in: .whitespaces) }

    private static func unknown(_ name: String, _ kind: String, place: Place) -> Mistake {
        let hint =
            NearestName.among(columns, to: name).map { "did you mean \($0)?" }
            ?? "known are \(columns.joined(separator: ", "))"
        return Mistake(place: place, column: nil, message: "\(name.json) is no \(kind) of prices; \(hint)")
    }

    // MARK: JSON

    private static func jsonRows(_ bytes: [UInt8], _ path: String, _ mistakes: inout [Mistake]) throws(CommandExit)
        -> [Row]
    {
        var parser = JSONParser()
        var found: [Mistake] = []
        do throws(WireError) {
            let rows = try parser.read(bytes) { (root) throws(WireError) -> [Row]? in
                guard root.isArray else { return nil }
                return root.children.enumerated().compactMap { index, item in
                    jsonRow(item, Place(kind: "item", number: index + 1), &found)
                }
            }
            mistakes += found
            if let rows { return rows }
        } catch {
            throw .failure("\(path): \(error.message.replacingOccurrences(of: "The body", with: "It"))")
        }
        throw .failure("\(path) must be a JSON array of objects")
    }

    /// Nil, with its mistakes, when it is no object of texts and numbers.
    private static func jsonRow(_ item: JSON, _ place: Place, _ mistakes: inout [Mistake]) -> Row? {
        guard item.isObject else {
            mistakes.append(Mistake(place: place, column: nil, message: "must be an object"))
            return nil
        }
        let before = mistakes.count
        var row = Row(place: place)
        var seen: Set<String> = []
        for member in item.children {
            let name = member.key
            guard columns.contains(name) else {
                if !ignored.contains(name) { mistakes.append(unknown(name, "member", place: place)) }
                continue
            }
            if !seen.insert(name).inserted {
                mistakes.append(Mistake(place: place, column: name, message: "is there twice"))
            }
            switch member.kind {
            case .string: row.fields[name] = member.string.flatMap { $0.isEmpty ? nil : $0 }
            // As it is written, so that no digit is lost.
            case .number: row.fields[name] = String(decoding: member.raw, as: UTF8.self)
            case .null: row.fields[name] = name == "input" ? PriceRow.unpriced : nil
            default:
                mistakes.append(
                    Mistake(place: place, column: name, message: "must be a text or a number"))
            }
        }
        return mistakes.count == before ? row : nil
    }
}
