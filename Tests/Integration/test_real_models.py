"""Two real models behind `relaygate up`: the ledger says what the model servers themselves count.

Skipped, loudly, only where the weights cannot be fetched.
"""

import json
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

import openai
import pytest

from servers import BIN, require

QUESTIONS = [
    "After transferring to a new school, Amy made 20 more friends than Lily. If Lily made 50 friends, how many "
    "friends do Lily and Amy have together?",
    "The expenditure of Joseph in May was $500. In June, his expenditure was $60 less. How much was his total "
    "expenditure for those two months?",
    "John takes care of 10 dogs.  Each dog takes .5 hours a day to walk and take care of their business.  How many "
    "hours a week does he spend taking care of dogs?",
]


class Machine:
    """`relaygate up`, until `stop`."""

    def __init__(self, directory):
        require("relaygate")
        self.directory = directory
        self.log = open(directory / "up.log", "w+")
        self.process = subprocess.Popen(
            [BIN / "relaygate", "up", "--port", "0", "--directory", directory / "state"],
            stdout=self.log, stderr=subprocess.STDOUT)
        for _ in range(600):
            text = (directory / "up.log").read_text()
            if "Press Ctrl-C" in text:
                break
            if self.process.poll() is not None:
                if "cannot fetch" in text:
                    pytest.skip("no network for the weights: " + text.splitlines()[-1])
                raise AssertionError(text)
            time.sleep(0.5)
        self.url = re.search(r"ready at (\S+)", text)[1]
        self.key = re.search(r"API key: (\S+)", text)[1]
        self.config = directory / "state" / "relaygate.yaml"
        self.servers = re.findall(r'url: "(http://[^"]+)/v1"', self.config.read_text())

    def produced(self):
        """Tokens that each model server says it has generated, and read as prompt (cached ones included)."""
        counts = []
        for server in self.servers:
            text = urllib.request.urlopen(server + "/metrics", timeout=10).read().decode()
            value = {name: float(number) for name, number in re.findall(r"^llamacpp:(\w+) (\S+)$", text, re.M)}
            counts.append((value["tokens_predicted_total"],
                           value["prompt_tokens_total"] + value["prompt_tokens_cached_total"]))
        return counts

    def trace(self, request):
        done = subprocess.run(
            [BIN / "relaygate", "trace", "show", request, "--json", "--config", self.config],
            capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(60) == 0
        self.log.close()


@pytest.fixture(scope="module")
def machine():
    # A directory with a name of its own that the user postgres can enter: else the cluster would lie in
    # /var/lib/relaygate after the test, and a later one in a directory of the same name would find it there.
    directory = Path(tempfile.mkdtemp(prefix="relaygate-up-"))
    directory.chmod(0o755)
    machine = Machine(directory)
    yield machine
    machine.stop()
    elsewhere = directory / "state" / "cluster-is-elsewhere"
    if elsewhere.exists():
        shutil.rmtree(elsewhere.read_text().strip(), ignore_errors=True)
    shutil.rmtree(directory, ignore_errors=True)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("stream", [False, True])
def test_ledger_equals_the_model_servers_own_counts(machine, question, stream):
    client = openai.OpenAI(base_url=machine.url, api_key=machine.key, timeout=300, max_retries=0)
    for seed in range(1, 6):
        before = machine.produced()
        answer = client.chat.completions.create(
            model="prompted", max_tokens=150, temperature=0 if seed == 1 else 0.3, seed=seed, stream=stream,
            messages=[{"role": "user", "content": question}])
        if stream:
            chunks = list(answer)
            text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
            request = chunks[0].id
        else:
            text, request = answer.choices[0].message.content, answer.id
        after = machine.produced()
        trace = machine.trace(request.removeprefix("chatcmpl-"))
        assert "<call>" not in text
        for index, role in enumerate(["slm", "llm"]):
            segments = [segment for segment in trace["segments"] if segment["role"] == role]
            assert all(segment["source"] == "reported" for segment in segments)
            generated, prompt = (now - then for now, then in zip(after[index], before[index]))
            assert sum(segment["tokens"] for segment in segments) == generated
            assert sum(segment["input_tokens"] for segment in segments) == prompt
        if any(segment["role"] == "llm" for segment in trace["segments"]):
            return
    # T = 0 is not repeatable on these servers, so a model that does not call is asked again with other seeds.
    raise AssertionError("the small model never called the large one")


def test_a_second_up_in_the_same_directory_says_so(machine):
    done = subprocess.run(
        [BIN / "relaygate", "up", "--port", "0", "--directory", machine.directory / "state"],
        capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "already" in done.stderr
