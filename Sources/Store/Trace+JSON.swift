extension Trace {
    /// The request as one line of the trace format (`Docs/trace-format.md`), without the newline.
    package var json: String { TraceFormat.line(self) }
}
