import Testing

@testable import Simulator

@Suite struct FindingTests {
    @Test func `bounds that meet are exact`() {
        #expect(Finding.bounded(.whole(3), .whole(3), .tokens, reason: "a call was cut") == .exact(.whole(3), .tokens))
        #expect(Finding.bounded(.whole(3), .whole(4), .tokens, reason: "a call was cut").reason == "a call was cut")
    }
}
