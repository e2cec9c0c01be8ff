internal import Glibc

/// How far a long piece of work is, on a terminal's standard error: share, requests, rate and rest.
struct ProgressBar {
    private let began = ContinuousClock.now
    private var shown = ContinuousClock.now

    /// Nil when nobody is looking.
    init?() {
        guard isatty(STDERR_FILENO) == 1 else { return nil }
    }

    /// Whether it is time to show something again.
    mutating func isDue() -> Bool {
        guard ContinuousClock.now - shown > .milliseconds(200) else { return false }
        shown = ContinuousClock.now
        return true
    }

    func show(share: Double, requests: Int) {
        let (whole, parts) = (ContinuousClock.now - began).components
        let seconds = max(0.001, Double(whole) + Double(parts) / 1e18)
        let share = min(1, max(0, share))
        let rest = share > 0 && share < 1 ? ", \(Int((seconds / share * (1 - share)).rounded())) s left" : ""
        let bar = String(repeating: "#", count: Int(share * 20)) + String(repeating: ".", count: 20 - Int(share * 20))
        Terminal.write(
            "\r\u{1B}[K[\(bar)] \(Int(share * 100)) %, \(BudgetText.grouped(requests)) requests, "
                + "\(BudgetText.grouped(Int(Double(requests) / seconds)))/s\(rest)", to: STDERR_FILENO)
    }

    func finish(requests: Int) {
        show(share: 1, requests: requests)
        Terminal.write("\n", to: STDERR_FILENO)
    }
}
