// swift-tools-version: 6.2
import PackageDescription

let testSettings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"), .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"), .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]
let settings = testSettings + [.strictMemorySafety()]

let package = Package(
    name: "RelayGate",
    targets: [
        .target(name: "CLinux"),
        .target(name: "Reactor", dependencies: ["CLinux"], swiftSettings: settings),
        .target(name: "CMicroHTTPD", linkerSettings: [.linkedLibrary("microhttpd")]),
        .target(name: "CCurl", linkerSettings: [.linkedLibrary("curl")]),
        .target(name: "HTTPServer", dependencies: ["CMicroHTTPD", "Reactor"], swiftSettings: settings),
        .target(name: "HTTPClient", dependencies: ["CCurl", "Reactor"], swiftSettings: settings),
        .target(name: "Accounting", swiftSettings: settings),
        .testTarget(
            name: "HTTPTests", dependencies: ["HTTPClient", "HTTPServer", "Reactor"], swiftSettings: testSettings),
        .testTarget(name: "ReactorTests", dependencies: ["Reactor"], swiftSettings: testSettings),
    ]
)
