/// Readers of `numeric`, of which this program uses whole numbers that are not negative.
extension PostgresRow {
    /// The decimal digits in groups of four, the lowest first; nil for NULL. Throws `unexpectedResult` for a number
    /// that is negative, has decimals or more than 4,000 digits.
    package func optionalNumeric(_ name: StaticString) throws(PostgresError) -> [UInt16]? {
        guard let bytes = try rows.value(index, name, [PostgresType.numeric.oid]) else { return nil }
        guard let groups = PostgresDecoding.numeric(bytes) else {
            throw PostgresRows.unexpected("column \(name) is no whole number from 0 to 10^4000")
        }
        return groups
    }
}

extension PostgresDecoding {
    /// `numeric_send` in the server's `numeric.c`: the number of groups, the place of the first, the sign, the number
    /// of decimals, then groups of four digits from the highest; groups of zeros at the end are left out.
    static func numeric(_ bytes: [UInt8]) -> [UInt16]? {
        guard bytes.count >= 8, bytes.count.isMultiple(of: 2) else { return nil }
        let words = stride(from: 0, to: bytes.count, by: 2).map { UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]) }
        let (count, sign) = (Int(words[0]), words[2])
        let place = Int(Int16(bitPattern: words[1]))
        guard sign == 0, words.count == 4 + count, words[4...].allSatisfy({ $0 < 10_000 }) else { return nil }
        if count == 0 { return [] }
        guard (0..<1000).contains(place), count <= place + 1 else { return nil }
        return [UInt16](repeating: 0, count: place + 1 - count) + words[4...].reversed()
    }
}
