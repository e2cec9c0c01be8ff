import RelayCore
import Testing

@Suite("Rules of failure: F1 to F4") struct FailureRuleTests {
    private func reserving(_ onRefusal: RelayConfiguration.Refusal = .degrade) -> RelayMachine {
        var machine = relay(RelayConfiguration(onRefusal: onRefusal))
        _ = machine.play(.begin, said("a <call>5"), ended(.stop))
        return machine
    }

    @Test("F1: a refused call degrades the answer or ends it", arguments: RefusalReason.allCases) func refused(
        _ reason: RefusalReason
    ) {
        var degrade = reserving()
        #expect(degrade.play(.callRefused(reason)) == [askSLM(forbidden: true)])
        #expect(degrade.degraded == reason)
        #expect(degrade.calls == 0)
        #expect(degrade.segments.last?.finish == .refused(reason))
        #expect(degrade.segments.last?.granted == 0)
        #expect(degrade.segments.last?.requested == 5)
        #expect(degrade.play(said(" b <call>5"), ended(.stop)) == [askSLM(forbidden: true)])
        var fail = reserving(.fail)
        #expect(fail.play(.callRefused(reason)) == [.finish(.failed(.refused(reason)))])
    }

    @Test("F1, F2: an LLM that fails in the middle keeps its text and its tokens") func failsInTheMiddle() {
        var machine = reserving()
        #expect(machine.play(.callGranted(tokens: 5), said("b")) == [show("b", by: .llm)])
        #expect(machine.play(failed(.upstream, 3)) == [askSLM(forbidden: true)])
        #expect(machine.expert == "a b")
        #expect(machine.segments.last?.finish == .failed)
        #expect(machine.segments.last?.generatedTokens == 3)
        #expect(machine.segments.last?.visibleBytes == 1)
        #expect(machine.degraded == .upstream)
        #expect(machine.calls == 1)
        var fail = reserving(.fail)
        #expect(fail.play(.callGranted(tokens: 5), failed(.timeout)) == [.finish(.failed(.llm(.timeout)))])
    }

    @Test("T1, F1: a call that does not fit the LLM's window is refused with that reason") func contextWindow() {
        var machine = reserving()
        #expect(machine.play(.callGranted(tokens: 5), failed(.contextExceeded)) == [askSLM(forbidden: true)])
        #expect(machine.finishes == [.call(5), .refused(.contextWindow)])
        #expect(machine.degraded == .contextWindow)
        #expect(machine.calls == 0)
    }

    @Test("F3: an SLM that fails for good ends the answer in an error; what arrived is shown") func slmFails() {
        var machine = relay()
        _ = machine.play(.begin)
        #expect(machine.play(said("a <ca")) == [show("a ")])
        #expect(machine.play(failed(.upstream, 2)) == [show("<ca"), .finish(.failed(.slm(.upstream)))])
        #expect(machine.finishes == [.failed])
        #expect(machine.outcome == .failed(.slm(.upstream)))
        var llm = relay(script: Script(writer: .llm))
        #expect(llm.play(.begin, .callGranted(tokens: 9), failed(.timeout)) == [.finish(.failed(.llm(.timeout)))])
    }

    @Test("F3: a failure behind a complete command takes nothing away") func failsBehindCommand() {
        var machine = relay()
        _ = machine.play(.begin, said("a <call>5</call>"))
        #expect(machine.play(failed(.upstream, 9)) == [.reserve(requested: 5, wanted: 5)])
        #expect(machine.finishes == [.call(5)])
        // A command that the failure cut is not one.
        var cut = relay()
        #expect(cut.play(.begin, said("a <call>5"), failed(.upstream)) == [.finish(.failed(.slm(.upstream)))])
        #expect(cut.client == "a ")
        #expect(cut.malformed == 1)
    }

    @Test("F4: a client that leaves ends everything; what was used is recorded") func clientLeaves() {
        var early = relay()
        #expect(early.play(.clientLeft) == [.finish(.clientLeft)])
        var writing = relay()
        _ = writing.play(.begin, said("a"))
        #expect(writing.play(.clientLeft) == [.cancelGeneration])
        #expect(writing.play(.clientLeft) == [])
        #expect(writing.play(said("b <call>5</call>")) == [])
        #expect(writing.play(ended(.cancelled, 7)) == [.finish(.clientLeft)])
        #expect(writing.finishes == [.cancelled])
        #expect(writing.segments[0].generatedTokens == 7)
        var waiting = reserving()
        #expect(waiting.play(.clientLeft) == [.finish(.clientLeft)])
        #expect(waiting.play(.callGranted(tokens: 5)) == [])
        var ending = relay()
        _ = ending.play(.begin, said("a <call>5</call> b"))
        #expect(ending.play(.clientLeft) == [])
        #expect(ending.play(ended(.cancelled)) == [.finish(.clientLeft)])
        #expect(ending.calls == 0)
    }

    @Test("after the end nothing happens any more") func finished() {
        var machine = relay()
        _ = machine.play(.begin, ended(.stop))
        for event in [.begin, said("a"), ended(.stop), failed(.upstream), .callGranted(tokens: 1), .clientLeft] {
            #expect(machine.handle(event) == [])
        }
    }

    @Test("an event that cannot occur traps: text before the beginning") func trapsText() async {
        await #expect(processExitsWith: .failure) {
            var machine = RelayMachine(script: Script(writer: .slm), configuration: RelayConfiguration())
            _ = machine.handle(.text([], generated: nil))
        }
    }

    @Test("an event that cannot occur traps: a grant nobody asked for") func trapsGrant() async {
        await #expect(processExitsWith: .failure) {
            var machine = RelayMachine(script: Script(writer: .slm), configuration: RelayConfiguration())
            _ = machine.handle(.begin)
            _ = machine.handle(.callGranted(tokens: 5))
        }
    }

    @Test("F1: an LLM that is to write alone is granted whole, or the SLM writes with commands forbidden")
    func wholeAnswerRefused() {
        let configuration = RelayConfiguration(maxTokens: 30)
        var granted = relay(configuration, script: Script(writer: .llm))
        #expect(granted.play(.begin) == [.reserveAnswer(wanted: 30)])
        #expect(granted.play(.callGranted(tokens: 30)) == [askLLM(30)])
        var refused = relay(configuration, script: Script(writer: .llm))
        let slm = askSLM(30, forbidden: true)
        #expect(refused.play(.begin, .callRefused(.budget)) == [slm])
        #expect(refused.degraded == .budget)
        #expect(refused.finishes == [.refused(.budget)])
        #expect(refused.play(said("alone"), ended(.stop)) == [.finish(.stop)])
        #expect(refused.client == "alone")
    }

    @Test("F1: a budget that rejects ends an answer of which nothing was seen, whatever the model's setting")
    func rejected() {
        for script in [relayScript, Script(writer: .llm)] {
            var machine = relay(script: script)
            _ = script == relayScript ? machine.play(.begin, said("<call>5"), ended(.stop)) : machine.play(.begin)
            machine.failOnRefusal()
            #expect(machine.play(.callRefused(.budget)) == [.finish(.failed(.refused(.budget)))])
        }
    }

    @Test("F4: a caller who leaves while tokens are reserved for the LLM alone ends the answer")
    func leftWhileReserving() {
        var machine = relay(script: Script(writer: .llm))
        #expect(machine.play(.begin, .clientLeft) == [.finish(.clientLeft)])
        #expect(machine.play(.callGranted(tokens: 5)) == [])
    }
}
