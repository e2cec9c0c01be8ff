import Simulator
import Testing

@testable import Scenarios

@Suite struct PolicyWordTests {
    @Test(arguments: [
        ("as-logged", Counterfactual.asLogged), ("slm", .slmOnly), ("llm", .llmOnly), ("oracle", .oracleRouter),
        ("random:0.3", .randomRouter(share: 0.3)), ("random(0.3)", .randomRouter(share: 0.3)),
        ("random:matched-tokens", .randomRouterAtCost(.llmTokens)),
        ("random:matched-money", .randomRouterAtCost(.money)),
        ("random:matched-accuracy", .randomRouterAtAccuracy), ("fixed:20", .fixedLength(20)),
        ("fixed(100)", .fixedLength(100)), ("cap-n:32", .capTokensPerCall(32)), ("cap-calls:0", .capCalls(0)),
        ("cap-tokens:100", .capTokensPerRequest(100)),
        ("threshold:difficulty>=0.5", .thresholdRouter(score: "difficulty", threshold: 0.5)),
        ("threshold:difficulty@share=0.3", .chosenThreshold(score: "difficulty", aim: .share(0.3))),
        ("threshold:a@b@accuracy=0.8", .chosenThreshold(score: "a@b", aim: .accuracy(0.8))),
        ("threshold:difficulty@llm-accuracy=0.95", .chosenThreshold(score: "difficulty", aim: .llmAccuracy(0.95))),
        ("threshold:difficulty@cost=1.50", .chosenThreshold(score: "difficulty", aim: .cost(1.5))),
        ("cascade:0.1/0.05", .cascade(falseAccept: 0.1, falseReject: 0.05)),
    ])
    func `a word is a policy and the policy is its word`(_ word: String, _ policy: Counterfactual) throws {
        #expect(try PolicyWord.policy(word) == policy)
        let again = try #require(PolicyWord.word(policy))
        #expect(try PolicyWord.policy(again) == policy)
    }

    /// What a report calls a policy can be given as it stands.
    @Test(arguments: [
        "random:1", "threshold:x>=67", "threshold:x>=0.500696", "threshold:x>=1e-21", "threshold:x>=1e+301",
        "threshold:x@accuracy=1", "threshold:x@share=1e-05", "threshold:x@cost=2.5", "cascade:0/1",
    ])
    func `a number in a word is the shortest that reads back`(_ word: String) throws {
        #expect(try PolicyWord.word(PolicyWord.policy(word)) == word)
    }

    @Test func `a split is a share, with an order if that is given`() {
        #expect(TrainWord.split("0.5") == TrainSplit(share: 0.5))
        #expect(TrainWord.split("0.001")?.share == 0.001 && TrainWord.split("0.999")?.share == 0.999)
        #expect(TrainWord.split("0.25/time") == TrainSplit(share: 0.25, order: .time))
        for word in [
            "0", "1", "1.5", "", "/", "0.5/", "0.5/hash", "0.5/time/random", "half", "0.0001", "0.9999", "0x1p-1",
            "-0.5", "nan",
        ] {
            #expect(TrainWord.split(word) == nil, "\(word)")
        }
    }

    @Test(arguments: [
        ("fxed:20", "did you mean \"fixed\"?"), ("fixed", "must be fixed:N, not \"fixed\""),
        ("fixed:0", "needs a whole number from 1, such as fixed:20, not \"0\""),
        ("fixed:-3", "needs a whole number from 1"), ("fixed:99999999999999999999", "needs a whole number"),
        ("slm:3", "must be slm, not \"slm:3\""), ("random:1.5", "needs a share from 0 to 1"),
        ("random:nan", "needs a share"), ("random:matched-token", "did you mean \"matched-tokens\"?"),
        ("threshold:x", "must be a tag and a number"), ("cascade:0.1", "must be the judge's rates"),
        ("threshold:x@shar=0.3", "did you mean \"share\"?"),
        ("threshold:x@share", "\"share\" needs a number, as in threshold:difficulty@share=0.3"),
        ("threshold:x@cost", "\"cost\" needs a number, as in threshold:difficulty@cost=1.50"),
        ("threshold:x@", "is no aim of a threshold"), ("threshold:x>=0x10", "must be a tag and a number"),
        ("threshold:x@share=0x1p-1", "needs a share from 0 to 1"),
        ("threshold:x@share=2", "needs a share from 0 to 1"), ("threshold:@share=0.3", "must be a tag and a number"),
        ("threshold:x@cost=-1", "needs dollars for 1,000 requests"), ("", "is no policy"),
    ])
    func `a wrong word is named with its remedy`(_ word: String, _ message: String) {
        #expect {
            _ = try PolicyWord.policy(word)
        } throws: { error in
            (error as? PolicyWord.Fault)?.message.contains(message) == true
        }
    }
}
