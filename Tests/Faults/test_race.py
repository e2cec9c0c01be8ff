"""Many gateways and many callers at the end of one budget."""

import time

import pytest

from cluster import CALL


@pytest.mark.parametrize("on_exhausted", ["degrade", "reject"])
def test_exactly_the_calls_that_fit_are_served(make_cluster, on_exhausted):
    cluster = make_cluster(gateways=4)
    amount = 20 * CALL + CALL - 1
    cluster.set_budget(amount, clamp="off", on_exhausted=on_exhausted)
    answers = cluster.load(200, parallel=100)
    assert all(answer is not None for answer in answers)
    served = [answer for answer in answers if answer.status_code == 200 and answer.json()["relay"]["llm_tokens"]]
    assert [answer.json()["relay"]["llm_tokens"] for answer in served] == [CALL] * 20
    others = [answer for answer in answers if answer not in served]
    assert len(others) == 180
    if on_exhausted == "degrade":
        assert all(answer.json()["relay"]["degraded"] == "budget" for answer in others)
    else:
        assert {answer.status_code for answer in others} == {429}
        assert {answer.json()["error"]["code"] for answer in others} == {"insufficient_quota"}
    deadline = time.monotonic() + 10
    while cluster.budget()["left"] != CALL - 1:
        assert time.monotonic() < deadline, f"the rest does not come back: {cluster.budget()}"
        time.sleep(0.05)
    state, truth = cluster.judge()
    assert truth == 20 * CALL == state["used"]


def test_a_clamping_budget_is_used_to_the_last_token(make_cluster):
    cluster = make_cluster(gateways=4)
    cluster.set_budget(20 * CALL + CALL - 1)
    cluster.load(200, parallel=100)
    cluster.settle()
    # What one gateway gave back after the others had refused is still there: nothing is lost.
    answers = cluster.load(8, parallel=1)
    assert answers[-1].json()["relay"]["degraded"] == "budget"
    state, truth = cluster.judge()
    assert truth == 20 * CALL + CALL - 1 == state["used"]
