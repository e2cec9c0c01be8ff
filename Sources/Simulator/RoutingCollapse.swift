/// A policy that is called a router and uses one model only (arXiv:2602.03478).
enum RoutingCollapse {
    /// - Parameters:
    ///   - isLLM: which model has them all.
    ///   - which: of what requests, such as "of those held out".
    static func text(_ policy: String, isLLM: Bool, _ which: String) -> String {
        "\(policy) sends \(isLLM ? "all requests to the LLM" : "no request to the LLM") \(which): it is that model alone, "
            + "under another name (routing collapse)"
    }
}
