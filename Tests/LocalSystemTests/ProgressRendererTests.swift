import LocalSystem
import Testing

@Suite struct ProgressRendererTests {
    @Test func plainOutputHasOneLineForEveryTenth() {
        var renderer = ProgressRenderer(isTerminal: false)
        let lines = (0...100).compactMap { percent in
            renderer.render(.transfer(label: "m", doneBytes: Int64(percent) * 10_000_000, totalBytes: 1_000_000_000))
        }
        // 0, 10, …, 100 per cent are eleven different tenths.
        #expect(lines.count == 11)
        #expect(lines.first == "m: 0 of 1000 MB (0 %)\n")
        #expect(lines.last == "m: 1000 of 1000 MB (100 %)\n")
    }

    @Test func terminalLineIsRewrittenAndCut() {
        var renderer = ProgressRenderer(isTerminal: true, width: 20)
        let text = renderer.render(.transfer(label: "a-long-label", doneBytes: 5_000_000, totalBytes: 10_000_000))
        // 19 of the 20 columns: "a-long-label: 5 of 10 MB (50 %)" cut.
        #expect(text == "\r\u{1B}[Ka-long-label: 5 of ")
        #expect(renderer.render(.note("n")) == "\nn\n")
        #expect(renderer.closingLine() == "")
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let done: Int64
        let total: Int64
        let expected: String
        var testDescription: String { name }
    }

    @Test(arguments: [
        Case(name: "unknown total", done: 7_000_000, total: 0, expected: "m: 7 MB\n"),
        Case(name: "more than the total", done: 30, total: 20, expected: "m: 0 of 0 MB (100 %)\n"),
        Case(name: "negative", done: -1, total: 20, expected: "m: 0 of 0 MB (0 %)\n"),
        Case(
            name: "largest numbers", done: .max, total: .max,
            expected: "m: 9223372036854 of 9223372036854 MB (100 %)\n"),
        Case(name: "negative total", done: 1_000_000, total: -5, expected: "m: 1 MB\n"),
    ])
    func oddNumbersDoNotTrap(_ sample: Case) {
        var renderer = ProgressRenderer(isTerminal: false)
        let text = renderer.render(.transfer(label: "m", doneBytes: sample.done, totalBytes: sample.total))
        #expect(text == sample.expected)
    }

    @Test func aWaitShowsEveryTenSeconds() {
        var renderer = ProgressRenderer(isTerminal: false)
        let lines = (0..<25).compactMap { renderer.render(.waiting(label: "w", seconds: $0)) }
        #expect(lines == ["w ... 0 s\n", "w ... 10 s\n", "w ... 20 s\n"])
    }
}
