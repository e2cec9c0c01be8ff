"""Serves one GGUF file with llama.cpp's HTTP server until told to stop or until the process that started it is gone."""

import argparse
import os
import signal
import sys
import threading


def watch_parent(parent: int, gone: threading.Event) -> None:
    """Sets the event when the starter is gone.

    The end of standard input tells at once: the starter holds the other end of that pipe. The parent's id is looked
    at as well, in case some other process has inherited the pipe. PR_SET_PDEATHSIG is not used: it fires when the
    *thread* that started this process ends, and a thread pool ends idle threads.
    """

    def read_to_end() -> None:
        try:
            while os.read(0, 4096):
                pass
        except OSError:
            pass
        gone.set()

    threading.Thread(target=read_to_end, daemon=True).start()
    while not gone.wait(1.0):
        if os.getppid() != parent:
            gone.set()


def main() -> None:
    arguments = argparse.ArgumentParser()
    for name, kind in {
        "model": str, "alias": str, "port": int, "context": int, "parallel": int, "threads": int, "parent": int,
    }.items():
        arguments.add_argument("--" + name, type=kind, required=True)
    options = arguments.parse_args()

    # An interrupt typed at the terminal goes to the whole foreground group; the starter decides when this ends.
    try:
        os.setsid()
    except PermissionError:
        pass  # Already the leader of a group of its own.
    gone = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    if os.getppid() != options.parent:
        sys.exit("the process that started this server is gone")

    def end_with_parent() -> None:
        watch_parent(options.parent, gone)
        os._exit(0)

    threading.Thread(target=end_with_parent, daemon=True).start()
    os.nice(5)

    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = options.model
    parameters.model_alias = {options.alias}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = options.port
    parameters.n_ctx = options.context
    parameters.n_parallel = options.parallel
    parameters.kv_unified = True  # Without it each slot gets only n_ctx / n_parallel.
    parameters.cpuparams.n_threads = options.threads
    parameters.cpuparams_batch.n_threads = options.threads
    parameters.endpoint_metrics = True
    parameters.endpoint_props = True
    parameters.ui = False
    parameters.cache_ram_mib = 256
    server = xllamacpp.Server(parameters)
    print(f"listening on {server.listening_address}", flush=True)
    # signal.pause returns after any handled signal; the handlers end the process themselves.
    while True:
        signal.pause()


main()
