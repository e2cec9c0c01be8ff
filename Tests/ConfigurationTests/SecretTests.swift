import Configuration
import Glibc
import Testing

private func file(withKey value: String) -> String {
    smallestFile.replacing("dialect: vllm", with: "dialect: vllm, api_key: \(value)")
}

@Suite struct SecretTests {
    @Test("A secret shows nowhere")
    func hidden() {
        let secret = Secret("hunter2")
        struct Holder { let secret: Secret }
        var dumped = ""
        dump(Holder(secret: secret), to: &dumped)
        for text in [
            "\(secret)", String(reflecting: secret), "\(Holder(secret: secret))", "\([secret])", dumped,
        ] {
            #expect(!text.contains("hunter2"))
        }
        #expect("\(secret)" == "<secret>")
        #expect(secret.reveal() == "hunter2")
    }

    @Test("A whole configuration can be printed without its secrets")
    func configuration() throws {
        var environment = testEnvironment
        environment["KEY"] = "hunter2"
        let configuration = try loaded(file(withKey: "env:KEY"), environment: environment)
        var dumped = ""
        dump(configuration, to: &dumped)
        #expect(!dumped.contains("hunter2") && !dumped.contains("dbname=relaygate"))
        #expect(configuration.upstream(named: "large")?.apiKey?.reveal() == "hunter2")
    }

    @Test(
        "A key is read from a file, without the line break at its end", arguments: ["", "\n", "\r\n"])
    func fromFile(_ lineBreak: String) throws {
        let path = "/tmp/relaygate-secret-test-\(getpid())-\(lineBreak.utf8.count)"
        try write("hunter2" + lineBreak, to: path)
        defer { unsafe unlink(path) }
        let configuration = try loaded(file(withKey: "file:\(path)"))
        #expect(configuration.upstream(named: "large")?.apiKey?.reveal() == "hunter2")
    }

    struct BadKey: Sendable, CustomTestStringConvertible {
        let key: String
        let message: String
        var testDescription: String { key }
    }

    @Test(
        "A secret that is literal, absent or not fit for a header is refused with the remedy, and never repeated",
        arguments: [
            BadKey(
                key: "sk-hunter2",
                message:
                    "a secret must not stand in this file; put it into the environment and write env:NAME, "
                    + "or into a file and write file:/path"),
            BadKey(key: "env:ABSENT", message: "the environment variable ABSENT is not set"),
            BadKey(key: "env:EMPTY", message: "the environment variable EMPTY is empty"),
            BadKey(
                key: "env:LINES",
                message: "the environment variable LINES holds control characters or more than one line"),
            BadKey(
                key: "file:/nonexistent/hunter",
                message: "the secret's file /nonexistent/hunter cannot be read: No such file or directory"),
        ])
    func refused(_ test: BadKey) {
        var environment = testEnvironment
        environment["EMPTY"] = ""
        environment["LINES"] = "hunter2\nX-Evil: 1"
        let found = problems(of: file(withKey: test.key), environment: environment)
        #expect(found == ["f.yaml:3:84: upstreams[1].api_key: \(test.message)"])
        #expect(!found.joined().contains("hunter2"))
    }

    @Test(
        "A literal connection string may hold no password",
        arguments: [
            ("postgresql://u@h:5432/db", true), ("postgres:///db?host=/run/postgresql", true),
            ("host=/run/postgresql dbname=relaygate", true), ("env:DATABASE_URL", true),
            ("postgresql://u:hunter2@h/db", false), ("postgresql://u@h/db?password=hunter2", false),
            ("postgresql://u@h/db?passw%6Frd=hunter2", false), ("host=h password=hunter2", false),
            ("host=h PASSWORD = hunter2", false), ("host=h sslpassword=hunter2", false),
            ("hunter2", false),
            ("postgresql://u:p:hunter2@h/db", false), ("postgresql://u:hunter2@@h/db", false),
        ])
    func connectionStrings(_ text: String, _ isAllowed: Bool) {
        let found = problems(of: smallestFile + "postgres: {url: \"\(text)\"}\n")
        #expect(found.isEmpty == isAllowed, "\(found)")
        #expect(!found.joined().contains("hunter2"))
    }
}

@Suite struct BaseURLTests {
    @Test(
        "A base address has host, port and path; without a path /v1 is meant",
        arguments: [
            ("http://h", "http://h/v1", "http://h", "h", 80),
            ("https://h/", "https://h/v1", "https://h", "h", 443),
            ("http://h:81/v1/", "http://h:81/v1", "http://h:81", "h", 81),
            ("http://[::1]:81", "http://[::1]:81/v1", "http://[::1]:81", "[::1]", 81),
            ("HTTP://h/api", "http://h/api", "http://h/api", "h", 80),
            ("http://h/api/v1", "http://h/api/v1", "http://h/api", "h", 80),
        ])
    func parts(_ text: String, _ base: String, _ root: String, _ host: String, _ port: Int) throws {
        let url = try BaseURL(text)
        #expect(url.description == base)
        #expect(url.root == root)
        #expect(url.host == host)
        #expect(url.port == port)
    }

    @Test(
        "What is no base address is refused",
        arguments: [
            "", "h", "h:80", "://h", "ftp://h", "http://", "http:///v1", "http://:80", "http://h:",
            "http://h:0",
            "http://h:65536", "http://h:99999999999999999999", "http://u@h", "http://u:p@h",
            "http://h/v1?x", "http://h#x",
            "http://h h", "http://h\r\nX: 1", "http://hé", "http://[::1", "http://[::1]x",
        ])
    func refused(_ text: String) {
        #expect(throws: BaseURL.Failure.self) { try BaseURL(text) }
    }
}
