/// Why a configuration was refused: every problem found, in the order of the file.
package struct ConfigurationError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What kind of problem it is. Closed, so that tests and callers can match all of them.
    package enum Code: String, Sendable, CaseIterable {
        /// The file could not be read.
        case unreadable
        /// The text is not YAML, or uses a part of YAML that is not allowed here.
        case syntax
        /// A key that does not exist at its place.
        case unknownKey
        /// A value of another type than the key takes.
        case wrongType
        /// A value of the right type that is not allowed.
        case outOfRange
        /// A required key is absent.
        case missing
        /// A key or a name that appears twice.
        case duplicate
        /// A name that refers to nothing.
        case danglingReference
        /// A secret written into the file, or one that cannot be fetched.
        case secret
    }

    /// One problem with its place.
    package struct Problem: Sendable, Equatable, CustomStringConvertible {
        package let code: Code
        /// The file's name as the operator gave it.
        package let fileName: String
        /// Counted from 1; 0 when the problem is about the file as a whole.
        package let line: Int
        /// Counted from 1 in characters; 0 when the problem is about the file as a whole.
        package let column: Int
        /// The key, as in `upstreams[0].dialect`; empty for problems of syntax.
        package let path: String
        /// What is wrong and what to do about it. Never holds a secret.
        package let message: String

        /// `relaygate.yaml:12:5: upstreams[0].dilect: unknown key, did you mean "dialect"?`
        package var description: String {
            let place = line > 0 ? "\(fileName):\(line):\(column): " : "\(fileName): "
            return place + (path.isEmpty ? message : "\(path): \(message)")
        }
    }

    /// At least one problem, sorted by line, then column, then path.
    package let problems: [Problem]

    package init(_ problems: [Problem]) {
        precondition(!problems.isEmpty, "a configuration error needs a problem")
        self.problems = problems.sorted {
            ($0.line, $0.column, $0.path) < ($1.line, $1.column, $1.path)
        }
    }

    /// All problems, one on each line.
    package var description: String {
        problems.map(\.description).joined(separator: "\n")
    }
}

/// A place in the file, both counted from 1.
package struct Position: Sendable, Equatable {
    package var line: Int
    package var column: Int

    package static let start = Position(line: 1, column: 1)

    package init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }
}

/// Collects problems while a file is read, so that one run tells the operator all of them.
package final class ProblemList {
    private let fileName: String
    package private(set) var problems: [ConfigurationError.Problem] = []

    package init(fileName: String) {
        self.fileName = fileName
    }

    package func add(_ code: ConfigurationError.Code, at position: Position, path: String, _ message: String) {
        problems.append(
            .init(
                code: code, fileName: fileName, line: position.line, column: position.column, path: path,
                message: message))
    }
}
