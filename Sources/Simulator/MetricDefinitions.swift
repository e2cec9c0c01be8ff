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
    static let matchedCost = Report.Definition(
        "random router at matched cost",
        "resource-equivalent (RelayLLM): p = (cost − SLM's) / (LLM's − SLM's), the costs of all requests; of LLM tokens, "
            + "whose share of all tokens is ρ: p = ρ·SLM / (ρ·SLM + (1 − ρ)·LLM), with the tokens of either alone")
    static let gain = Report.Definition(
        "gain", "accuracy − accuracy of the random router at matched cost (RelayLLM)")
    static let hull = Report.Definition(
        "hull",
        "the non-decreasing concave hull of exact points: the best accuracy for each cost that time sharing of two of "
            + "them reaches (RouterBench)")
    /// By the names under which off-policy estimates stand in a report.
    static let estimators = [
        Report.Definition(
            "IPS",
            "inverse propensity scoring: Σ w·r / n; r: verdict; w: the policy's probability of what was done / the "
                + "logged propensity (Horvitz and Thompson 1952)"),
        Report.Definition("SNIPS", "self-normalised IPS: Σ w·r / Σ w (Swaminathan and Joachims 2015)"),
        Report.Definition("IPS clipped at 5", "Σ min(w, 5)·r / n; biased towards 0"),
        Report.Definition(
            "doubly robust",
            "Σ (m_π + w·(r − m)) / n; m: the value that a model of values gives to what was done; m_π: its mean under "
                + "the policy (Dudík et al. 2014)"),
        Report.Definition(
            "Horvitz-Thompson",
            "Σ y/q / N over shadow runs; y: verdict; q: inclusion probability; N: all requests, judged or not (Horvitz "
                + "and Thompson 1952)"),
        Report.Definition("Hájek", "Σ y/q / Σ 1/q over shadow runs (Hájek 1971)"),
    ]
    static let effectiveSample = Report.Definition(
        "effective sample",
        "(Σ w)² / Σ w²: how many requests of equal weight would say as much (Kish 1965); w: the policy's probability of "
            + "what was done / the logged propensity")
    static let largestWeight = Report.Definition(
        "largest weight", "the maximum of w: a request with a large one decides the estimate nearly alone")
    static let meanWeight = Report.Definition(
        "mean weight",
        "Σ w / n: 1 on average where the propensities are right and every action of the policy could be drawn")
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
    static let routerScores = [
        Report.Definition(
            "CostSave",
            "1 − cost / cost of the best single model, of routers that are as accurate as that model (LLMRouterBench)"),
        Report.Definition(
            "C (RouterArena)",
            "(log2 c_max − log2 c) / (log2 c_max − log2 c_min); c: dollars for 1,000 requests; c_max 200, c_min 0.0044; "
                + "only within these"),
        Report.Definition(
            "S (RouterArena)",
            "(1+β)·A·C / (β·A + C), β = 0.1; A: accuracy, on the requests whose bill c is; where one of them has no price "
                + "there is no score, because a bill without it would be too small"),
    ]
    /// Of a threshold that is chosen on one part and reported on the other.
    static let chosenThreshold = [
        Report.Definition(
            "training part",
            "the requests that a threshold is chosen on: the most accurate within a share or a cost, the one with the "
                + "fewest requests to the LLM within an accuracy; of equals, the one that sends less (FrugalGPT, Co-LLM)"
        ),
        Report.Definition(
            "held out", "requests that the choice has not seen: what a chosen threshold does on new requests"),
        Report.Definition("optimism", "accuracy on the training part − accuracy on the held-out part"),
    ]
    static let timeShare = Report.Definition(
        "time sharing", "the share λ of requests is served by one policy and the rest by another")
    static let activatedParameters = Report.Definition(
        "activated parameters", "generated tokens times the parameters of the model that generated them (R2R)")
}
