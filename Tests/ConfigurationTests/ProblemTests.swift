import Configuration
import Testing

struct ProblemCase: Sendable, CustomTestStringConvertible {
    let name: String
    /// Added to the smallest file, which has 5 lines.
    let text: String
    let expected: [String]
    var testDescription: String { name }

    init(_ name: String, _ text: String, _ expected: String...) {
        self.name = name
        self.text = text
        self.expected = expected
    }
}

@Suite struct ProblemTests {
    @Test(
        "Each problem is told with its place, key and remedy",
        arguments: [
            ProblemCase(
                "unknown key, near", "listen: {prot: 1}",
                "f.yaml:6:10: listen.prot: unknown key, did you mean \"port\"?"),
            ProblemCase(
                "unknown key, far", "shutdown: {xyz: 1}",
                "f.yaml:6:12: shutdown.xyz: unknown key, known are deadline"),
            ProblemCase(
                "unknown section", "leger: {}", "f.yaml:6:1: leger: unknown key, did you mean \"ledger\"?"),
            ProblemCase(
                "not a number", "listen: {port: eighty}",
                "f.yaml:6:16: listen.port: must be a whole number, not \"eighty\""),
            ProblemCase(
                "number in quotes", "listen: {port: \"80\"}",
                "f.yaml:6:16: listen.port: must be a value without quotes, not text in quotes"),
            ProblemCase(
                "number too large", "listen: {port: 65536}",
                "f.yaml:6:16: listen.port: must be from 0 to 65535, not \"65536\""),
            ProblemCase(
                "number beyond 64 bits", "listen: {port: 99999999999999999999}",
                "f.yaml:6:16: listen.port: must be from 0 to 65535, not \"99999999999999999999\""),
            ProblemCase(
                "negative number", "listen: {port: -1}",
                "f.yaml:6:16: listen.port: must be from 0 to 65535, not \"-1\""),
            ProblemCase(
                "hexadecimal number", "listen: {port: 0x10}",
                "f.yaml:6:16: listen.port: must be a whole number, not \"0x10\""),
            ProblemCase(
                "loops", "listen: {loops: many}",
                "f.yaml:6:17: listen.loops: must be auto or a whole number, not \"many\""),
            ProblemCase(
                "no loops", "listen: {loops: 0}",
                "f.yaml:6:17: listen.loops: must be auto or from 1 to 256, not \"0\""),
            ProblemCase(
                "duration without unit", "shutdown: {deadline: 30}",
                "f.yaml:6:22: shutdown.deadline: must be a duration with a unit such as 250ms, 30s or 5m, not \"30\""
            ),
            ProblemCase(
                "duration out of range", "shutdown: {deadline: 2d}",
                "f.yaml:6:22: shutdown.deadline: must be from 0ms to 1d, not \"2d\""),
            ProblemCase(
                "size without unit", "listen: {body_limit: 4000000}",
                "f.yaml:6:22: listen.body_limit: must be a size with a unit such as 64KiB or 4MiB, not \"4000000\""
            ),
            ProblemCase(
                "size out of range", "listen: {body_limit: 1B}",
                "f.yaml:6:22: listen.body_limit: must be from 1KiB to 1GiB, not \"1B\""),
            ProblemCase(
                "wrong word", "ledger: {receipt: comitted}",
                "f.yaml:6:19: ledger.receipt: must be committed, queued, not \"comitted\", did you mean \"committed\"?"
            ),
            ProblemCase(
                "list for a value", "listen: {port: [1]}",
                "f.yaml:6:16: listen.port: must be a value without quotes, not a list"),
            ProblemCase(
                "value for a section", "listen: 8080",
                "f.yaml:6:9: listen: must be a section of keys, not a single value"),
            ProblemCase(
                "section without keys", "listen:",
                "f.yaml:6:1: listen: has no keys; write some, or remove it"),
            ProblemCase(
                "key without value", "listen: {port: }",
                "f.yaml:6:10: listen.port: has no value; write one, or remove the key"),
            ProblemCase(
                "key twice", "log: {level: info, level: info}",
                "f.yaml:6:20: log.level: appears twice in this section"),
            ProblemCase(
                "section for a key", "? {a: b}\n: c",
                "f.yaml:6:3: a key must be a word, not a section of keys"),
            ProblemCase(
                "list for a list item", "models: [[]]",
                "f.yaml:6:10: models[0]: must be a section of keys, not a list",
                "f.yaml:6:10: models[0].name: is required and missing",
                "f.yaml:6:10: models[0].pair: is required and missing",
                "f.yaml:6:10: models[0].policy: is required and missing"),
            ProblemCase(
                "no list", "models: relay", "f.yaml:6:9: models: must be a list, not a single value"),
            ProblemCase(
                "empty list", "models: []", "f.yaml:6:9: models: must have at least one item, or be removed"
            ),
            ProblemCase(
                "unknown pair", "models: [{name: a, pair: defalt, policy: relay}]",
                "f.yaml:6:26: models[0].pair: no pair has the name \"defalt\", did you mean \"default\"?"),
            ProblemCase(
                "name twice",
                "models:\n  - {name: a, pair: default, policy: relay}\n  - {name: a, pair: default, policy: slm}",
                "f.yaml:8:12: models[1].name: \"a\" is the name of models[0] already"),
            ProblemCase(
                "policy", "models: [{name: a, pair: default, policy: fixed(0)}]",
                "f.yaml:6:43: models[0].policy: must be relay, prompted, fixed(k), random(p), slm, llm "
                    + "(k at least 1, p from 0 to 1), not \"fixed(0)\", did you mean \"fixed(k)\"?"),
            ProblemCase(
                "tag of one character", "models: [{name: a, pair: default, policy: relay, tags: {open: x}}]",
                "f.yaml:6:63: models[0].tags.open: must be at least two printable ASCII characters"),
            ProblemCase(
                "tag that is not ASCII", "models: [{name: a, pair: default, policy: relay, tags: {open: «call»}}]",
                "f.yaml:6:63: models[0].tags.open: must be at least two printable ASCII characters"),
            ProblemCase(
                "tags that hold each other",
                "models: [{name: a, pair: default, policy: relay, tags: {open: abc, close: bc}}]",
                "f.yaml:6:75: models[0].tags.close: the opening and the closing tag must not hold each other"
            ),
            ProblemCase(
                "tag with a digit", "models: [{name: a, pair: default, policy: relay, tags: {open: c1}}]",
                "f.yaml:6:63: models[0].tags.open: must not hold white space or digits"),
            ProblemCase(
                "prompted without effect",
                "models: [{name: a, pair: default, policy: llm, prompted: {system: x}}]",
                "f.yaml:6:58: models[0].prompted: has no effect with policy \"llm\", remove it"),
            ProblemCase(
                "prompted under another name",
                "models: [{name: a, pair: default, policy: relay, prompted: {}}]",
                "f.yaml:6:60: models[0].prompted: makes policy \"relay\" what policy \"prompted\" is, write that"),
            ProblemCase(
                "a host that is no address", "listen: {host: \"not a host\"}",
                "f.yaml:6:16: listen.host: must be a numeric address such as 127.0.0.1, 0.0.0.0 or ::1, or localhost"),
            ProblemCase(
                "control characters in values are made visible", "log: {level: \"a\\nb\"}",
                "f.yaml:6:14: log.level: must be debug, info, warning, error, not \"a\\nb\""),
        ])
    func problem(_ test: ProblemCase) {
        #expect(problems(of: smallestFile + test.text + "\n") == test.expected)
    }

