/// One numbered change of the schema. Once released, its file is never edited: the next change is the next number.
package struct Migration: Sendable, Equatable {
    /// From 1, without gaps.
    package let version: Int
    package let name: String
    package let sql: [UInt8]

    package init(version: Int, name: String, sql: [UInt8]) {
        self.version = version
        self.name = name
        self.sql = sql
    }
}

/// The migrations of this build, oldest first. The files beside this one are compiled into the program.
package enum Migrations {
    /// SwiftPM names a resource after its file and puts an underscore in the place of the first digit.
    package static let all = [
        Migration(version: 1, name: "control", sql: PackageResources._001_control_sql),
        Migration(version: 2, name: "ledger", sql: PackageResources._002_ledger_sql),
        Migration(version: 3, name: "usage", sql: PackageResources._003_usage_sql),
        Migration(version: 4, name: "budgets", sql: PackageResources._004_budgets_sql),
        Migration(version: 5, name: "metering", sql: PackageResources._005_metering_sql),
        Migration(version: 6, name: "report", sql: PackageResources._006_report_sql),
        Migration(version: 7, name: "usage_report", sql: PackageResources._007_usage_report_sql),
        Migration(version: 8, name: "retention", sql: PackageResources._008_retention_sql),
    ]
}
