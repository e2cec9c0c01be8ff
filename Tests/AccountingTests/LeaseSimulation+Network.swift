import Accounting

@testable import LeaseModel

/// What `LeaseManager` and `LeaseDriver` do, over a network that cannot be trusted.
extension LeaseSimulation {
    func start(_ process: Int) {
        processes[process].pollAt = now
        send(.register, process)
        housekeep(process)
    }

    /// What a process does by its clock.
    func housekeep(_ process: Int) {
        guard isAwake(process) else { return }
        if now >= processes[process].renewAt {
            processes[process].renewAt = now + timing.ttl / 5
            send(processes[process].identity < 0 ? .register : .renew, process)
        }
        if now >= processes[process].pollAt {
            processes[process].pollAt = now + 500_000
            poll(process)
        }
        if now >= processes[process].tickAt { tick(process) }
        let isDone = processes[process].calls.isEmpty && processes[process].ledger.isEmpty
        if processes[process].isDraining, isDone, processes[process].book.isEmpty {
            checkEmpty(process)
            say("gateway \(process) says goodbye")
            if processes[process].identity >= 0 { send(.leave, process) }
            processes[process] = makeProcess(offset: processes[process].offset)
            start(process)
        }
    }

    func tick(_ process: Int) {
        guard isAwake(process) else { return }
        processes[process].tickAt = now + 250_000
        let time = time(process)
        perform(process) { $0.tick(now: time) }
    }

    /// Learns which budgets are in force.
    private func poll(_ process: Int) {
        guard now >= outageUntil, database.epoch != processes[process].epoch else { return }
        processes[process].epoch = database.epoch
        let (definitions, time) = (database.definitions, time(process))
        perform(process) { $0.define(definitions, now: time) }
    }

    /// Changes a book and does what it then wants done.
    func perform(_ process: Int, _ body: (inout LeaseBook) -> Void) {
        processes[process].isChanged = true
        body(&processes[process].book)
        // The order of tenants in a book is not the same in every run.
        let actions = processes[process].book.takeActions()
        guard !actions.isEmpty else { return }
        guard actions.count > 1 else { return perform(actions[0], process) }
        let tenants = actions.map { tenant($0, process) }
        for tenant in 0...1 {
            for index in actions.indices where tenants[index] == tenant { perform(actions[index], process) }
        }
    }

    private func tenant(_ action: LeaseBook.Action, _ process: Int) -> Int {
        switch action {
        case .grant(let grant): return grant.tenant.number
        case .giveBack(_, _, let tenant, _, _, _, _, _): return tenant.number
        case .answer(let ask, _):
            return processes[process].waiting.first { $0.id == ask }?.ask.tenant.number ?? 0
        }
    }

    private func perform(_ action: LeaseBook.Action, _ process: Int) {
        guard case .answer(let ask, let verdict) = action else { return send(.operation(action), process) }
        guard let index = processes[process].waiting.firstIndex(where: { $0.id == ask }) else {
            return fail("ask \(ask) is answered, and nobody waits for it")
        }
        accept(verdict, processes[process].waiting.remove(at: index), process)
    }

    // MARK: The network

    func send(_ request: Request, _ process: Int) {
        let message = Message(
            process: process, generation: processes[process].generation, identity: identity(request, process),
            sent: time(process), request: request)
        guard random.percent(trouble) else {
            return resolve(message, execute(message))
        }
        // A connection brings a message once: a grant comes twice only if its sender has sent it again.
        let isGrant = if case .operation(.grant) = request { true } else { false }
        switch random.below(6) {
        case 0:
            note(.lostRequest)
            say("  lost: \(request)")
            resolve(message, nil)
        case 1:
            note(.lostReply)
            say("  its reply is lost: \(request)")
            _ = execute(message)
            resolve(message, nil)
        case 2:
            note(.lateDuplicate)
            say("  given up, but still on its way: \(request)")
            network.append(orphan(message))
            resolve(message, nil)
        case 3 where !isGrant:
            note(.lateDuplicate)
            network.append(orphan(message))
            resolve(message, execute(message))
        default:
            say("  delayed: \(request)")
            network.append(message)
        }
    }

