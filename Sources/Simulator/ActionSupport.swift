/// Whether a log supports an estimate of a target policy: each action that the target takes with a probability above 0
/// must have been possible in the requests where it takes it, and must have been logged in some of them.
struct ActionSupport: Equatable {
    /// One model's answer alone, as an action of the target.
    struct Action: Equatable {
        /// Requests in which the target takes it with a probability above 0.
        var wanted = 0
        /// Of them, those in which the log took it.
        var seen = 0
        /// Of them, those in which the log could not take it: what it took had propensity 1.
        var impossible = 0
    }

    private(set) var slm = Action()
    private(set) var llm = Action()

    init() {}

    /// Adds a request with a propensity.
    ///
    /// - Parameters:
    ///   - target: the target's probability of the LLM.
    ///   - propensity: of what was logged.
    mutating func add(target: Double, writer: LoggedWriter, propensity: Double) {
        func add(_ action: inout Action, _ probability: Double, isLogged: Bool) {
            guard probability > 0 else { return }
            action.wanted += 1
            if isLogged { action.seen += 1 } else if propensity >= 1 { action.impossible += 1 }
        }
        add(&slm, 1 - target, isLogged: writer == .slm)
        add(&llm, target, isLogged: writer == .llm)
    }

    /// Why there is no estimate; nil when there is support.
    var refusal: String? {
        if slm.seen + llm.seen == 0 { return "no logged request took an action of this policy" }
        for (name, action) in [("SLM", slm), ("LLM", llm)] where action.wanted > 0 {
            if action.seen == 0 {
                return
                    "no support: the policy gives the \(name) alone a part of \(action.wanted) requests, and the log never "
                    + "took that action in them"
            }
            if action.impossible > 0 {
                return
                    "no support: in \(action.impossible) of \(action.wanted) requests to which the policy gives the \(name) "
                    + "alone the log could not have taken that action (what it took had propensity 1)"
            }
        }
        return nil
    }

    mutating func merge(_ other: ActionSupport) {
        func merge(_ action: inout Action, _ other: Action) {
            action.wanted += other.wanted
            action.seen += other.seen
            action.impossible += other.impossible
        }
        merge(&slm, other.slm)
        merge(&llm, other.llm)
    }

    func encode(_ writer: inout PartialWriter) {
        for action in [slm, llm] {
            for value in [action.wanted, action.seen, action.impossible] { writer.put(value) }
        }
    }

    init(_ reader: inout PartialReader) throws(SimulationError) {
        slm = try ActionSupport.action(&reader)
        llm = try ActionSupport.action(&reader)
    }

    private static func action(_ reader: inout PartialReader) throws(SimulationError) -> Action {
        let wanted = try reader.int()
        let seen = try reader.int()
        return Action(wanted: wanted, seen: seen, impossible: try reader.int())
    }
}
