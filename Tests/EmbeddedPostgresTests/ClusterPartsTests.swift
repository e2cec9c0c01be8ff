import LocalSystem
import Testing

@testable import EmbeddedPostgres

@Suite struct ClusterPartsTests {
    @Test func theSocketMovesWhenItsPathIsTooLong() {
        // "/run/.s.PGSQL.54320" is 19 bytes, so a root of 88 bytes gives exactly 107.
        let fits = ClusterLayout(directory: "/d", root: "/" + String(repeating: "x", count: 87))
        #expect(fits.socketDirectory == fits.root + "/run")
        let long = ClusterLayout(directory: "/d", root: "/" + String(repeating: "x", count: 88))
        #expect(long.socketDirectory == "/tmp/relaygate-\(StableHash.name(of: long.root))")
        #expect(long.socketIsElsewhere && !fits.socketIsElsewhere)
    }

    @Test func theElsewherePlaceDependsOnTheDirectoryAlone() {
        #expect(ClusterLayout.elsewhereRoot("/root/a") == ClusterLayout.elsewhereRoot("/root/a"))
        #expect(ClusterLayout.elsewhereRoot("/root/a") != ClusterLayout.elsewhereRoot("/root/b"))
        // FNV-1a 64 of "a" is af63dc4c8601ec8c.
        #expect(ClusterLayout.elsewhereRoot("a") == "/var/lib/relaygate/af63dc4c8601ec8c")
    }

    @Test func thePidFileIsRead() {
        let file = PostmasterFile("4711\n/d\n1700000000\n54320\n/s\n\n  1 2\nready   \n")
        #expect(file?.processID == 4711)
        #expect(file?.port == 54320 && file?.socketDirectory == "/s" && file?.status == "ready")
    }

    @Test(arguments: ["", "\n", "x", "-4711\n/d\n", "99999999999\n", "0\n"])
    func aBrokenPidFileIsNone(_ text: String) {
        #expect(PostmasterFile(text) == nil)
    }

    @Test func aPidFileCutOffKeepsWhatItHas() {
        let file = PostmasterFile("4711\n/d\n17")
        #expect(file?.processID == 4711 && file?.port == nil && file?.socketDirectory == nil && file?.status == nil)
    }

    @Test(arguments: [
        ("/tmp/a-b_c.d", "/tmp/a-b_c.d"), ("", "''"), ("a b", "'a b'"), ("it's", "'it\\'s'"), ("a\\b", "'a\\\\b'"),
    ])
    func connectionValuesAreQuoted(_ value: String, _ expected: String) {
        #expect(ConnectionString.quoted(value) == expected)
    }

    @Test func settingsSurviveTheShell() throws {
        let odd = "/tmp/it's $HOME `x`"
        let options = ClusterSettings.options(socketDirectory: odd)
        let result = try Command("/bin/sh", ["-c", "printf '%s\\n' " + options]).run()
        #expect(result.output.split(separator: "\n").contains("unix_socket_directories=\(odd)"))
    }

    @Test func theLedgerIsDurable() {
        let settings = ClusterSettings.all(socketDirectory: "/s")
        for name in ["fsync", "synchronous_commit", "full_page_writes"] {
            #expect(settings.contains { $0.name == name && $0.value == "on" })
        }
        #expect(settings.contains { $0.name == "listen_addresses" && $0.value.isEmpty })
    }

    @Test func versionsAreRead() {
        #expect(PostgresBinaries.majorVersion("initdb (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)\n") == 15)
        #expect(PostgresBinaries.majorVersion("initdb (PostgreSQL) 18beta1") == 18)
        #expect(PostgresBinaries.majorVersion("something else") == nil)
    }

    @Test func aMissingVersionNamesThePackage() {
        let error = #expect(throws: EmbeddedPostgresError.self) { _ = try PostgresBinaries.find(major: 9) }
        #expect(error?.code == .versionMismatch)
        #expect(error?.description.contains("postgresql-9") == true)
    }

    @Test func aFullDiskIsToldApart() {
        let output = "FATAL: could not write: No space left on device"
        #expect(Cluster.failure(.startFailed, "x", output).code == .diskFull)
        #expect(Cluster.failure(.startFailed, "x", "FATAL: other").code == .startFailed)
    }
}
