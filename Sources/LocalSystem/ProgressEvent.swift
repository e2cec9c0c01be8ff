/// One thing worth telling the person who waits for a long preparation.
package enum ProgressEvent: Sendable, Equatable {
    /// A sentence of its own.
    case note(String)
    /// `done` of `total` bytes of the thing named; a total of 0 means that it is unknown.
    case transfer(label: String, doneBytes: Int64, totalBytes: Int64)
    /// The thing named is not ready after so many whole seconds.
    case waiting(label: String, seconds: Int)
    /// The thing named is ready; closes its transfer or waiting line.
    case finished(label: String)
}
