/// The rules of the relay written a second time, for tests: plain loops over tokens, nothing of the product's relay.
///
/// Names in parentheses are those of the rules. What a model is shown is put together anew for every turn.
struct SlowRelay {
    struct Token {
        var text: [UInt8]
        var isCommand = false
    }

    /// One generation, or one call that was not made.
    struct Segment: Equatable {
        var isLLM: Bool
        /// From 1.
        var attempt = 1
        var requested: Int?
        var granted: Int?
        var tokens = 0
        var commandTokens = 0
        var finish: String
        /// Tokens that the model was shown; nil when it was not asked, or could not be reached.
        var prompt: Int?
        /// Of these, in the server's cache and written to it.
        var cached = 0
        var cacheWritten = 0
        /// Microseconds from the beginning of the answer.
        var began = 0
        var ended = 0

        var wasCalled: Bool { !finish.hasPrefix("refused") }
    }

    struct Run {
        var segments: [Segment] = []
        var calls = 0
        var verdict = 0
        /// Whether a call was refused, or cut or forbidden by the change.
        var isDegraded = false

        var llmTokens: Int { segments.filter(\.isLLM).map(\.tokens).reduce(0, +) }
        var slmTokens: Int { segments.filter { !$0.isLLM }.map(\.tokens).reduce(0, +) }
    }

    /// To what the relay of the log was bound.
    struct Rules {
        /// Of visible tokens; nil for none.
        var maxTokens: Int?
        var maxCalls: Int
        var maxCallTokens: Int
        var maxMalformed: Int
        var resumesAfterLLM: Bool
        var failsOnRefusal: Bool
    }

    private let world: ScriptedWorld
    private let rules: Rules
    private let models: ScriptedModels
    private let change: ScriptedWorld.Change
    private var transcript: [Token] = []
    private var run = Run()
    private var commands = 0
    private var malformed = 0
    private var forbiddenCommands = 0
    private var isRefused = false

    static func run(_ world: ScriptedWorld, _ change: ScriptedWorld.Change, choice: Int) -> Run {
        var relay = SlowRelay(world: world, models: world.models(choice), change: change)
        switch change {
        case .llm: relay.answerByLLM()
        case .llmRefused: relay.answerByRefusedLLM()
        default: relay.answer()
        }
        relay.run.verdict = relay.models.verdict(relay.visible)
        return relay.run
    }

    private init(world: ScriptedWorld, models: ScriptedModels, change: ScriptedWorld.Change) {
        self.world = world
        rules = world.rules
        self.models = models
        self.change = change
    }

    /// What the SLM reads, and what the LLM and the caller read.
    private var all: [UInt8] { transcript.flatMap(\.text) }
    private var visible: [UInt8] { transcript.filter { !$0.isCommand }.flatMap(\.text) }
    private var visibleCount: Int { transcript.filter { !$0.isCommand }.count }
    private var tokensLeft: Int { (rules.maxTokens ?? 1_000_000) - visibleCount }

    /// Under which the log ran, and under which this run is.
    private var limits: (logged: (calls: Int, tokens: Int), own: (calls: Int, tokens: Int)) {
        let logged = (calls: rules.maxCalls, tokens: rules.maxCallTokens)
        var own = logged
        if case .calls(let most) = change { own.calls = min(own.calls, most) }
        if case .callTokens(let most) = change { own.tokens = min(own.tokens, most) }
        return (logged, own)
    }

    private mutating func answer() {
        while tokensLeft > 0 {
            let others = isRefused || malformed >= rules.maxMalformed || change.isSLM
            let isForbidden = others || commands >= limits.own.calls
            if isForbidden, !others, commands < limits.logged.calls { noteForbiddenCall() }
            let (tokens, finish, command) = turn(isForbidden)
            var prompt = world.prompt + (world.examples ?? 0) + transcript.count
            var segment = Segment(isLLM: false, tokens: tokens.count, finish: finish)
            segment.commandTokens = tokens.filter(\.isCommand).count
            // (F3) Another server goes on behind what the first one wrote.
            let broken = models.breaksAfter(all)
            segment.attempt = retry(isLLM: false)
            if broken < tokens.count - segment.commandTokens {
                note(
                    Segment(isLLM: false, attempt: segment.attempt, tokens: broken, finish: "failed", prompt: prompt))
                (segment.tokens, prompt) = (tokens.count - broken, prompt + broken)
                segment.attempt += 1
            }
            transcript += tokens
            if finish == "call", isForbidden { segment.finish = "forbidden" }
            segment.prompt = prompt
            note(segment)
            if finish == "malformed" { malformed += 1 }
            if finish == "stop" || finish == "length" { return }
            if isForbidden {
                // (T4) The third ends the answer.
                forbiddenCommands += 1
                if forbiddenCommands == 3 { return }
            } else if let command {
                commands += 1
                if !serve(command) { return }
            }
        }
    }

