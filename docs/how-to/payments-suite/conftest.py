"""The payments service and its database, as containers that may be broken: one copy of them for each test process."""

import os

import pytest
from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.container import DockerContainer

from chaoskit.environments.containers import ContainerEnvironment
from chaoskit.pytesting import environment_fixture

POSTGRES = os.environ.get("POSTGRES_IMAGE", "postgres:17")
PAYMENTS = os.environ.get("PAYMENTS_IMAGE", "acme/payments")


@environment_fixture(scope="session")
def payments(tmp_path_factory: pytest.TempPathFactory) -> ContainerEnvironment:
    env = ContainerEnvironment(logs=tmp_path_factory.mktemp("logs"))
    env.add("payments-db", PostgresContainer(POSTGRES))
    way = env.link("payments", "payments-db", port=5432)
    env.add("payments", DockerContainer(PAYMENTS).with_env("DATABASE_URL", f"postgresql://test:test@{way}/test"))
    env.customers("payments_journeys:journeys", names=("pay", "look"), entry=("payments", 8080))
    return env
