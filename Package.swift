// swift-tools-version: 6.2
import PackageDescription

let testSettings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"), .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"), .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]
/// Tests need no marks at each use of C.
let settings = testSettings + [.strictMemorySafety()]

let package = Package(
    name: "RelayGate",
    products: [
        .executable(name: "relaygate", targets: ["relaygate"]),
        .executable(name: "fake-model", targets: ["FakeModel"]),
    ],
    traits: [
        .trait(name: "Faults", description: "Failpoints and seeded bugs for Tests/Faults; never in a release.")
    ],
    targets: [
        // C edges: each library is imported by one target.
        .target(name: "CLinux"),
        .target(name: "CMicroHTTPD", linkerSettings: [.linkedLibrary("microhttpd")]),
        .target(name: "CCurl", linkerSettings: [.linkedLibrary("curl")]),
        .target(name: "CSimdJSON", linkerSettings: [.linkedLibrary("simdjson")]),
        .systemLibrary(name: "CPostgres", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(name: "CFYAML", pkgConfig: "libfyaml", providers: [.apt(["libfyaml-dev"])]),

        // Input and output.
        .target(name: "Reactor", dependencies: ["CLinux"], swiftSettings: settings),
        .target(name: "HTTPServer", dependencies: ["CMicroHTTPD", "Reactor"], swiftSettings: settings),
        .target(name: "HTTPClient", dependencies: ["CCurl", "Reactor"], swiftSettings: settings),
        .target(name: "Wire", dependencies: ["CSimdJSON", "Accounting"], swiftSettings: settings),
        .target(name: "Postgres", dependencies: ["CPostgres", "Reactor", "Accounting"], swiftSettings: settings),

        // Pure.
        .target(name: "RelayCore", swiftSettings: settings),
        .target(name: "Accounting", swiftSettings: settings),
        .target(name: "Notation", swiftSettings: settings),
        .target(
            name: "PaperTables", path: "Simulations/paper",
            resources: [
                .embedInCode("ablations.csv"), .embedInCode("benchmarks.csv"), .embedInCode("claims.csv"),
                .embedInCode("domains.csv"), .embedInCode("mathematics.csv"), .embedInCode("teacher_free.csv"),
            ],
            swiftSettings: settings),
        .target(
            name: "Simulator", dependencies: ["Accounting", "Notation", "PaperTables"], swiftSettings: settings),

        // Simulations: how they are asked and how their answers are laid out.
        .target(name: "Reports", dependencies: ["Notation", "Simulator", "Wire"], swiftSettings: settings),

        .target(name: "Configuration", dependencies: ["CFYAML", "Notation"], swiftSettings: settings),
        .target(
            name: "Scenarios", dependencies: ["Accounting", "Configuration", "Notation", "Simulator"],
            swiftSettings: settings),
        .target(name: "Telemetry", swiftSettings: settings),
        .target(name: "Failpoints", swiftSettings: settings),
        .target(name: "Arguments", dependencies: ["Notation"], swiftSettings: settings),
        .target(
            name: "Migrations", path: "migrations",
            resources: [
                .embedInCode("0001_control.sql"), .embedInCode("0002_ledger.sql"), .embedInCode("0003_usage.sql"),
                .embedInCode("0004_budgets.sql"), .embedInCode("0005_metering.sql"),
                .embedInCode("0006_report.sql"), .embedInCode("0007_usage_report.sql"),
                .embedInCode("0008_retention.sql"),
            ],
            swiftSettings: settings),
        .target(
            name: "Store", dependencies: ["Accounting", "Failpoints", "Migrations", "Postgres", "Reactor"],
            swiftSettings: settings),
        .target(
            name: "Traces",
            dependencies: ["Accounting", "Notation", "Postgres", "Simulator", "Store", "Wire"],
            swiftSettings: settings),
        .target(
            name: "Gateway",
            dependencies: [
                "Accounting", "Configuration", "Failpoints", "HTTPClient", "HTTPServer", "Reactor", "RelayCore",
                "Telemetry", "Wire",
            ], swiftSettings: settings),

        // One machine: `relaygate up`.
        .target(name: "LocalSystem", swiftSettings: settings),
        .target(
            name: "LocalModels", dependencies: ["LocalSystem"],
            resources: [
                .embedInCode("Resources/serve_model.py"), .embedInCode("Resources/fetch_model.py"),
                .embedInCode("Resources/server.txt"), .embedInCode("Resources/smollm2.txt"),
                .embedInCode("Resources/qwen05.txt"), .embedInCode("Resources/qwen15.txt"),
            ],
            swiftSettings: settings),
        .target(name: "EmbeddedPostgres", dependencies: ["LocalSystem"], swiftSettings: settings),

        .executableTarget(
            name: "relaygate",
            dependencies: [
                "Accounting", "Arguments", "Configuration", "EmbeddedPostgres", "Failpoints", "Gateway", "HTTPClient",
                "LocalModels", "LocalSystem", "Migrations", "Notation", "Postgres", "Reactor", "Reports", "Scenarios",
                "Simulator", "Store", "Telemetry", "Traces", "Wire",
            ], swiftSettings: settings),

        // Test support.
        .executableTarget(
            name: "FakeModel", dependencies: ["HTTPServer", "Reactor", "Wire"], path: "Tests/Support/FakeModel",
            swiftSettings: testSettings),
        .target(
            name: "TestSupport", dependencies: ["Postgres", "Reactor", "Store"], path: "Tests/Support/TestSupport",
            swiftSettings: testSettings),

        // What the budget functions of the database do, in Swift: for simulations, and held against them.
        .target(
            name: "LeaseModel", dependencies: ["Accounting"], path: "Tests/Support/LeaseModel",
            swiftSettings: testSettings),

        // What `Benchmarks/budgets` runs.
        .executableTarget(
            name: "reservation-benchmark", dependencies: ["Accounting"], path: "Benchmarks/Reservations",
            swiftSettings: testSettings),

        // Fills a ledger, for `Benchmarks/metering`.
        .executableTarget(
            name: "ledger-load", dependencies: ["Accounting", "Store"], path: "Benchmarks/LedgerLoad",
            swiftSettings: testSettings),

        // Replays a trace, for `Benchmarks/simulate`.
        .executableTarget(
            name: "simulation-benchmark", dependencies: ["Accounting", "Simulator", "Traces"],
            path: "Benchmarks/Simulation", swiftSettings: testSettings),

        .testTarget(
            name: "AccountingTests", dependencies: ["Accounting", "LeaseModel"], swiftSettings: testSettings),
        .testTarget(name: "ArgumentsTests", dependencies: ["Arguments"], swiftSettings: testSettings),
        .testTarget(name: "ConfigurationTests", dependencies: ["Configuration"], swiftSettings: testSettings),
        .testTarget(
            name: "EmbeddedPostgresTests", dependencies: ["EmbeddedPostgres", "LocalSystem"],
            swiftSettings: testSettings),
        .testTarget(
            name: "FakeModelTests", dependencies: ["FakeModel", "HTTPClient", "HTTPServer", "Reactor", "Wire"],
            swiftSettings: testSettings),
        .testTarget(
            name: "GatewayTests", dependencies: ["Configuration", "Gateway", "RelayCore", "Wire"],
            swiftSettings: testSettings),
        .testTarget(
            name: "HTTPTests", dependencies: ["HTTPClient", "HTTPServer", "Reactor"], swiftSettings: testSettings),
        .testTarget(
            name: "LocalModelsTests", dependencies: ["LocalModels", "LocalSystem"], swiftSettings: testSettings),
        .testTarget(name: "LocalSystemTests", dependencies: ["LocalSystem"], swiftSettings: testSettings),
        .testTarget(name: "NotationTests", dependencies: ["Notation"], swiftSettings: testSettings),
        .testTarget(
            name: "PostgresTests", dependencies: ["Accounting", "Postgres", "Reactor", "TestSupport"],
            swiftSettings: testSettings),
        .testTarget(name: "ReactorTests", dependencies: ["Reactor"], swiftSettings: testSettings),
        .testTarget(
            name: "ReportsTests", dependencies: ["Notation", "Reports", "Simulator"], swiftSettings: testSettings),
        .testTarget(name: "RelayCoreTests", dependencies: ["RelayCore"], swiftSettings: testSettings),
        .testTarget(
            name: "SimulatorTests", dependencies: ["Accounting", "Notation", "RelayCore", "Simulator"],
            exclude: ["Resources"],
            swiftSettings: testSettings),
        .testTarget(
            name: "StoreTests",
            dependencies: ["Accounting", "LeaseModel", "Migrations", "Postgres", "Reactor", "Store", "TestSupport"],
            swiftSettings: testSettings),
        .testTarget(name: "TelemetryTests", dependencies: ["Telemetry"], swiftSettings: testSettings),
        .testTarget(
            name: "TracesTests",
            dependencies: ["Accounting", "Postgres", "Reactor", "Simulator", "Store", "TestSupport", "Traces", "Wire"],
            swiftSettings: testSettings),
        .testTarget(
            name: "ScenariosTests", dependencies: ["Accounting", "Configuration", "Scenarios", "Simulator"],
            swiftSettings: testSettings),
        .testTarget(name: "TidyTests", swiftSettings: testSettings),
        .testTarget(name: "WireTests", dependencies: ["Accounting", "Wire"], swiftSettings: testSettings),
    ],
    cxxLanguageStandard: .cxx17
)
