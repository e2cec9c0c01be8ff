import Accounting

@testable import LeaseModel

/// Gateways, each with a real lease book, a model of the database, and a network that loses, delays and repeats: one
/// history of random steps under a clock that only the simulation turns.
///
/// A seed gives always the same history. `failure` is the first rule that was broken.
final class LeaseSimulation {
    /// What a history has met; a mix in which one of them is missing proves nothing about it.
    enum Event: Int, CaseIterable {
        case crash, pause, lostReply, lostRequest, lateDuplicate, outage, clamp, refusal, unavailable, expiry,
            lateSettle
        case lateReturn, rollover, overrun, abandoned, intent, raised, lowered, removed, added, drained, withdrawn
        case modeChanged, keyBudget, rate, secondTenant
    }

    /// A gateway's process; a restart is another one in the same place.
    final class Process {
        var book: LeaseBook
        var identity = -1
        /// Messages of a process that is gone find nobody.
        let generation: Int
        /// How far its clock is from the simulation's.
        let offset: Int64
        var pausedUntil = Int64.min
        var isDraining = false
        var renewAt = Int64.min
        var tickAt = Int64.min
        var pollAt = Int64.min
        var epoch = -1
        var calls: [Call] = []
        var ledger: [DatabaseModel.LedgerRow] = []
        var isCommitting = false
        /// Whether its book, or a lease of it in the database, has changed since it was checked.
        var isChanged = true
        var overruns = 0
        var waiting: [Waiting] = []

        init(book: LeaseBook, generation: Int, offset: Int64) {
            self.book = book
            self.generation = generation
            self.offset = offset
        }
    }

    /// An ask without an answer.
    struct Waiting {
        let id: UInt64
        let ask: ReservationAsk
        /// How many pools had been noted when it asked, or the first of its queue, one number for each budget.
        let pools: [Int]
        /// The overruns of its gateway before it: they take what was granted for those who wait.
        let overruns: Int
    }

    /// A reservation that has not ended.
    struct Call {
        enum Fate: CaseIterable { case settle, cancel, abandon }
        let number: Int
        let tenant: Int
        let holds: [Hold]
        let fate: Fate
        /// What it really uses, hold by hold.
        let used: [Int]
        /// Whether its intents are durable, or it needs none.
        var mayBegin: Bool
        var hasBegun = false
    }

    /// What is known of a call from outside, also after its gateway is gone.
    struct Trace {
        let holds: [Hold]
        let used: [Int]
        var isAbandoned = false
    }

    enum Request {
        case register
        case renew
        case operation(LeaseBook.Action)
        case intents(Call)
        case void(Int, Hold)
        case commit([DatabaseModel.LedgerRow])
        case leave
    }

    enum Reply {
        case done
        case registered(Int)
        case renewed(Bool)
        case granted(LeaseBook.GrantAnswer)
        case gaveBack(isDone: Bool)
        case recorded(Bool)
    }

    struct Message {
        let process: Int
        let generation: Int
        let identity: Int
        let sent: Int64
        let request: Request
        var reply: Reply?
        /// Nobody waits for its answer any more.
        var isOrphan = false
    }

    var random: SeededGenerator
    var database = DatabaseModel()
    var processes: [Process] = []
    var network: [Message] = []
    var now: Int64 = 1_000_000_000_000
    var databaseOffset: Int64 = 0
    var outageUntil = Int64.min
    var isHealed = false
    /// How bad the network of this history is, in percent.
    var trouble = 0
    let timing = LeaseBook.Timing()
    let ids = Numbering()
    /// Under which identity each lease was opened.
    var owners: [Int?] = []
    var traces: [Trace] = []
    /// What servers sent beyond reservations, lease by lease.
    var beyond: [Int: Int] = [:]
    var askCount: UInt64 = 0
    var generations = 0
    /// Leases that a process held when it was killed.
    var orphans: Set<Int> = []
    var seen: [Int] = Event.allCases.map { _ in 0 }
    /// Refusals although the pool never had too little: safe, and a pity.
    var needlessRefusals = 0
    var failure: String?
    /// Hears each line of the transcript, if anybody does.
    let listener: ((String) -> Void)?

    init(seed: UInt64, listener: ((String) -> Void)? = nil) {
        random = SeededGenerator(state: seed)
        self.listener = listener
    }

    // MARK: Running

    /// Plays the history; nil when every rule held.
    func play() -> String? {
        setUp()
        let steps = 16 + random.below(32)
        for _ in 0..<steps {
            step()
            check()
            if failure != nil { return failure }
        }
        heal()
        return failure
    }

    private func setUp() {
        trouble = [0, 10, 30, 60][random.below(4)]
        databaseOffset = Int64(random.below(20_000_000)) - 10_000_000
        database.now = now + databaseOffset
        let count = 1 + random.below(4)
        for _ in 0..<count { addBudget() }
        for _ in 0..<(1 + random.below(3)) {
            processes.append(makeProcess(offset: Int64(random.below(1_000_000_000))))
        }
        for index in processes.indices { start(index) }
    }

    func makeProcess(offset: Int64) -> Process {
        generations += 1
        let ids = ids
        return Process(
            book: LeaseBook(timing: timing) { ids.next() }, generation: generations, offset: offset)
    }

    func note(_ event: Event) { seen[event.rawValue] += 1 }

