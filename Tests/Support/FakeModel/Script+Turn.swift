import Wire

extension Script.Turn {
    /// Reads a turn: a text, or an object with a text or tokens and what is to be odd about them.
    static func read(_ value: JSON) -> Result<Script.Turn, ScriptError> {
        if let text = value.bytes { return .success(Script.Turn(tokens: Tokenizer.tokens(text))) }
        guard value.isObject else { return .failure(ScriptError(message: "a turn is a string or an object")) }
        var turn = Script.Turn(tokens: Tokenizer.tokens(value["text"]?.bytes ?? []))
        for member in value.children {
            switch member.key {
            case "text": break
            case "tokens": turn.tokens = member.children.compactMap(\.bytes)
            case "finish": turn.finish = member.string
            case "usage":
                guard let lie = member.string.flatMap(Script.UsageLie.init(rawValue:)) else {
                    return .failure(ScriptError(message: "usage is missing, zero, x100, negative, string or huge"))
                }
                turn.usage = lie
            case "delay_ms": turn.tokenDelay = .milliseconds(member.int ?? 0)
            case "first_delay_ms": turn.firstDelay = .milliseconds(member.int ?? 0)
            case "faults":
                switch Script.Faults.read(member) {
                case .success(let faults): turn.faults = faults
                case .failure(let error): return .failure(error)
                }
            default: return .failure(ScriptError(message: "unknown key \(member.key)"))
            }
        }
        if turn.faults.isEndless, turn.tokens.isEmpty {
            return .failure(ScriptError(message: "an endless turn needs a text"))
        }
        return .success(turn)
    }
}

extension Script.Faults {
    /// Reads the faults of a turn; a key that is not known is an error, so that no fault is silently left out.
    static func read(_ value: JSON) -> Result<Script.Faults, ScriptError> {
        var faults = Script.Faults()
        for member in value.children {
            switch member.key {
            case "status": faults.status = member.int
            case "body": faults.body = member.string
            case "context_exceeded": faults.contextExceeded = member.bool ?? false
            case "redirect": faults.redirect = member.string
            case "hang_before": faults.hangBefore = member.bool ?? false
            case "hang_after": faults.hangAfter = member.int
            case "reset_after": faults.resetAfter = member.int
            case "end_after": faults.endAfter = member.int
            case "garbage_after": faults.garbageAfter = member.int
            case "error_after": faults.errorAfter = member.int
            case "nul_after": faults.nulAfter = member.int
            case "invalid_utf8_after": faults.invalidUTF8After = member.int
            case "long_line": faults.longLine = member.int.map { max(0, min($0, 1 << 28)) }
            case "endless": faults.isEndless = member.bool ?? false
            case "overrun": faults.overrun = max(0, min(member.int ?? 0, 1 << 20))
            case "finish_after": faults.finishAfter = member.int
            default: return .failure(ScriptError(message: "unknown fault \(member.key)"))
            }
        }
        return .success(faults)
    }
}
