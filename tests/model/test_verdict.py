import itertools

import pytest

from chaoskit.model.verdict import Result, merge


@pytest.mark.parametrize(
    "results, merged",
    [
        (["passed", "passed"], "passed"),
        (["passed", "inconclusive"], "inconclusive"),
        (["inconclusive", "failed"], "failed"),
        (["failed", "aborted"], "aborted"),
        (["aborted", "error", "passed"], "error"),
    ],
)
def test_the_strongest_result_wins_in_any_order(results, merged):
    for order in itertools.permutations(results):
        assert merge(map(Result, order)) is Result(merged)


def test_no_finding_is_not_a_pass():
    assert merge([]) is Result.INCONCLUSIVE


def test_only_a_pass_exits_with_zero_and_every_result_has_its_own_code():
    codes = {result: result.exit_code for result in Result}
    assert codes == {
        Result.PASSED: 0,
        Result.FAILED: 1,
        Result.INCONCLUSIVE: 3,
        Result.ABORTED: 4,
        Result.ERROR: 5,
    }
