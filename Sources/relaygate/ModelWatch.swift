internal import LocalModels
internal import Reactor

/// Tells the person at the terminal when a local model server has ended by itself.
enum ModelWatch {
    /// Looks once a second, on a thread of its own, until the process ends.
    static func start(_ servers: [LocalModelServer], stoppedBy stop: StopSignal) {
        guard !servers.isEmpty else { return }
        _ = try? LoopThread.start(name: "model-watch") { loop in
            loop.schedule(after: .seconds(1)) { look(servers, loop, stop) }
            return nil
        }
    }

    private static func look(_ servers: [LocalModelServer], _ loop: EventLoop, _ stop: StopSignal) {
        guard stop.isServing else { return }
        let ended = servers.filter { !$0.isRunning }
        for server in ended {
            Terminal.line(
                "the server of \(server.name) has ended; its log: \(server.logFile); to start it again: Ctrl-C, ./run")
        }
        let left = servers.filter { $0.isRunning }
        loop.schedule(after: .seconds(1)) { look(left, loop, stop) }
    }
}
