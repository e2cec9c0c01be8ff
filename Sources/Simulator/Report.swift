/// The result of a simulation, before it is laid out as text, JSON, CSV or a page.
///
/// It describes itself: what was asked, of which data, what was left out, what each word means.
package struct Report: Sendable, Equatable {
    /// A word of the report and its meaning; for a formula with its source.
    package struct Definition: Sendable, Equatable {
        package var term: String
        package var meaning: String

        package init(_ term: String, _ meaning: String) {
            self.term = term
            self.meaning = meaning
        }
    }

    /// Requests that the data hold and the numbers do not.
    package struct Exclusion: Sendable, Equatable {
        package var reason: String
        package var requests: Int

        package init(_ reason: String, requests: Int) {
            self.reason = reason
            self.requests = requests
        }
    }

    package var title: String
    /// Where the data came from and how much of it was used, in order: "requests" is "4,686 of 4,700".
    package var coverage: [(name: String, value: String)]
    package var exclusions: [Exclusion]
    package var definitions: [Definition]
    /// What a reader must know before using the numbers.
    package var warnings: [String]
    package var sections: [Section]

    package init(title: String) {
        self.title = title
        coverage = []
        exclusions = []
        definitions = []
        warnings = []
        sections = []
    }

    package static func == (left: Report, right: Report) -> Bool {
        left.title == right.title && left.coverage.elementsEqual(right.coverage, by: ==)
            && left.exclusions == right.exclusions && left.definitions == right.definitions
            && left.warnings == right.warnings && left.sections == right.sections
    }
}

/// A part of a report: a table, a plot, or both.
package struct Section: Sendable, Equatable {
    /// Identifies it in JSON and CSV: lower-case words joined by underscores.
    package var name: String
    package var title: String
    package var notes: [String]
    package var table: Table?
    package var plot: Plot?

    package init(name: String, title: String, notes: [String] = [], table: Table? = nil, plot: Plot? = nil) {
        self.name = name
        self.title = title
        self.notes = notes
        self.table = table
        self.plot = plot
    }
}

/// Rows of findings. Each row has as many cells as there are columns.
package struct Table: Sendable, Equatable {
    package struct Column: Sendable, Equatable {
        /// Identifies it in JSON and CSV: lower-case words joined by underscores.
        package var name: String
        /// What a table's head says.
        package var title: String
        /// Digits behind the point; nil for text and whole numbers. Half is rounded away from zero.
        package var decimals: Int?

        package init(_ name: String, _ title: String, decimals: Int? = nil) {
            self.name = name
            self.title = title
            self.decimals = decimals
        }
    }

    package enum Cell: Sendable, Equatable {
        case text(String)
        case finding(Finding)
        /// Does not apply to this row.
        case none
    }

    package var columns: [Column]
    package var rows: [[Cell]]

    package init(columns: [Column], rows: [[Cell]] = []) {
        self.columns = columns
        self.rows = rows
    }
}

/// What is drawn; coordinates are in the units that the axes name.
package struct Plot: Sendable, Equatable {
    package struct Point: Sendable, Equatable {
        package var x: Double
        package var y: Double
        /// The ends of a bound or an interval, nil where there is none.
        package var low: Double?
        package var high: Double?
        package var label: String?

        package init(x: Double, y: Double, low: Double? = nil, high: Double? = nil, label: String? = nil) {
            self.x = x
            self.y = y
            self.low = low
            self.high = high
            self.label = label
        }
    }

    package enum Style: String, Sendable, Equatable {
        case points, line, dashedLine, steps, bars
    }

    package struct Series: Sendable, Equatable {
        package var name: String
        package var style: Style
        package var points: [Point]

        package init(_ name: String, _ style: Style, _ points: [Point]) {
            self.name = name
            self.style = style
            self.points = points
        }
    }

    package var xTitle: String
    package var yTitle: String
    /// Names of the places 0, 1, 2, … on the x axis, for bars; empty for an axis of numbers.
    package var categories: [String]
    package var series: [Series]

    package init(xTitle: String, yTitle: String, categories: [String] = [], series: [Series]) {
        self.xTitle = xTitle
        self.yTitle = yTitle
        self.categories = categories
        self.series = series
    }
}
