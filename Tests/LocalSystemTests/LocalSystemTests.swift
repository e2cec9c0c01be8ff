import Glibc
import Testing

@testable import LocalSystem

@Suite struct LocalSystemTests {
    // The published test vectors of FNV-1a 64 by Fowler, Noll and Vo.
    @Test(arguments: [
        ("", "cbf29ce484222325"), ("a", "af63dc4c8601ec8c"), ("foobar", "85944171f73967e8"),
    ])
    func hashesAreThePublishedOnes(_ text: String, _ expected: String) {
        #expect(StableHash.name(of: text) == expected)
    }

    @Test func linesAreTheSameHoweverTheBytesArrive() {
        let text = Array("one\n\nthrée\nlast".utf8)
        let expected = ["one", "", "thrée", "last"]
        for size in [1, 2, 3, text.count] {
            var splitter = LineSplitter()
            var lines: [String] = []
            for start in stride(from: 0, to: text.count, by: size) {
                lines += splitter.feed(text[start..<min(start + size, text.count)])
            }
            if let rest = splitter.finish() { lines.append(rest) }
            #expect(lines == expected, "pieces of \(size)")
        }
    }

    @Test func aLineWithoutEndIsCutAtTheLimit() {
        var splitter = LineSplitter(limit: 4)
        #expect(splitter.feed("abcdefghij".utf8) == ["abcd", "efgh"])
        #expect(splitter.finish() == "ij")
    }

    @Test func aPortInUseIsNamedInTheError() throws {
        let port = try TCPPort.pickFree()
        try TCPPort.require(port)
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(listener) }
        var name = try #require(Loopback.address("127.0.0.1", port: port))
        let bound = unsafe withUnsafePointer(to: &name) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                unsafe bind(listener, generic, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        try #require(bound == 0 && listen(listener, 1) == 0)
        let error = #expect(throws: LocalSystemError.self) { try TCPPort.require(port) }
        #expect(error?.code == .portInUse)
        #expect(error?.description.contains("\(port)") == true)
        #expect(!TCPPort.isFree(port))
    }

    @Test(arguments: [("nonsense", 8080), ("203.0.113.1", 8080)])
    func anAddressThatIsNotOursIsRefused(_ address: String, _ port: UInt16) {
        let error = #expect(throws: LocalSystemError.self) { try TCPPort.require(port, address: address) }
        #expect(error?.code == .portNotAllowed)
    }

    @Test func aSecondLockOnTheFileFailsUntilTheFirstIsGone() throws {
        let path = "/tmp/relaygate-test-lock-\(getpid())"
        defer { _ = unsafe unlink(path) }
        func held() throws {
            let lock = try FileLock(path: path)
            lock.writeOwner()
            #expect(FileLock.liveOwner(path: path) == getpid())
            let error = #expect(throws: LocalSystemError.self) { _ = try FileLock(path: path) }
            #expect(error?.code == .lockHeld)
            extendLifetime(lock)
        }
        try held()
        _ = try FileLock(path: path)
    }

    @Test func aCommandGivesItsOutputAndStatus() throws {
        var lines: [String] = []
        let result = try Command("/bin/sh", ["-c", "echo one; echo two >&2; exit 3"]).run { lines.append($0) }
        #expect(lines == ["one", "two"])
        #expect(result.status == 3)
        #expect(try Command("/bin/sh", ["-c", "kill -9 $$"]).run().status == 137)
    }

    @Test func aCommandThatLeavesADaemonBehindIsNotWaitedFor() throws {
        var daemon: pid_t?
        let time = try ContinuousClock().measure {
            _ = try Command("/bin/sh", ["-c", "sleep 60 </dev/null >/dev/null 2>&1 & echo $!"]).run {
                daemon = pid_t($0)
            }
        }
        #expect(time < .seconds(30))
        #expect(kill(try #require(daemon), SIGKILL) == 0)
    }

    @Test func aMissingProgramIsAnError() {
        let error = #expect(throws: LocalSystemError.self) { _ = try Command("/nonexistent/x", []).run() }
        #expect(error?.code == .commandNotFound)
    }

    @Test func theChildSeesTheEndOfItsInputWhenWeLetGo() throws {
        let child = try ChildProcess("/bin/cat", [], environment: [:], output: .discard)
        #expect(child.isRunning)
        child.closeInput()
        #expect(child.wait() == 0)
    }

    @Test func moreSpaceThanThereIsIsRefusedWithBothNumbers() throws {
        let error = #expect(throws: LocalSystemError.self) {
            try DiskSpace.require(bytes: .max, at: "/tmp/does/not/exist", purpose: "this")
        }
        #expect(error?.code == .diskSpace)
        // 2^63 - 1 bytes are 9223372036854.775807 MB, rounded up.
        #expect(error?.description.contains("9223372036855 MB") == true)
        try DiskSpace.require(bytes: 1, at: "/tmp", purpose: "this")
    }

    @Test(
        arguments: [
            ("HTTP/1.1 200 OK", 200), ("HTTP/1.0 503", 503), ("HTTP/1.1 2x0", nil), ("HTTP/1.", nil), ("", nil),
            ("SSH-2.0-OpenSSH", nil),
        ] as [(String, Int?)])
    func statusCodesAreRead(_ head: String, _ expected: Int?) {
        #expect(Loopback.statusCode(inHead: Array(head.utf8)) == expected)
    }
}
