import HTTPServer
import Wire

/// What a scripted turn does wrong.
extension CompletionTask {
    /// An answer that the turn gives instead of a completion.
    func immediateFault() -> FakeResponse? {
        guard let faults = turn?.faults else { return nil }
        let dialect = site.options.dialect
        if let address = faults.redirect {
            record.finish = "redirect"
            return FakeResponse(status: 302, headers: [("location", address)], body: [])
        }
        if faults.contextExceeded {
            record.finish = "context_exceeded"
            let refusal = Refusal.contextExceeded(
                prompt: record.promptTokens, window: site.options.contextWindow ?? 4096, dialect)
            return FakeResponse(status: refusal.status, body: refusal.body(dialect))
        }
        guard let status = faults.status else { return nil }
        record.finish = "status_\(status)"
        let refusal = Refusal(status: status, kind: .failed(status: status), message: "scripted failure \(status)")
        return FakeResponse(status: status, body: faults.body.map { Array($0.utf8) } ?? refusal.body(dialect))
    }

    /// Does what the turn's faults want at this token; true when nothing follows.
    func misbehaves(_ faults: Script.Faults) -> Bool {
        if let count = faults.hangAfter, tokens >= count {
            if request.isStream { flush() }
            return true
        }
        if let count = faults.resetAfter, tokens >= count {
            if request.isStream { flush() }
            // What was written must leave first: closing at once would throw it away.
            wait(.milliseconds(5)) { task in
                task.record.finish = "reset"
                task.exchange.abort()
            }
            return true
        }
        if let count = faults.endAfter, tokens >= count { return end(Array(#"{"choices":[{"ind"#.utf8)) }
        if let count = faults.errorAfter, tokens >= count {
            let refusal = Refusal(status: 500, kind: .failed(status: 500), message: "scripted failure in the stream")
            if request.isStream { appendEvent(refusal.body(site.options.dialect)) }
            return end(refusal.body(site.options.dialect))
        }
        if let count = faults.garbageAfter, tokens >= count, faultsDone.insert("garbage").inserted {
            if sendOdd(Array(#"{"choices":[{"text": oops"#.utf8)) { return true }
        }
        if let count = faults.nulAfter, tokens >= count, faultsDone.insert("nul").inserted {
            let nul = Array(#"{"choices":[{"index":0,"text":"a\u0000b","delta":{"content":"a\u0000b"}}],"x":""#.utf8)
            if sendOdd(nul + [0] + Array(#""}"#.utf8)) { return true }
        }
        if let count = faults.invalidUTF8After, tokens >= count, faultsDone.insert("utf8").inserted {
            let bytes = Array(#"{"choices":[{"index":0,"text":""#.utf8) + [0xFF, 0xC3] + Array(#""}]}"#.utf8)
            if sendOdd(bytes) { return true }
        }
        if let size = faults.longLine, tokens >= 1, faultsDone.insert("line").inserted {
            if sendOdd([UInt8](repeating: UInt8(ascii: "x"), count: size)) { return true }
        }
        return false
    }

    private func appendEvent(_ data: [UInt8]) {
        out.append(contentsOf: "data: ".utf8)
        out.append(contentsOf: data)
        out.append(contentsOf: "\n\n".utf8)
    }

    /// Sends an event that no server should send; a whole answer is replaced by it, and nothing follows.
    private func sendOdd(_ data: [UInt8]) -> Bool {
        guard request.isStream else { return end(data) }
        appendEvent(data)
        return false
    }

    /// Ends the body here, properly as far as HTTP goes.
    private func end(_ body: [UInt8]) -> Bool {
        if request.isStream {
            flush()
            exchange.finishStream()
        } else {
            exchange.respond(FakeResponse(status: 200, body: body))
        }
        return true
    }
}
