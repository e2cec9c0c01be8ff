internal import Accounting
internal import Arguments
internal import Configuration
internal import Glibc
internal import HTTPClient
internal import Reactor
internal import Store
internal import Wire

/// `relaygate up --demo`: three questions, their answers with the large model's words marked, and their ledger.
struct Demo {
    private let machine: Machine

    /// Three questions of GSM8K's test set (MIT licence) at which the small default model asks for help reliably.
    static let questions = [
        """
        After transferring to a new school, Amy made 20 more friends than Lily. If Lily made 50 friends, how many \
        friends do Lily and Amy have together?
        """,
        """
        The expenditure of Joseph in May was $500. In June, his expenditure was $60 less. How much was his total \
        expenditure for those two months?
        """,
        """
        John takes care of 10 dogs.  Each dog takes .5 hours a day to walk and take care of their business.  How many \
        hours a week does he spend taking care of dogs?
        """,
    ]

    /// A small model does not ask for help each time; a question is put so often, with another seed, until it does.
    private static let tries = 5

    init(_ machine: Machine) { self.machine = machine }

    func run() throws(CommandExit) {
        let models = machine.running.configuration.models
        guard
            let model = models.first(where: { $0.policy == "prompted" })
                ?? models.first(where: { $0.policy == "relay" })
        else { throw .failure("the demo needs a model with policy prompted or relay in the configuration") }
        let marks = Terminal.isTerminal ? "in colour" : "in brackets"
        Terminal.line("Three questions for model \(model.name.json); what the large model wrote is \(marks).")
        Terminal.line("These models are tiny: the demo shows who wrote what, not good answers.")
        for (index, question) in Demo.questions.enumerated() {
            Terminal.line("\nQuestion \(index + 1): \(question)\n")
            let id = try ask(question, model: model.name)
            let trace = try Database.use(machine.connection) { try await TraceReader($0).show(id) }
            Terminal.line("\n" + TraceText.summary(trace) + "\n" + TraceText.segments(trace))
        }
    }

    /// Streams an answer to the terminal; returns the request's id.
    private func ask(_ question: String, model: String) throws(CommandExit) -> String {
        for attempt in 1...Demo.tries {
            let answer = try send(question, model: model, seed: attempt)
            if answer.calls > 0 { return answer.id }
            Terminal.line("\n(the small model asked for no help; asking again with another seed)\n")
        }
        throw .failure("the small model asked for no help in \(Demo.tries) tries")
    }

    private func send(_ question: String, model: String, seed: Int) throws(CommandExit) -> (id: String, calls: Int) {
        var body: [UInt8] = []
        body.append(json: #"{"model":"#)
        body.append(jsonString: model)
        // The first try is greedy; later ones leave the path that led to no call.
        body.append(json: seed == 1 ? #","temperature":0"# : #","temperature":0.3"#)
        body.append(json: #","seed":"#)
        body.append(jsonInteger: seed)
        body.append(
            json: #","stream":true,"max_tokens":220,"relay":{"annotate":true},"messages":[{"role":"user","content":"#)
        body.append(jsonString: question)
        body.append(json: "}]}")
        let request = body
        let (url, key) = (machine.running.url, machine.key)
        do {
            return try EventLoop.running("demo") { actor in
                let client = try HTTPClient(loop: actor.loop, connectTimeout: .seconds(5), idleConnections: 1)
                let printer = DemoPrinter()
                let answer = try await client.fetch(
                    url: url + "/chat/completions",
                    headers: HTTPHeaders([
                        (name: "Content-Type", value: "application/json"),
                        (name: "Authorization", value: "Bearer \(key)"),
                    ]), body: request, timeouts: HTTPTimeouts(firstByte: .seconds(300), idle: .seconds(300)),
                    onBytes: { printer.take($0) })
                printer.end()
                guard answer.status == 200 else {
                    throw CommandExit.failure(
                        "the gateway answered HTTP \(answer.status): \(String(decoding: answer.body, as: UTF8.self))")
                }
                guard let id = printer.id else {
                    throw CommandExit.failure("the answer was cut: \(printer.fault ?? "no end")")
                }
                return (id, printer.calls)
            }
        } catch let exit as CommandExit {
            throw exit
        } catch {
            throw .failure("the demo's request failed: \(error)")
        }
    }
}

/// Prints an annotated stream as it comes and keeps what its end says.
private final class DemoPrinter {
    private(set) var id: String?
    private(set) var calls = 0
    private(set) var fault: String?
    private var events = SSEParser()
    private var parser = JSONParser()
    private var isMarked = false
    private let marks = Terminal.isTerminal ? ("\u{1B}[1;36m", "\u{1B}[0m") : ("[", "]")

    func take(_ bytes: [UInt8]) {
        guard let data = try? events.push(bytes) else { return }
        for event in data {
            _ = try? parser.read(event) { (root) throws(WireError) in read(root) }
        }
    }

    func end() {
        mark(false)
        Terminal.line()
    }

    private func read(_ root: JSON) {
        if let error = root["error"]?["message"]?.string { fault = error }
        let choice = root["choices"]?[0]
        if let text = choice?["delta"]?["content"]?.string, !text.isEmpty {
            mark(root["relay"]?["role"]?.string == "llm")
            Terminal.write(text)
        }
        guard choice?["finish_reason"]?.string != nil else { return }
        // The id of a response is that of its request behind a prefix.
        id = root["id"]?.string.map { String($0.drop { $0 != "-" }.dropFirst()) }
        calls = root["relay"]?["calls"]?.int ?? 0
    }

    private func mark(_ isLarge: Bool) {
        guard isLarge != isMarked else { return }
        isMarked = isLarge
        Terminal.write(isLarge ? marks.0 : marks.1)
    }
}
