/// A first-in, first-out queue of commands whose removal does not move the rest.
struct CommandQueue {
    private var commands: [PostgresCommand?] = []
    private var head = 0

    var count: Int { commands.count - head }
    var isEmpty: Bool { count == 0 }
    var first: PostgresCommand? { isEmpty ? nil : commands[head] }

    mutating func append(_ command: PostgresCommand) { commands.append(command) }

    mutating func removeFirst() {
        precondition(!isEmpty, "an empty queue has no first command")
        commands[head] = nil
        head += 1
        // Half of the storage is used up: moving the rest now costs one move per command.
        if head * 2 > commands.count {
            commands.removeFirst(head)
            head = 0
        }
    }

    mutating func removeAll() -> [PostgresCommand] {
        defer {
            commands = []
            head = 0
        }
        return commands[head...].compactMap(\.self)
    }
}