    /// One turn of the SLM: its tokens, how it ended, and the n of a command.
    private func turn(_ isForbidden: Bool) -> (tokens: [Token], finish: String, command: Int?) {
        let most = min(tokensLeft, rules.maxTokens == nil ? 400 : tokensLeft)
        var tokens: [Token] = []
        var text = all
        while tokens.count < most {
            let next = models.slm(text, isForbidden && world.canForbid)
            if next.isEmpty {
                if world.countsEnd { tokens.append(Token(text: [])) }
                return (tokens, "stop", nil)
            }
            guard next.count > 1 else {
                tokens.append(Token(text: next))
                text += next
                continue
            }
            // (C1, C5) Three tokens; what is cut is a tag that is never closed.
            guard tokens.count + 3 <= most else {
                tokens.append(Token(text: Array("<call>".utf8), isCommand: true))
                while tokens.count < most { tokens.append(Token(text: [], isCommand: true)) }
                return (tokens, "malformed", nil)
            }
            let word = String(decoding: next, as: UTF8.self).dropFirst(6).dropLast(7)
            for part in ["<call>", String(word), "</call>"] {
                tokens.append(Token(text: Array(part.utf8), isCommand: true))
            }
            return (tokens, Int(word) == nil ? "malformed" : "call", Int(word))
        }
        return (tokens, "length", nil)
    }

    /// The change forbids what was allowed: is it a call that the SLM would make?
    private mutating func noteForbiddenCall() {
        guard let command = turn(false).command else { return }
        if asked(command, isLogged: true) > 0 { run.isDegraded = true }
    }

    private func asked(_ n: Int, isLogged: Bool) -> Int {
        if !isLogged, case .fixed(let tokens) = change { return tokens }
        return world.fixedTokens ?? n
    }

    /// Serves a command; returns whether the answer goes on.
    private mutating func serve(_ n: Int) -> Bool {
        let asked = asked(n, isLogged: false)
        if asked == 0 { return true }
        if tokensLeft <= 0 {
            refuse("refused_max_tokens", n)
            return false
        }
        // (T1)
        var wanted = min(asked, limits.own.tokens, tokensLeft)
        if case .answerTokens(let most) = change { wanted = min(wanted, most - run.llmTokens) }
        let (grant, reason) = granted(wanted)
        if grant == 0 {
            refuse(reason, n)
            isRefused = true
            return !rules.failsOnRefusal
        }
        let logged = granted(min(self.asked(n, isLogged: true), limits.logged.tokens, tokensLeft)).tokens
        run.calls += 1
        let prompt = world.prompt + visibleCount
        let attempt = retry(isLLM: true)
        let (tokens, finish) = write(grant)
        transcript += tokens
        note(
            Segment(
                isLLM: true, attempt: attempt, requested: n, granted: grant, tokens: tokens.count, finish: finish,
                prompt: prompt))
        if finish == "length", grant < logged { run.isDegraded = true }
        if finish == "failed" {
            isRefused = true
            return !rules.failsOnRefusal
        }
        // (T2)
        return finish == "length" || rules.resumesAfterLLM
    }

    private func granted(_ wanted: Int) -> (tokens: Int, reason: String) {
        if wanted <= 0 { return (0, "refused_limit") }
        if models.isBroken(visible) { return (0, "refused_breaker") }
        switch world.budget {
        case .none: return (wanted, "")
        case .clamps(let most): return (min(wanted, most), "")
        case .refuses(let most): return wanted > most ? (0, "refused_budget") : (wanted, "")
        }
    }

    /// (F1)
    private mutating func refuse(_ reason: String, _ n: Int?) {
        run.isDegraded = true
        note(Segment(isLLM: true, requested: n, granted: 0, finish: reason, prompt: nil))
    }

    /// (F5) Attempts that fail before their first byte; returns the number of the one that does not.
    private mutating func retry(isLLM: Bool) -> Int {
        let failed = models.failedAttempts(isLLM ? visible : all, isLLM: isLLM)
        for attempt in 0..<failed { note(Segment(isLLM: isLLM, attempt: attempt + 1, finish: "failed")) }
        return failed + 1
    }

    /// Adds a segment with what its server does beside writing.
    private mutating func note(_ segment: Segment) {
        var segment = segment
        if let prompt = segment.prompt {
            (segment.cached, segment.cacheWritten) = models.cached(prompt, isLLM: segment.isLLM)
        }
        segment.began = run.segments.last?.ended ?? 0
        segment.ended = segment.began + (segment.wasCalled ? 700 + 1000 * segment.tokens : 0)
        run.segments.append(segment)
    }

    /// What the LLM writes with so many tokens.
    private func write(_ most: Int) -> (tokens: [Token], finish: String) {
        var text = visible
        let end = models.failsAfter(text)
        var tokens: [Token] = []
        while tokens.count < most {
            if tokens.count == end { return (tokens, "failed") }
            let next = models.llm(text)
            if next.isEmpty {
                if world.countsEnd { tokens.append(Token(text: [])) }
                return (tokens, "stop")
            }
            tokens.append(Token(text: next))
            text += next
        }
        return (tokens, "length")
    }

    private mutating func answerByLLM() {
        let attempt = retry(isLLM: true)
        let (tokens, finish) = write(rules.maxTokens ?? 400)
        transcript = tokens
        note(Segment(isLLM: true, attempt: attempt, tokens: tokens.count, finish: finish, prompt: world.prompt))
    }

    private mutating func answerByRefusedLLM() {
        refuse("refused_budget", nil)
        isRefused = true
        if !rules.failsOnRefusal { answer() }
    }
}

extension ScriptedWorld.Change {
    var isSLM: Bool { if case .slm = self { true } else { false } }
}