    func say(_ line: @autoclosure () -> String) {
        listener?("\(Double((now - 1_000_000_000_000) / 1000) / 1000) s  \(line())")
    }

    func fail(_ what: @autoclosure () -> String) {
        guard failure == nil else { return }
        failure = what()
        say("BROKEN: \(failure ?? "")")
    }

    // MARK: Steps

    private func step() {
        advance(by: randomInterval())
        let process = random.below(processes.count)
        switch random.below(100) {
        case 0..<34: ask(process)
        case 34..<58: endCall(process)
        case 58..<72: deliver()
        case 72..<78: commit(process)
        case 78..<83: tick(process)
        case 83..<87: crashOrStop(process)
        case 87..<91: pause(process)
        case 91..<93: outage()
        case 93..<98: changeBudgets()
        case 98: withdraw(process)
        default: advance(by: 11_000_000)
        }
        for process in processes.indices { housekeep(process) }
    }

    private func randomInterval() -> Int64 {
        switch random.below(20) {
        case 0..<8: 0
        case 8..<14: Int64(random.below(30_000))
        case 14..<18: Int64(random.below(700_000))
        default: Int64(random.below(3_000_000))
        }
    }

    func advance(by interval: Int64) {
        now += interval
        database.now = now + databaseOffset
    }

    private func pause(_ process: Int) {
        guard now >= processes[process].pausedUntil else { return }
        let length = Int64(random.below(25_000_000))
        say("gateway \(process) pauses for \(length / 1000) ms")
        note(.pause)
        processes[process].pausedUntil = now + length
        // Alone, nobody else would make the time pass.
        if random.percent(40) { advance(by: length) }
    }

    private func outage() {
        let length = Int64(random.below(15_000_000))
        say("the database is away for \(length / 1000) ms")
        note(.outage)
        outageUntil = now + length
    }

    /// A process is killed, or told to stop.
    private func crashOrStop(_ process: Int) {
        if random.percent(40) {
            guard !processes[process].isDraining else { return }
            say("gateway \(process) drains")
            note(.drained)
            processes[process].isDraining = true
            let time = time(process)
            return perform(process) { $0.drain(now: time) }
        }
        say("gateway \(process) is killed")
        note(.crash)
        for (_, lease) in processes[process].book.leases { orphans.insert(lease.id.number) }
        processes[process] = makeProcess(offset: processes[process].offset)
        start(process)
    }

    private func withdraw(_ process: Int) {
        guard isAwake(process), let waiting = processes[process].waiting.first else { return }
        say("ask \(waiting.id) is withdrawn")
        note(.withdrawn)
        processes[process].waiting.removeFirst()
        let time = time(process)
        perform(process) { $0.withdraw(waiting.id, tenant: waiting.ask.tenant, now: time) }
    }

    func isAwake(_ process: Int) -> Bool { now >= processes[process].pausedUntil }

    /// The time on the gateway's clock.
    func time(_ process: Int) -> Int64 { now + processes[process].offset }

    // MARK: Budgets

    private func addBudget() {
        let number = database.budgets.count
        let tenant = random.percent(15) ? 1 : 0
        let key = random.percent(20) ? random.below(2) : nil
        let kind = random.below(10)
        let resource: Resource = kind < 7 ? .llmTokens : kind == 7 ? .tokens : kind == 8 ? .requests : .concurrency
        let length: Int64? = resource == .concurrency || random.percent(50) ? nil : 4_000_000
        let amount =
            resource == .requests || resource == .concurrency
            ? 1 + random.below(4) : [20, 60, 150, 2000, 20_000][random.below(5)]
        if key != nil { note(.keyBudget) }
        if !resource.isCharged { note(.rate) }
        if tenant == 1 { note(.secondTenant) }
        let definition = BudgetDefinition.test(
            number, tenant: tenant, key: key, resource: resource, counts: random.percent(50) ? .billed : .generated,
            window: length == nil ? .fixed : .minute, amount: amount, clamps: random.percent(60),
            mode: resource.isCharged && random.percent(30) ? .strict : .leased,
            onExhausted: random.percent(50) ? .degrade : .reject)
        say(
            "budget \(number) of tenant \(tenant), key \(key ?? -1): \(amount) \(resource), \(definition.mode), "
                + "\(definition.counts), clamps: \(definition.clamps), window: \(length ?? 0) us")
        database.addBudget(definition, length: length)
    }

    private func changeBudgets() {
        if random.percent(15) {
            note(.added)
            return addBudget()
        }
        let budget = random.below(database.budgets.count)
        guard database.budgets[budget].isActive else { return }
        if random.percent(20) {
            note(.removed)
            say("budget \(budget) is removed")
            return database.removeBudget(budget)
        }
        let old = database.budgets[budget].definition
        let amount = random.percent(50) ? old.amount / 2 : old.amount + random.below(100)
        note(amount < old.amount ? .lowered : .raised)
        var mode = old.mode
        if old.resource.isCharged, random.percent(20) { mode = mode == .leased ? .strict : .leased }
        if mode != old.mode { note(.modeChanged) }
        say("budget \(budget) is \(amount) now")
        database.setBudget(
            budget,
            .test(
                budget, tenant: old.tenant.number, key: old.key?.number, resource: old.resource, counts: old.counts,
                window: old.window, amount: amount, clamps: old.clamps, mode: mode,
                onExhausted: old.onExhausted))
    }
}
