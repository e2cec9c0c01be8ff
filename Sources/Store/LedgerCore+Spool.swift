internal import Accounting
internal import Reactor

/// How far the ledger's spool is written and read.
struct SpoolProgress {
    /// What is being written to the disk.
    var writing: [LedgerEntry] = []
    /// A file is being read or removed.
    var isReading = false
    /// The file that goes to the database, and how many of its records are not there yet.
    var file: (name: String, left: Int, records: Int, keeps: Bool)?
    var summary = SpoolSummary()
    /// What is to be called for records that this process has spooled, when the database has them.
    var unsettled: [UUID7: @Sendable () -> Void] = [:]
    /// Set while a failure of the disk is waited out.
    var retry: LoopTimer?
}

/// The bridge over an outage: while the database cannot be reached, or refuses for a reason that is not the data, what
/// is owed goes to the disk and is acknowledged as spooled. Afterwards file after file is read and sent like any other
/// records; a file is removed when the database has all of it. A file that a crash interrupted is read again from its
/// beginning: the database knows what it has.
extension LedgerCore {
    /// After a failure of the disk nothing is tried for this long.
    private static let retryDelay: Duration = .seconds(2)

    func findSpool() {
        guard let spool = configuration.spool else { return }
        told(spool.found)
    }

    private func told(_ summary: SpoolSummary) {
        spooling.summary = summary
        inbox.count { $0.spool = summary }
    }

    // MARK: Writing

    func spoolWhatIsOwed() {
        guard let spool = configuration.spool, isAway || pause != nil, !isStopped, spooling.retry == nil,
            spooling.writing.isEmpty
        else { return }
        let group = takeOwed()
        guard !group.isEmpty else { return }
        spooling.writing = group
        spool.append(group.map(\.record), on: loop) { [self] result in
            guard !isStopped else { return }
            spooling.writing = []
            switch result {
            case .success(let summary): spooled(group, summary)
            case .failure(let error):
                fresh = ArraySlice(group) + fresh
                failed(error)
            }
            send()
            answerFlushes()
        }
    }

    /// Takes at most a batch's bytes, what was sent before first. Nothing is owed that the spool has already.
    private func takeOwed() -> [LedgerEntry] {
        let again = retries.flatMap(\.self)
        retries = again.contains(where: \.isSpooled) ? [again.filter(\.isSpooled)] : []
        fresh = ArraySlice(again.filter { !$0.isSpooled }) + fresh
        return takeFresh()
    }

    private func spooled(_ group: [LedgerEntry], _ summary: SpoolSummary) {
        told(summary)
        inbox.count {
            $0.spooled += group.count
            $0.isSpoolFailing = false
        }
        for entry in group {
            if let settled = entry.settled { spooling.unsettled[entry.record.id] = settled }
        }
        inbox.settle(group)
        acknowledge(group, .spooled)
    }

    private func failed(_ error: SpoolError) {
        if !inbox.snapshot().isSpoolFailing { configuration.onEvent(.spoolFailed(error.description)) }
        inbox.count { $0.isSpoolFailing = true }
        spooling.retry = loop.schedule(after: LedgerCore.retryDelay) { [self] in
            spooling.retry = nil
            send()
        }
    }

    // MARK: Replaying

    func replay() {
        guard let spool = configuration.spool, spooling.summary.files > 0, spooling.file == nil, !spooling.isReading,
            spooling.retry == nil, hasConnection, pause == nil, !isStopped
        else { return }
        spooling.isReading = true
        spool.oldest(on: loop) { [self] result in
            guard !isStopped else { return }
            spooling.isReading = false
            switch result {
            case .success(nil): told(SpoolSummary(damaged: spooling.summary.damaged))
            case .success(let file?): replay(file.name, file.content)
            case .failure(let error): failed(error)
            }
            send()
        }
    }

    private func replay(_ name: String, _ content: SpoolFrame.Content) {
        let records = content.records
        if content.damaged > 0 { configuration.onEvent(.spoolDamaged(file: name, bytes: content.damaged)) }
        spooling.file = (name, records.count, records.count, content.damaged > 0)
        var rest = ArraySlice(
            records.map { record in
                LedgerEntry(record, nil, isSpooled: true) { [self] in replayed(record.id, $0.result) }
            })
        while !rest.isEmpty { retries.append(takeBatch(&rest)) }
        if records.isEmpty { removeFile() }
    }

    /// Called on the ledger's loop for each record of the file.
    private func replayed(_ id: UUID7, _ result: LedgerResult) {
        guard result != .stopped else { return }
        spooling.unsettled.removeValue(forKey: id)?()
        inbox.count { $0.replayed += 1 }
        spooling.file?.left -= 1
        if spooling.file?.left == 0 { removeFile() }
    }

    private func removeFile() {
        guard let spool = configuration.spool, let file = spooling.file else { return }
        spooling.isReading = true
        spool.remove(file.name, keeps: file.keeps, on: loop) { [self] result in
            guard !isStopped else { return }
            spooling.isReading = false
            spooling.file = nil
            switch result {
            case .success(let summary):
                configuration.onEvent(.replayed(file.records))
                told(summary)
            case .failure(let error): failed(error)
            }
            send()
        }
    }
}
