"""Callers that ask again and again while something happens."""

import os
import threading
import time


class Load:
    """So many callers at each gateway, each with one request at a time, from `with` to its end."""

    def __init__(self, cluster, entry="slow", callers=4, tenant="acme", gateways=None, pause=0.0):
        self.cluster, self.entry, self.tenant, self.pause = cluster, entry, tenant, pause
        self.calls = []
        self.is_over = threading.Event()
        self.run = os.urandom(4).hex()
        self.threads = [threading.Thread(target=self._ask, args=(gateway, f"{index}.{caller}"), daemon=True)
                        for index, gateway in enumerate(gateways or cluster.gateways) for caller in range(callers)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """No more requests; returns when those under way are answered."""
        self.is_over.set()
        for thread in self.threads:
            thread.join(timeout=60)
        assert not any(thread.is_alive() for thread in self.threads), "a caller got no answer within a minute"

    def _ask(self, gateway, name):
        count = 0
        while not self.is_over.is_set():
            count += 1
            marker = f"{self.entry}#{self.tenant}.{self.run}.{name}-{count}"
            call = self.cluster.call(gateway, marker, self.tenant)
            self.calls.append(call)
            # Nobody knocks at a closed door without a pause.
            time.sleep(self.pause if call.is_answered else 0.1)

    def of(self, gateway):
        return [call for call in self.calls if call.gateway is gateway]

    def served(self, since=0.0):
        """Calls that began after a moment and got tokens of the LLM."""
        return [call for call in list(self.calls) if call.began >= since and call.llm_tokens]


class Calls:
    """So many requests at once, beside the test. `calls` has those that have ended."""

    def __init__(self, cluster, gateway, entry, count, tenant="acme"):
        run = os.urandom(4).hex()
        self.calls = []
        self.threads = [threading.Thread(target=lambda i=i: self.calls.append(
            cluster.call(gateway, f"{entry}#{tenant}.{run}-{i}", tenant, timeout=60))) for i in range(count)]
        for thread in self.threads:
            thread.start()

    def join(self):
        for thread in self.threads:
            thread.join()
        return self.calls
