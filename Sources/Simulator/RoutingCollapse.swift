/// A policy that is called a router and uses one model only (arXiv:2602.03478).
enum RoutingCollapse {
    /// - Parameters:
    ///   - isLLM: which model has them all.
    ///   - request: what is counted, such as "held-out request".
    static func text(_ policy: String, isLLM: Bool, _ request: String = "request") -> String {
        "\(policy) sends \(isLLM ? "every" : "no") \(request) to the LLM: it is the \(isLLM ? "LLM" : "SLM") alone, under "
            + "another name (routing collapse)"
    }
}
