/// How to reach a server and how long to wait for it.
package struct PostgresConfiguration: Sendable {
    /// libpq's connection string or URI. A host name in it is looked up by the calling thread, which waits.
    package var connection: String
    /// What `pg_stat_activity` shows, unless the connection string says otherwise. Default `relaygate`.
    package var application: String
    /// From the start of connecting to the first command. Default 5 s.
    package var connectTimeout: Duration
    /// The server cancels a statement that runs longer (SQLSTATE 57014). Default: no limit.
    package var statementTimeout: Duration?
    /// The connection is given up when a command waits longer for its answer: the server is hung or the network is a
    /// black hole. Nil waits for ever, as a migration must. Default 30 s.
    package var answerTimeout: Duration?
    /// Commands on their way to the server at a time; more wait here. Default 64.
    package var pipelineLimit: Int
    /// Commands that wait here; the next is refused with `queueFull`. Default 4096.
    package var queueLimit: Int

    package init(
        connection: String, application: String = "relaygate", connectTimeout: Duration = .seconds(5),
        statementTimeout: Duration? = nil, answerTimeout: Duration? = .seconds(30), pipelineLimit: Int = 64,
        queueLimit: Int = 4096
    ) {
        self.connection = connection
        self.application = application
        self.connectTimeout = connectTimeout
        self.statementTimeout = statementTimeout
        self.answerTimeout = answerTimeout
        self.pipelineLimit = pipelineLimit
        self.queueLimit = queueLimit
    }
}