    private func orphan(_ message: Message) -> Message {
        var message = message
        message.isOrphan = true
        return message
    }

    /// In whose name a message is sent: a lease keeps the identity that opened it.
    private func identity(_ request: Request, _ process: Int) -> Int {
        let current = processes[process].identity
        if case .void(_, let hold) = request { return owners[hold.lease.number] ?? current }
        guard case .operation(let action) = request, let lease = action.lease else { return current }
        while owners.count <= lease { owners.append(nil) }
        if case .grant = action, owners[lease] == nil { owners[lease] = current }
        return owners[lease] ?? current
    }

    /// Brings one message on its way to its end.
    func deliver() {
        guard !network.isEmpty else { return }
        var message = network.remove(at: random.below(network.count))
        if let reply = message.reply { return resolve(message, reply) }
        let reply = execute(message)
        if message.isOrphan { return }
        guard let reply, random.percent(30) else { return resolve(message, reply) }
        say("    the reply is delayed")
        message.reply = reply
        network.append(message)
    }

    /// What the database does with a message; nil when it is away.
    private func execute(_ message: Message) -> Reply? {
        guard now >= outageUntil else { return nil }
        processes[message.process].isChanged = true
        say("  database: \(message.isOrphan ? "late " : "")\(message.request) of identity \(message.identity)")
        switch message.request {
        case .register:
            guard !message.isOrphan else { return .done }
            return .registered(database.registerGateway())
        case .renew:
            let isLive = database.renewGateway(message.identity)
            reap()
            return .renewed(isLive)
        case .operation(let action): return execute(action, message.identity)
        case .intents(let call):
            let holds = call.holds.filter { $0.segment != nil }
            return .recorded(database.recordIntents(gateway: message.identity, call: call.number, holds))
        case .void(let call, let hold):
            database.voidIntents(gateway: message.identity, lease: hold.lease.number, call: call)
            return .done
        case .commit(let rows):
            database.record(rows)
            return .done
        case .leave:
            database.leaveGateway(message.identity)
            return .done
        }
    }

    private func execute(_ action: LeaseBook.Action, _ identity: Int) -> Reply? {
        guard identity >= 0 else {
            fail("an operation of a gateway that is not registered")
            return nil
        }
        switch action {
        case .grant(let grant):
            let answer = database.grantTokens(grant, gateway: identity)
            say("    \(answer.state): \(answer.tokens), \(answer.pool) left")
            return .granted(answer)
        case .giveBack(let lease, let sequence, _, _, let tokens, let closes, let used, let lost):
            let result = database.returnTokens(
                gateway: identity, lease: lease.number, sequence: sequence,
                DatabaseModel.ReturnOperation(tokens: tokens, closes: closes, used: used, lost: lost))
            if result == nil { fail("lease \(lease.low) gives back \(tokens), and its sums do not agree") }
            return .gaveBack(isDone: result != nil)
        case .answer: return .done
        }
    }

    /// What any live gateway does now and then.
    func reap() {
        let count = database.reapLeases(ttl: timing.ttl)
        guard count > 0 else { return }
        note(.expiry)
        say("database: \(count) leases expire")
    }

    // MARK: Answers

