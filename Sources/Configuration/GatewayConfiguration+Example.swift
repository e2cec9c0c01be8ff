extension GatewayConfiguration {
    /// A complete file with every key and its default, for `relaygate config example`.
    ///
    /// It loads as it is, given `DATABASE_URL`. Lines that begin with `#` and no space are keys without a default, or
    /// sections that replace one; with the `#` removed the file still loads.
    package static let example = """
        # relaygate.yaml: every key with its default.
        # A key that is absent has its default; a key that does not exist is an error.
        # Durations are written 250ms, 30s, 5m, 1h; sizes 512B, 64KiB, 4MiB, 1GiB.
        # Secrets never stand here: write env:NAME or file:/path.

        # Where callers connect.
        listen:
          host: 127.0.0.1            # address to listen on
          port: 8080                 # 0 takes a free port
          loops: auto                # event-loop threads; auto is half the processors, at least one
          body_limit: 4MiB           # longest request body
          header_limit: 16KiB        # longest request head
          connection_limit: 10000    # most open client connections
          idle_timeout: 60s          # an idle client connection is closed after this
          stream_buffer: 256KiB      # text held for one slow client before its upstream is paused
          max_choices: 8             # largest n of a request

        # The database of tenants, budgets and the ledger.
        postgres:
          url: env:DATABASE_URL      # or file:/path, or literally without a password
          #replica: env:REPLICA_URL  # what reports, exports and simulations read, in the forms of url
          connections: 2
          outage_grace: 2s           # how long admission goes on when PostgreSQL does not answer

        # How usage is written.
        ledger:
          receipt: committed         # committed | queued: what a response's last event waits for
          queue_limit: 64MiB         # rows waiting to be written; when full, admission stops
          batch_limit: 512           # most requests in one transaction
          connections: 2             # what batches are spread over when there is much to write
          #spool: /var/lib/relaygate/spool   # keeps finished requests on disk while PostgreSQL is away
          spool_bytes: 1GiB          # most bytes there

        # How budgets are kept; the budgets themselves are set with `relaygate budget`.
        budgets:
          accept_async_failover: false   # true keeps hard budgets beside a standby that commits do not wait for
          #webhook: env:BUDGET_WEBHOOK    # gets a POST for each threshold that is reached

        # How long the ledger keeps things. What is absent is kept for ever.
        #retention:
          #segments: 400d            # requests, segments and charges, by whole months
          #payloads: 30d             # hashes and text of prompts and answers
          #dead_letters: 400d        # records that the tables refused
          #lease_events: 90d         # grants and returns of leases that are closed

        # The model servers. name, model, url and dialect are required.
        upstreams:
          - name: small
            model: smollm2-135m-instruct
            url: http://127.0.0.1:18081/v1   # /completions is appended; without a path, /v1 is meant
            dialect: llamacpp                # llamacpp | vllm | sglang | openai
            #api_key: env:SMALL_API_KEY
            #context_window: 8192            # in tokens; absent: the server decides
            template: server                 # server | chatml | llama3 | plain; sglang, openai: chatml
            continuation: completions        # completions | chat
            idle_connections: 256
            connect_timeout: 2s
            first_byte_timeout: 120s
            idle_timeout: 60s                # longest silence inside an answer
            retries: 1                       # only before the first byte
            max_tokens: 2048                 # length of an answer when the caller sets none
            #running_usage: true             # absent: what the dialect offers
            forbid: auto                     # auto | none: how commands are forbidden

          - name: large
            model: qwen2.5-coder-0.5b-instruct
            url: http://127.0.0.1:18082/v1
            dialect: llamacpp

        # Which LLM stands behind which SLM. Several names are replicas of the same model: [large-1, large-2].
        pairs:
          - name: default
            slm: small
            llm: large

        # The model names that callers see. Without this list each pair gives relay, prompted, slm and llm.
        models:
          - name: relay
            pair: default
            policy: relay                    # relay | prompted | fixed(k) | random(p) | slm | llm
            max_calls: 4                     # most calls of the LLM in one answer
            max_call_tokens: 512             # most tokens of one call
            max_malformed: 3                 # then the SLM goes on with commands forbidden
            on_llm_eos: finish               # finish | resume: what follows when the LLM ends by itself
            on_refused: degrade              # degrade | fail: what follows when a call is refused
            tags:
              open: <call>
              close: </call>

          # For an SLM that was not trained to write commands.
          - name: prompted
            pair: default
            policy: prompted
            #prompted:                       # absent: the text built in
              #system: "Write <call>n</call> where a stronger model should write the next n tokens."
              #examples:
                #- question: "A box holds 12 pens. How many pens are in 7 boxes?"
                  #answer: "There are 7 boxes. <call>24</call> 7 * 12 = 84. The answer is 84."

          - name: slm
            pair: default
            policy: slm

          - name: llm
            pair: default
            policy: llm

        # How the process ends.
        shutdown:
          deadline: 30s              # time that running requests get to finish

        # What is logged to standard error.
        log:
          format: text               # text | json
          level: info                # debug | info | warning | error

        """
}
