"""Does our payments service stay honest when its database cannot be reached, or dies?"""

import os
import time
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.container import DockerContainer

from chaoskit.environments.containers import ContainerEnvironment
from chaoskit.faults.kill import Kill
from chaoskit.faults.partition import Partition
from chaoskit.testing import injected

POSTGRES = os.environ.get("POSTGRES_IMAGE", "postgres:17")
PAYMENTS = os.environ.get("PAYMENTS_IMAGE", "acme/payments")


def test_a_payment_is_taken_once_or_refused(tmp_path: Path) -> None:
    env = ContainerEnvironment(logs=tmp_path)
    env.add("payments-db", PostgresContainer(POSTGRES))
    way = env.link("payments", "payments-db", port=5432)
    env.add("payments", DockerContainer(PAYMENTS).with_env("DATABASE_URL", f"postgresql://test:test@{way}/test"), ports=(8080,))
    with env:
        address = env.address("payments", 8080)
        assert call(address, "POST", "/payments/1") == (201, "1")
        with injected(Partition(between=("payments", "payments-db")), env):
            assert call(address, "POST", "/payments/2")[0] == 503
        with injected(Kill(service="payments-db"), env):
            assert call(address, "POST", "/payments/3")[0] == 503
        # It has just come back, and may still be replaying its log.
        deadline = time.monotonic() + 10
        while call(address, "GET", "/payments")[0] == 503 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert call(address, "POST", "/payments/1") == (201, "0"), "it outlived the database's death and is not taken twice"
        assert call(address, "POST", "/payments/3") == (201, "1")


def call(address: tuple[str, int], method: str, path: str) -> tuple[int, str]:
    with closing(HTTPConnection(*address, timeout=5)) as connection:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
