/// A value that must not reach logs, error messages or debug output.
///
/// It has no description, no debug description and no mirror that shows the value; code that needs the value has to
/// say `reveal()`, which is easy to search for.
package struct Secret: Sendable, CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    private let value: String

    /// Wraps a value that was already obtained.
    package init(_ value: String) {
        self.value = value
    }

    /// The value itself, for the one place that sends it.
    package func reveal() -> String { value }

    /// Always `<secret>`.
    package var description: String { "<secret>" }
    /// Always `<secret>`.
    package var debugDescription: String { "<secret>" }
    /// Empty, because `dump` and string interpolation of enclosing structs read mirrors.
    package var customMirror: Mirror { Mirror(self, children: []) }
}
