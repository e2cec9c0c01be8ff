internal import Arguments
internal import Glibc

/// The program: finds the command, runs it, says how it went.
@main
enum RelayGate {
    static let root = Arguments.Command(
        "relaygate", "a gateway that relays between a small and a large language model",
        subcommands: [
            UpCommand.command, ServeCommand.command, MigrateCommand.command, TenantCommand.command, KeyCommand.command,
            BudgetCommand.command, LimitCommand.command, PriceCommand.command, AuditCommand.command,
            UsageCommand.command, TraceCommand.command, VerdictCommand.command, LedgerCommand.command,
            SimulateCommand.command, ConfigCommand.command,
        ])

    static func main() {
        do throws(CommandExit) {
            let arguments = try root.parse(Array(CommandLine.arguments.dropFirst()))
            switch arguments.path.first {
            case "up": try UpCommand.run(arguments)
            case "serve": try ServeCommand.run(arguments)
            case "migrate": try MigrateCommand.run(arguments)
            case "tenant": try TenantCommand.run(arguments)
            case "key": try KeyCommand.run(arguments)
            case "budget": try BudgetCommand.run(arguments)
            case "limit": try LimitCommand.run(arguments)
            case "price": try PriceCommand.run(arguments)
            case "audit": try AuditCommand.run(arguments)
            case "usage": try UsageCommand.run(arguments)
            case "trace": try TraceCommand.run(arguments)
            case "verdict": try VerdictCommand.run(arguments)
            case "ledger": try LedgerCommand.run(arguments)
            case "simulate": try SimulateCommand.run(arguments)
            case "config": try ConfigCommand.run(arguments)
            default: preconditionFailure("a command that is declared is run")
            }
        } catch {
            Terminal.write(error.text + "\n", to: error.goesToStandardOutput ? STDOUT_FILENO : STDERR_FILENO)
            exit(error.exitCode)
        }
    }
}
