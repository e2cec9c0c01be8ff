/// Object identifiers of PostgreSQL's built-in types, from its catalogue `pg_type.dat`.
struct PostgresType: Equatable {
    let oid: UInt32
    /// Of the array whose elements have this type.
    let arrayOID: UInt32

    static let bool = PostgresType(oid: 16, arrayOID: 1000)
    static let bytea = PostgresType(oid: 17, arrayOID: 1001)
    static let int8 = PostgresType(oid: 20, arrayOID: 1016)
    static let int4 = PostgresType(oid: 23, arrayOID: 1007)
    static let text = PostgresType(oid: 25, arrayOID: 1009)
    static let float8 = PostgresType(oid: 701, arrayOID: 1022)
    static let timestamptz = PostgresType(oid: 1184, arrayOID: 1185)
    static let uuid = PostgresType(oid: 2950, arrayOID: 2951)
    static let numeric = PostgresType(oid: 1700, arrayOID: 1231)

    /// `varchar` and `name` travel as text does.
    static let textLike: Set<UInt32> = [25, 1043, 19, 18]
}

/// Microseconds from 1970-01-01 to 2000-01-01, from which PostgreSQL counts.
let postgresEpochMicroseconds: Int64 = 946_684_800_000_000
