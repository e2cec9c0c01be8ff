import Foundation
import LocalSystem

/// The directory with `initdb`, `pg_ctl` and `psql`.
struct PostgresBinaries: Sendable, Equatable {
    let directory: String
    /// The major version, such as 15.
    let major: Int

    /// The newest installed version, or the one that an existing cluster needs.
    ///
    /// - Parameters:
    ///   - major: only this version will do; nil takes the newest.
    ///   - debianRoot: where Debian keeps one directory per version.
    /// - Throws: `notInstalled`, or `versionMismatch` when only other versions are installed.
    static func find(
        major: Int? = nil, debianRoot: String = "/usr/lib/postgresql"
    ) throws(EmbeddedPostgresError) -> PostgresBinaries {
        let all = installed(debianRoot: debianRoot)
        guard let newest = all.first else {
            throw EmbeddedPostgresError(
                .notInstalled, "PostgreSQL's server programs are not installed; run: apt-get install postgresql")
        }
        guard let major else { return newest }
        if let match = all.first(where: { $0.major == major }) { return match }
        throw EmbeddedPostgresError(
            .versionMismatch,
            "the cluster was made by PostgreSQL \(major) and only \(newest.major) is installed; "
                + "run: apt-get install postgresql-\(major), or move the data with pg_dump")
    }

    /// The path of one of its programs.
    func path(_ program: String) -> String { "\(directory)/\(program)" }

    /// Everything usable, newest first; Debian's directories win over the search path for the same version.
    private static func installed(debianRoot: String) -> [PostgresBinaries] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: debianRoot)) ?? []
        var found = names.compactMap { name -> PostgresBinaries? in
            guard let major = Int(name) else { return nil }
            return usable("\(debianRoot)/\(name)/bin", major: major)
        }
        if let program = Command.find("initdb"), let slash = program.lastIndex(of: "/"),
            let answer = try? Command(program, ["--version"]).run(), let major = majorVersion(answer.output),
            !found.contains(where: { $0.major == major }),
            let binaries = usable(String(program[..<slash]), major: major)
        {
            found.append(binaries)
        }
        return found.sorted { $0.major > $1.major }
    }

    private static func usable(_ directory: String, major: Int) -> PostgresBinaries? {
        let programs = ["initdb", "pg_ctl", "postgres", "psql"]
        guard programs.allSatisfy({ Command.isExecutableFile("\(directory)/\($0)") }) else { return nil }
        return PostgresBinaries(directory: directory, major: major)
    }

    /// The 15 of `initdb (PostgreSQL) 15.20 (Debian …)`.
    static func majorVersion(_ text: String) -> Int? {
        guard let mark = text.firstRange(of: "(PostgreSQL) ") else { return nil }
        return Int(text[mark.upperBound...].prefix { $0.isNumber })
    }
}
