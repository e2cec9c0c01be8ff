internal import CPostgres
package import Reactor

/// One connection to a server, driven by an event loop. *Loop thread.*
///
/// Commands are pipelined: each ends with its own synchronisation point, so the error of one does not abort its
/// neighbours. A connection has one life: connecting, then ready, then closed. Whoever made it makes another.
package final class PostgresConnection: PostgresDatabase {
    private enum State {
        /// From `connect`; `ready` or `closed` follows.
        case connecting
        /// Logged in; `closed` follows.
        case ready
        /// Closed by the owner, or broken. Nothing follows.
        case closed(PostgresError)
    }

    package let loop: EventLoop
    private let configuration: PostgresConfiguration
    private var state = State.connecting
    private var handle: ConnectionHandle?
    private var registration: Registration?
    private var interest: EventLoop.Interest = .read
    private var connected: ((Result<PostgresConnection, PostgresError>) -> Void)?
    private var connectTimer: LoopTimer?
    private var watchdog: LoopTimer?

    private var waiting = CommandQueue()
    private var inFlight = CommandQueue()
    private var isScriptRunning = false
    /// Statements by identity, and the name each has on this connection.
    private var prepared: [UInt: String] = [:]
    private var preparedCount = 0
    private let notices = NoticeSink()

    /// Called once when the connection closes, whoever closed it.
    package var onClose: ((PostgresError) -> Void)?
    /// Called with each notice or warning of the server: its SQLSTATE and its text.
    package var onNotice: ((_ sqlState: String, _ message: String) -> Void)?

    private init(_ configuration: PostgresConfiguration, on loop: EventLoop) {
        self.configuration = configuration
        self.loop = loop
    }

    package var isReady: Bool {
        if case .ready = state { true } else { false }
    }

    /// Commands that have no answer yet.
    package var pendingCount: Int { waiting.count + inFlight.count }

    // MARK: Connecting

    /// Connects and logs in. `completion` is called on the loop, once.
    package static func connect(
        _ configuration: PostgresConfiguration, on loop: EventLoop,
        _ completion: @escaping (Result<PostgresConnection, PostgresError>) -> Void
    ) {
        let connection = PostgresConnection(configuration, on: loop)
        connection.connected = completion
        connection.start()
    }

    private func start() {
        let keywords = ["dbname", "fallback_application_name", "client_encoding"]
        let values = [configuration.connection, configuration.application, "UTF8"]
        guard
            let raw = unsafe withCStrings(
                keywords,
                { keys in
                    unsafe withCStrings(values) { unsafe PQconnectStartParams(keys, $0, 1) }
                })
        else { preconditionFailure("libpq had no memory for a connection") }
        handle = unsafe ConnectionHandle(owning: raw)
        let sink = unsafe Unmanaged.passUnretained(notices)
        _ = unsafe PQsetNoticeReceiver(
            raw,
            { context, result in
                guard let context = unsafe context, let result = unsafe result else { return }
                unsafe Unmanaged<NoticeSink>.fromOpaque(context).takeUnretainedValue().take(result)
            }, sink.toOpaque())
        connectTimer = loop.schedule(after: configuration.connectTimeout) { [weak self] in
            self?.fail(
                PostgresError(.timedOut, detail: "no connection in \(self?.configuration.connectTimeout ?? .zero)"))
        }
        // The result is given in a later turn, so that the caller has returned before its completion runs.
        if unsafe PQstatus(raw) == CONNECTION_BAD {
            let message = handle?.errorMessage ?? ""
            loop.atTurnEnd { self.fail(PostgresError(.connectFailed, detail: message)) }
        } else {
            watch(.write)
        }
    }

    /// libpq may have opened another socket (the next address), so the registration is made anew each time.
    private func watch(_ wanted: EventLoop.Interest) {
        registration?.cancel()
        registration = nil
        interest = wanted
        guard let raw = unsafe handle?.raw else { return }
        do {
            registration = try loop.register(unsafe PQsocket(raw), wanted) { [self] readiness in ready(readiness) }
        } catch {
            fail(PostgresError(.connectionLost, detail: error.description))
        }
    }

    private func ready(_ readiness: EventLoop.Readiness) {
        switch state {
        case .connecting: pollConnect()
        case .ready:
            if readiness.isWritable { flush() }
            receive()
        case .closed: return
        }
    }

    private func pollConnect() {
        guard let raw = unsafe handle?.raw else { return }
        switch unsafe PQconnectPoll(raw) {
        case PGRES_POLLING_READING: watch(.read)
        case PGRES_POLLING_WRITING: watch(.write)
        case PGRES_POLLING_OK: becomeReady()
        default: fail(PostgresError(.connectFailed, detail: handle?.errorMessage ?? ""))
        }
    }

    private func becomeReady() {
        guard let raw = unsafe handle?.raw else { return }
        guard unsafe PQsetnonblocking(raw, 1) == 0, unsafe PQenterPipelineMode(raw) == 1 else {
            return fail(PostgresError(.connectFailed, detail: handle?.errorMessage ?? ""))
        }
        state = .ready
        watch(.read)
        guard let limit = configuration.statementTimeout else { return announce() }
        query("SELECT set_config('statement_timeout', $1, false)", [.text("\(limit.wholeMilliseconds)ms")]) { result in
            switch result {
            case .success: self.announce()
            case .failure(let error): self.fail(error)
            }
        }
    }

    private func announce() {
        connectTimer?.cancel()
        connectTimer = nil
        let connected = self.connected
        self.connected = nil
        connected?(.success(self))
    }

    // MARK: Sending

    package func query(
        _ statement: PostgresStatement, _ binds: [PostgresValue],
        _ completion: @escaping (Result<PostgresRows, PostgresError>) -> Void
    ) {
        add(PostgresCommand(.statement(statement, binds), completion))
    }

    /// Runs SQL that may be several statements. It comes from migrations, never from input. Waits for the commands
    /// before it, and those after it wait for it. The result has no rows that can be read.
    package func execute(
        _ script: String, _ completion: @escaping (Result<PostgresRows, PostgresError>) -> Void
    ) {
        add(PostgresCommand(.script(script), completion))
    }

    private func add(_ command: PostgresCommand) {
        if case .closed(let error) = state {
            command.result = .failure(error.with(outcome: .notSent))
            return loop.atTurnEnd { command.complete() }
        }
        guard waiting.count < configuration.queueLimit else {
            command.result = .failure(PostgresError(.queueFull))
            return loop.atTurnEnd { command.complete() }
        }
        waiting.append(command)
        pump()
    }

    private func pump() {
        guard case .ready = state, !isScriptRunning else { return }
        while let next = waiting.first, inFlight.count < configuration.pipelineLimit {
            if next.isScript && !inFlight.isEmpty { break }
            waiting.removeFirst()
            next.sent = ContinuousClock.now
            inFlight.append(next)
            guard send(next) else { return fail(PostgresError(.connectionLost, detail: handle?.errorMessage ?? "")) }
            if next.isScript { break }
        }
        if !inFlight.isEmpty {
            flush()
            startWatchdog()
        }
    }

    private func send(_ command: PostgresCommand) -> Bool {
        guard let raw = unsafe handle?.raw else { return false }
        switch command.work {
        case .script(let text):
            isScriptRunning = true
            return unsafe PQexitPipelineMode(raw) == 1 && PQsendQuery(raw, text) == 1
        case .statement(let statement, let binds):
            var name = prepared[statement.identity]
            if name == nil {
                preparedCount += 1
                let new = "s\(preparedCount)"
                let types = binds.map(\.oid)
                guard unsafe PQsendPrepare(raw, new, statement.cString, CInt(binds.count), types) == 1 else {
                    return false
                }
                command.awaitsPrepare = true
                prepared[statement.identity] = new
                name = new
            }
            return unsafe sendBinds(raw, name ?? "", binds) == 1 && PQpipelineSync(raw) == 1
        }
    }

    private func flush() {
        guard let raw = unsafe handle?.raw else { return }
        let left = unsafe PQflush(raw)
        if left < 0 { return fail(PostgresError(.connectionLost, detail: handle?.errorMessage ?? "")) }
        let wanted: EventLoop.Interest = left == 1 ? [.read, .write] : .read
        if wanted != interest {
            interest = wanted
            registration?.update(wanted)
        }
    }

    // MARK: Receiving

    private func receive() {
        guard let raw = unsafe handle?.raw else { return }
        let isAlive = unsafe PQconsumeInput(raw) == 1
        let finished = takeResults()
        notices.drain { onNotice?($0, $1) }
        if !isAlive || handle?.isBroken ?? true {
            let message = handle?.errorMessage ?? ""
            finish(finished)
            return fail(PostgresError(.connectionLost, detail: message))
        }
        // Reading may have made room for what libpq could not write.
        flush()
        pump()
        finish(finished)
    }

    private func finish(_ commands: [PostgresCommand]) {
        for command in commands { command.complete() }
    }

    /// Takes what libpq has ready; returns the commands that are answered in full.
    private func takeResults() -> [PostgresCommand] {
        var finished: [PostgresCommand] = []
        guard let raw = unsafe handle?.raw else { return finished }
        var nils = 0
        while unsafe PQisBusy(raw) == 0, let head = inFlight.first {
            guard let result = unsafe PQgetResult(raw) else {
                if head.isScript {
                    inFlight.removeFirst()
                    isScriptRunning = false
                    finished.append(head)
                    if unsafe PQenterPipelineMode(raw) == 0 { break }
                }
                // One nil ends each query of a pipeline; two in a row mean that libpq has nothing more to say.
                nils += 1
                if nils == 2 { break }
                continue
            }
            nils = 0
            if unsafe !take(ResultHandle(owning: result), for: head) { break }
            if head.isSynchronised {
                inFlight.removeFirst()
                finished.append(head)
            }
        }
        return finished
    }

    /// False when the result says that the connection has ended.
    private func take(_ result: consuming ResultHandle, for head: PostgresCommand) -> Bool {
        switch result.status {
        case PGRES_PIPELINE_SYNC: head.isSynchronised = true
        case PGRES_PIPELINE_ABORTED: break
        case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY:
            if head.awaitsPrepare { head.awaitsPrepare = false } else { head.take(.success(PostgresRows(result))) }
        default:
            let isFatal = result.isFatal
            let error = result.serverError()
            // An answer of "the connection ends" is no answer about the command.
            if isFatal || handle?.isBroken ?? true { return false }
            if head.awaitsPrepare, case .statement(let statement, _) = head.work {
                prepared[statement.identity] = nil
            }
            head.take(.failure(error))
        }
        return true
    }

    // MARK: Ending

    private func startWatchdog() {
        guard watchdog == nil, let limit = configuration.answerTimeout, let sent = inFlight.first?.sent else { return }
        watchdog = loop.schedule(after: max(.zero, sent + limit - ContinuousClock.now)) { [weak self] in
            guard let self else { return }
            watchdog = nil
            guard let oldest = inFlight.first?.sent else { return }
            if oldest + limit > ContinuousClock.now { return startWatchdog() }
            fail(PostgresError(.timedOut, detail: "no answer in \(limit)"))
        }
    }

    /// Closes the connection. Commands without an answer fail with `closed`, and say whether they had been sent.
    package func close() { fail(PostgresError(.closed)) }

    private func fail(_ error: PostgresError) {
        if case .closed = state { return }
        state = .closed(error)
        registration?.cancel()
        registration = nil
        connectTimer?.cancel()
        watchdog?.cancel()
        handle = nil
        let unknown = inFlight.removeAll()
        let unsent = waiting.removeAll()
        for command in unknown { command.result = .failure(error.with(outcome: .unknown)) }
        for command in unsent { command.result = .failure(error.with(outcome: .notSent)) }
        finish(unknown)
        finish(unsent)
        let connected = self.connected
        let onClose = self.onClose
        self.connected = nil
        self.onClose = nil
        self.onNotice = nil
        connected?(.failure(error))
        onClose?(error)
    }
}