    @Test("All problems are reported at once, sorted by place")
    func allAtOnce() {
        let text = """
            upstreams:
              - name: small
                url: ftp://x
                dilect: llamacpp
              - {name: small, model: l, url: "http://u:p@h", dialect: openai, template: server}
            listen:
              port: 99999
            pairs:
              - {name: p, slm: [smal, small, small], llm: none}
            shutdown: {deadline: soon}
            """
        #expect(
            problems(of: text, environment: [:]) == [
                "f.yaml:1:1: postgres.url: the environment variable DATABASE_URL is not set",
                "f.yaml:2:5: upstreams[0].dialect: is required and missing",
                "f.yaml:2:5: upstreams[0].model: is required and missing",
                "f.yaml:3:10: upstreams[0].url: must begin with http:// or https://",
                "f.yaml:4:5: upstreams[0].dilect: unknown key, did you mean \"dialect\"?",
                "f.yaml:5:12: upstreams[1].name: \"small\" is the name of upstreams[0] already",
                "f.yaml:5:34: upstreams[1].url: must not hold a user name or password, use api_key: env:NAME",
                "f.yaml:5:77: upstreams[1].template: dialect openai has no template endpoint, use chatml, llama3 or plain",
                "f.yaml:7:9: listen.port: must be from 0 to 65535, not \"99999\"",
                "f.yaml:9:21: pairs[0].slm[0]: no upstream has the name \"smal\", did you mean \"small\"?",
                "f.yaml:9:34: pairs[0].slm[2]: \"small\" is listed twice",
                "f.yaml:9:47: pairs[0].llm: no upstream has the name \"none\", known are small, small",
                "f.yaml:10:22: shutdown.deadline: must be a duration with a unit such as 250ms, 30s or 5m, not \"soon\"",
            ])
    }

    @Test(
        "An empty file lacks its required lists", arguments: ["", "# only a comment\n", "{}", "---\n"])
    func empty(_ text: String) {
        let missing = [
            "f.yaml:1:1: pairs: is required and missing",
            "f.yaml:1:1: upstreams: is required and missing",
        ]
        // "---" alone is a document whose value is left out, which is nothing rather than a section without keys.
        #expect(problems(of: text).suffix(2) == missing)
    }

    @Test(
        "Policies follow one grammar",
        arguments: [
            ("relay", true), ("prompted", true), ("slm", true), ("llm", true), ("fixed(1)", true),
            ("fixed(100)", true),
            ("random(0)", true), ("random(1)", true), ("random(0.25)", true), ("random(.5)", true),
            ("", false),
            ("Relay", false), ("fixed", false), ("fixed()", false), ("fixed(0)", false),
            ("fixed(-1)", false),
            ("fixed(+1)", false), ("fixed( 1)", false), ("fixed(1.5)", false),
            ("fixed(99999999999999999999)", false),
            ("fixed(1", false), ("random(1.1)", false), ("random(nan)", false), ("random(0x1p-1)", false),
            ("random(1e-1)", false), ("random(-0)", false), ("uncertainty(1,2)", false),
            ("fixed(٣)", false),
        ])
    func policies(_ text: String, _ expected: Bool) {
        #expect(PolicyNotation.isValid(text) == expected)
    }
}
