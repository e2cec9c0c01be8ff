internal import Accounting
internal import RelayCore
internal import Wire

/// The text of a request as its tenant lets the ledger keep it.
enum Payloads {
    static func make(_ capture: Capture, request: InferenceRequest, drivers: [RelayDriver]) -> [PayloadRecord] {
        guard capture != .none else { return [] }
        let keepsText = capture == .text
        var parts = [part("prompt", request.endpoint == .chat ? request.rawMessages : request.prompt, keepsText)]
        for driver in drivers {
            parts.append(part("answer.\(driver.choice)", driver.machine.transcript.client, keepsText))
            parts.append(part("controller.\(driver.choice)", driver.machine.transcript.controller, keepsText))
        }
        return parts
    }

    private static func part(_ name: String, _ body: [UInt8], _ keepsText: Bool) -> PayloadRecord {
        PayloadRecord(part: name, sha256: SHA256.digest(body), body: keepsText ? body : nil)
    }
}
