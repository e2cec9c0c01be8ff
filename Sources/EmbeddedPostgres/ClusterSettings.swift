/// The settings of the embedded server, given on its command line so that an old file cannot contradict them.
enum ClusterSettings {
    /// Name and value of each, in the order in which they are passed.
    static func all(socketDirectory: String) -> [(name: String, value: String)] {
        [
            // Only the private socket: no TCP port is taken and nobody else on the machine can connect.
            ("listen_addresses", ""),
            ("unix_socket_directories", socketDirectory),
            ("unix_socket_permissions", "0700"),
            ("port", String(ClusterLayout.port)),
            // The ledger's promise rests on these two.
            ("fsync", "on"),
            ("synchronous_commit", "on"),
            ("full_page_writes", "on"),
            // A laptop's share.
            ("max_connections", "50"),
            ("shared_buffers", "128MB"),
            ("wal_compression", "on"),
            ("max_wal_size", "512MB"),
            ("min_wal_size", "80MB"),
            ("wal_level", "minimal"),
            ("max_wal_senders", "0"),
            ("checkpoint_timeout", "15min"),
            ("random_page_cost", "1.1"),
            ("autovacuum_max_workers", "2"),
            ("TimeZone", "UTC"),
            ("log_timezone", "UTC"),
            ("logging_collector", "off"),
            ("log_destination", "stderr"),
            ("log_checkpoints", "off"),
            ("log_line_prefix", "%m [%p] "),
        ]
    }

    /// The settings as one string for `pg_ctl -o`, which hands it to a shell.
    static func options(socketDirectory: String) -> String {
        all(socketDirectory: socketDirectory)
            .map { "-c " + shellQuoted("\($0.name)=\($0.value)") }
            .joined(separator: " ")
    }

    /// One word for a POSIX shell, whatever it holds.
    static func shellQuoted(_ text: String) -> String {
        "'" + text.replacing("'", with: "'\\''") + "'"
    }
}
