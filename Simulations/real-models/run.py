#!/usr/bin/env python3
"""Asks the same questions under several policies of a running gateway and tells it whether the answers were right.

    run.py --url http://127.0.0.1:8080/v1 --key KEY --models prompted,slm,llm [--limit 100]

Questions go to chat at temperature 0, one request at a time. Requests carry metadata `question` (its number in
questions.jsonl, from 0) and `run` (--run). A verdict is 1 when the last number of the answer is that of the reference.
"""
import argparse
import json
import pathlib
import re
import sys
import time
import urllib.error
import urllib.request

NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


def last_number(text):
    found = NUMBER.findall(text)
    return float(found[-1].replace(",", "")) if found else None


def post(url, key, body):
    """The answer and the request's id. A refusal is the caller's to see: it ends the run with the gateway's words."""
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json", "Authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request, timeout=600) as answer:
            return json.load(answer), answer.headers["x-request-id"]
    except urllib.error.HTTPError as error:
        sys.exit(f"{url}: {error.code} {error.read().decode(errors='replace')}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--models", required=True, help="names with commas between")
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--max-tokens", type=int, default=200)
    parser.add_argument("--run", default="1")
    options = parser.parse_args()
    lines = pathlib.Path(__file__).with_name("questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line) for line in lines][: options.limit]
    for model in options.models.split(","):
        right, llm, generated, began = 0, 0, 0, time.monotonic()
        for number, item in enumerate(questions):
            answer, request_id = post(f"{options.url}/chat/completions", options.key, {
                "model": model, "messages": [{"role": "user", "content": item["question"]}], "temperature": 0,
                "seed": 1, "max_tokens": options.max_tokens,
                "metadata": {"question": str(number), "run": options.run}})
            text = answer["choices"][0]["message"]["content"]
            verdict = int(last_number(text) == last_number(item["answer"].split("####")[1]))
            post(f"{options.url}/verdicts", options.key,
                 {"request_id": request_id, "verdict": verdict, "source": "last-number"})
            right += verdict
            llm += answer["relay"]["llm_tokens"]
            generated += answer["relay"]["llm_tokens"] + answer["relay"]["slm_tokens"]
        print(f"{model}: {right} of {len(questions)} right, {llm} of {generated} tokens by the LLM, "
              f"{time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
