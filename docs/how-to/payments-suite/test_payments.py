"""Does the payments service stay honest, and come back by itself, when its database dies?"""

import json
import time
from contextlib import closing
from http.client import HTTPConnection

from chaoskit import Chaos
from chaoskit.checkers.availability import Availability
from chaoskit.checkers.recovery import Recovery
from chaoskit.environments.containers import ContainerEnvironment
from chaoskit.faults.kill import Kill
from chaoskit.faults.partition import Partition
from chaoskit.testing import injected


def test_customers_can_pay_again_when_the_database_is_back(chaos: Chaos) -> None:
    with chaos.load(arrivals_per_s=20, mix={"pay": 3, "look": 1}):
        time.sleep(3)  # customers come and go meanwhile
        with chaos.fault(Kill(service="payments-db")):
            time.sleep(2)
        time.sleep(6)
    chaos.verify(Availability(journey="pay", at_least=0.95, during="after"), Recovery(journey="pay", within_s=5))


def test_the_experiment_passes(chaos: Chaos, payments: ContainerEnvironment) -> None:
    verdict = chaos.check(chaos.run("experiments/db_dies.chaos.yaml", payments))
    assert {fault["kind"] for fault in verdict.faults} == {"kill"}


def test_a_payment_is_taken_once_or_refused(payments: ContainerEnvironment) -> None:
    address = payments.address("payments", 8080)
    assert pay(address, "rent") == (201, {"payment": "rent", "was_taken_before": False})
    with injected(Partition(between=("payments", "payments-db")), payments):
        status, answer = pay(address, "food")
        assert (status, answer["effect"]) == (503, "none")
    assert pay(address, "rent") == (201, {"payment": "rent", "was_taken_before": True})
    assert pay(address, "food") == (201, {"payment": "food", "was_taken_before": False})


def pay(address: tuple[str, int], payment: str) -> tuple[int, dict[str, object]]:
    with closing(HTTPConnection(*address, timeout=5)) as connection:
        connection.request("POST", f"/payments/{payment}", json.dumps({"amount": 5000}))
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
