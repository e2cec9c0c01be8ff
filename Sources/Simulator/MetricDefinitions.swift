/// Definitions that reports print beside their numbers; Docs/simulation-metrics.md has them at length.
enum MetricDefinitions {
    static let randomRouter = Report.Definition(
        "random router", "each request goes to the LLM with the same probability p: accuracy SLM + p · (LLM − SLM)")
    static let resourceEquivalent = Report.Definition(
        "resource-equivalent random router",
        "the random router whose share equals what is matched (said with each result), RelayLLM")
    static let matched = Report.Definition(
        "p*",
        "share of the performance-matched random router, (accuracy − SLM) / (LLM − SLM); also PGR and gap recovery")
    static let reduction = Report.Definition("reduction", "1 − LLM share / p*, against the performance-matched router")
    static let pgr = Report.Definition("PGR", "(accuracy − SLM) / (LLM − SLM) (RouteLLM)")
    static let apgr = Report.Definition(
        "APGR", "(area − SLM's area) / (LLM's area − SLM's area) under accuracy against the LLM's share (RouteLLM)")
    static let cpt = Report.Definition(
        "CPT(x)", "least share of requests to the LLM at which accuracy reaches SLM + x · (LLM − SLM) (RouteLLM)")
    static let aiq = Report.Definition(
        "AIQ",
        "area under the non-decreasing hull of accuracy against cost: over dearest − cheapest (RouterBench's paper), "
            + "or over dearest (its code)")
    static let oracle = Report.Definition(
        "oracle router",
        "knows which answers are right; flat: sends at most the share (RouteLLM); forced: exactly the share")
    static let cheapestCorrect = Report.Definition(
        "cheapest correct",
        "pays for the cheaper model that is right; where none is: the cheaper model (LLMRouterBench) or nothing "
            + "(RouterBench)")
    static let cascade = Report.Definition(
        "cascade", "the SLM answers; the LLM answers again what a judge calls wrong; the judge's cost is not counted")
    static let coin = Report.Definition("sd (coin)", "of one run that throws a coin for each request: √(p(1−p)·Σd²)/n")
    static let fixed = Report.Definition(
        "sd (fixed m)", "of one run that draws exactly p·n requests: √(p(1−p)·n/(n−1)·Σ(d−d̄)²)/n")
    static let tokenShare = Report.Definition(
        "LLM token share", "LLM tokens / all generated tokens, pooled: p·L_llm / (p·L_llm + (1−p)·L_slm)")
    static let bootstrap = Report.Definition(
        "bootstrap", "SplitMix64, one draw for each cluster, percentiles by nearest rank; Docs/simulation-metrics.md")
    static let wilson = Report.Definition("Wilson", "score interval of a share (Wilson 1927)")
    static let mcnemar = Report.Definition(
        "McNemar", "(|b − c| − 1)² / (b + c) of the discordant pairs; above 3.84 the models differ at 95 %")
    static let threshold = Report.Definition(
        "threshold router", "requests whose score is at least the threshold go to the LLM")
    static let timeShare = Report.Definition(
        "time sharing", "the share λ of requests is served by one policy and the rest by another")
    static let activatedParameters = Report.Definition(
        "activated parameters", "generated tokens times the parameters of the model that generated them (R2R)")
}