    /// The sender hears what became of its message; nil when it does not.
    private func resolve(_ message: Message, _ reply: Reply?) {
        let process = message.process
        guard processes[process].generation == message.generation else { return }
        guard isAwake(process) || reply == nil else {
            var waiting = message
            waiting.reply = reply
            return network.append(waiting)
        }
        let time = time(process)
        switch (message.request, reply) {
        case (.register, .registered(let identity)):
            guard processes[process].identity < 0 else { return }
            processes[process].identity = identity
            say("gateway \(process) is identity \(identity)")
            perform(process) { $0.renewed(sent: message.sent, now: time) }
        case (.register, _): processes[process].renewAt = min(processes[process].renewAt, now + 200_000)
        case (.renew, .renewed(let isLive)):
            guard message.identity == processes[process].identity else { return }
            isLive ? perform(process) { $0.renewed(sent: message.sent, now: time) } : rebirth(process)
        case (.operation(let action), _): resolve(action, message, reply, process)
        case (.intents(let call), .recorded(true)): intentsRecorded(true, call, process)
        case (.intents(let call), _): intentsRecorded(false, call, process)
        case (.commit(let rows), .done): committed(rows, process)
        case (.commit, _): processes[process].isCommitting = false
        default: break
        }
    }

    private func committed(_ rows: [DatabaseModel.LedgerRow], _ process: Int) {
        processes[process].isCommitting = false
        processes[process].ledger.removeFirst(rows.count)
        for row in rows {
            let tenant = database.budgets[row.charges[0].budget.number].definition.tenant
            perform(process) { $0.confirm(row.charges, tenant: tenant) }
        }
    }

    /// The database has given this process up; it goes on as another.
    private func rebirth(_ process: Int) {
        say("gateway \(process) was taken for dead")
        processes[process].identity = -1
        let time = time(process)
        perform(process) { $0.expired(now: time) }
        send(.register, process)
    }

    private func resolve(_ action: LeaseBook.Action, _ message: Message, _ reply: Reply?, _ process: Int) {
        let time = time(process)
        switch (action, reply) {
        case (.grant(let grant), .granted(let answer)):
            let isCurrent = message.identity == processes[process].identity
            if answer.state == .expired, isCurrent, message.identity >= 0 { rebirth(process) }
            if answer.state != .granted, answer.tokens == 0, grant.sequence == 0 { owners[grant.lease.number] = nil }
            perform(process) {
                $0.granted(
                    answer, lease: grant.lease, budget: grant.budget, tenant: grant.tenant, sent: message.sent,
                    now: time)
            }
        case (.giveBack(let lease, _, let tenant, let budget, _, let closes, _, _), .gaveBack(let isDone)):
            if closes, isDone { owners[lease.number] = nil }
            perform(process) { $0.gaveBack(lease: lease, budget: budget, tenant: tenant, isDone: isDone, now: time) }
        case (.grant(let grant), _):
            perform(process) { $0.failed(lease: grant.lease, budget: grant.budget, tenant: grant.tenant, now: time) }
        case (.giveBack(let lease, _, let tenant, let budget, _, _, _, _), _):
            perform(process) { $0.failed(lease: lease, budget: budget, tenant: tenant, now: time) }
        default: break
        }
    }
}

extension LeaseSimulation.Request: CustomStringConvertible {
    var description: String {
        switch self {
        case .register: "register"
        case .renew: "renew"
        case .operation(.grant(let grant)):
            "grant \(grant.lease.low).\(grant.sequence) of budget \(grant.budget.low), \(grant.mode), "
                + "needs \(grant.needs), spare \(grant.spare)\(grant.isRepeat ? ", again" : "")"
        case .operation(.giveBack(let lease, let sequence, _, let budget, let tokens, let closes, let used, let lost)):
            "return \(lease.low).\(sequence) of budget \(budget.low), \(tokens), used \(used), lost \(lost)"
                + (closes ? ", closes" : "")
        case .operation: "answer"
        case .intents(let call): "intents of call \(call.number)"
        case .void(let call, _): "no intents of call \(call)"
        case .commit(let rows): "ledger of calls \(rows.map(\.call))"
        case .leave: "leave"
        }
    }
}

extension LeaseBook.Action {
    /// The number of the lease that it is about.
    var lease: Int? {
        switch self {
        case .grant(let grant): grant.lease.number
        case .giveBack(let lease, _, _, _, _, _, _, _): lease.number
        case .answer: nil
        }
    }
}
