import RelayCore
import Testing

@Suite("Policies") struct PolicyTests {
    @Test(
        "a policy is written as it is read",
        arguments: [
            ("relay", Policy.relay), ("prompted", .prompted), ("fixed(100)", .fixed(100)), ("fixed(1)", .fixed(1)),
            ("random(0.3)", .random(0.3)), ("random(0.0)", .random(0)), ("random(1.0)", .random(1)),
            ("random(1e-05)", .random(0.00001)), ("slm", .slm), ("llm", .llm),
        ]) func notation(_ text: String, _ policy: Policy)
    {
        #expect(Policy(text) == policy)
        #expect(policy.name == text)
    }

    @Test("a number may be written shorter") func shorter() {
        #expect(Policy("random(0)") == .random(0))
        #expect(Policy("random(1)") == .random(1))
    }

    @Test(
        "anything else is refused",
        arguments: [
            "", "Relay", "relay ", "fixed", "fixed()", "fixed(0)", "fixed(-1)", "fixed(+5)", "fixed(007)", "fixed(1.5)",
            "fixed(99999999999999999999)", "fixed(٢)", "random()", "random(-0.1)", "random(1.01)", "random(nan)",
            "random(inf)", "random(0x1p-2)", "random(.5)", "random(0.3", "random(0.3))", "uncertainty(0.3,20)",
        ]) func refused(_ text: String)
    { #expect(Policy(text) == nil) }

    @Test("the draw decides for random alone, and the propensity is that of the choice made") func scripts() {
        #expect(Policy.random(0.25).script(draw: 0.2499) == Script(writer: .llm, propensity: 0.25))
        #expect(Policy.random(0.25).script(draw: 0.25) == Script(writer: .slm, propensity: 0.75))
        #expect(Policy.random(0).script(draw: 0) == Script(writer: .slm, propensity: 1))
        #expect(Policy.random(1).script(draw: 0.9999) == Script(writer: .llm, propensity: 1))
        #expect(Policy.relay.script(draw: 0.1) == Script(writer: .relay(fixedTokens: nil)))
        #expect(Policy.prompted.script(draw: 0.1) == Script(writer: .relay(fixedTokens: nil)))
        #expect(Policy.fixed(7).script(draw: 0.1) == Script(writer: .relay(fixedTokens: 7)))
        #expect(Policy.slm.script(draw: 0.1) == Script(writer: .slm))
        #expect(Policy.llm.script(draw: 0.1) == Script(writer: .llm))
    }
}
