import Testing

@testable import FakeModel

@Suite struct HashModelTests {
    private func continuation(
        _ prompt: String, role: ModelRole = .slm, seed: Int = 0, forbidden: Bool = false, malformed: Bool = true
    ) -> [[UInt8]] {
        var model = HashModel(
            role: role, seed: seed, prompt: Array(prompt.utf8), commandsForbidden: forbidden, writesMalformed: malformed
        )
        var tokens: [[UInt8]] = []
        while tokens.count < 20_000, let token = model.next() { tokens.append(token) }
        return tokens
    }

    private func text(_ tokens: some Sequence<[UInt8]>) -> String {
        String(decoding: Array(tokens.joined()), as: UTF8.self)
    }

    @Test(arguments: ["", "<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n", "Question: x\nAnswer:"])
    func `the continuation is the same from every point of it`(prompt: String) {
        for seed in 0..<20 {
            let tokens = continuation(prompt, seed: seed)
            for cut in tokens.indices {
                let head = Array(tokens[..<cut].joined())
                guard String(validating: head, as: UTF8.self) != nil else { continue }
                let rest = continuation(prompt + text(tokens[..<cut]), seed: seed)
                #expect(text(rest.prefix(tokens.count - cut)) == text(tokens[cut...]), "seed \(seed), cut \(cut)")
            }
        }
    }

    @Test func `a change anywhere in the prompt changes the text`() {
        let tail = String(repeating: "x", count: 500) + "\nAnswer:"
        #expect(text(continuation("one " + tail)) != text(continuation("two " + tail)))
    }

    @Test func `role and seed change the text`() {
        let texts = (0..<10).flatMap { seed in ModelRole.allCases.map { text(continuation("Q", role: $0, seed: seed)) }
        }
        #expect(Set(texts).count == 20)
    }

    @Test func `the SLM writes commands, and none where they are forbidden`() {
        let free = (0..<200).map { text(continuation("Q", seed: $0)) }
        let forbidden = (0..<200).map { text(continuation("Q", seed: $0, forbidden: true)) }
        let expert = (0..<200).map { text(continuation("Q", role: .llm, seed: $0)) }
        #expect(free.filter { $0.contains(/<call>[0-9]+<\/call>/) }.count > 100)
        #expect(forbidden.filter { $0.contains("call") }.isEmpty)
        #expect(expert.filter { $0.contains("call") }.isEmpty)
    }

    @Test func `malformed, zero and huge commands occur, and none malformed where they are not wanted`() {
        let wild = (0..<2000).map { text(continuation("Q", seed: $0)) }.joined(separator: "\n")
        #expect(wild.contains(/<call>0<\/call>/))
        #expect(wild.contains(/<call>[0-9]{6,}<\/call>/))
        #expect(wild.contains(/<call>[^0-9]/))
        let tame = (0..<2000).map { text(continuation("Q", seed: $0, malformed: false)) }.joined(separator: "\n")
        let bare = tame.replacing(/<call>[0-9]+<\/call>/, with: "")
        #expect(!bare.contains("call>") && !bare.contains("</"))
    }
}
