"""Images in the place of a stock PostgreSQL and of another team's service, for machines that reach no registry: made of our own."""

import io
import tarfile
from pathlib import Path

import pytest

from chaoskit.environments.images import provide

HERE = Path(__file__).parent
PAGES = HERE.parents[1] / "docs" / "how-to"
POSTGRES = """
FROM {base}
COPY postgres.sh /usr/local/bin/
ENV PATH=/opt/postgresql/bin:$PATH PGDATA=/var/lib/chaoskit/data
USER nobody
CMD ["sh", "/usr/local/bin/postgres.sh"]
"""
PAYMENTS = """
FROM {base}
COPY {file} /
CMD ["python3", "/{file}"]
"""


@pytest.fixture(scope="session")
def stand_ins(engine):
    """The variables that the how-to's test takes its images from."""
    return _made(engine, name="payments", service=PAGES / "payments_service.py")


@pytest.fixture(scope="session")
def suite_stand_ins(engine):
    """The same for the how-to's repository, which has a service of its own."""
    return _made(engine, name="payments-suite", service=PAGES / "payments-suite" / "service" / "payments.py")


@pytest.fixture(scope="session")
def broken_stand_ins(engine, tmp_path_factory):
    """The same with a service that keeps one connection for all of its life, and none after that was lost."""
    service = tmp_path_factory.mktemp("broken") / "payments.py"
    text = (PAGES / "payments-suite" / "service" / "payments.py").read_text()
    for right, wrong in {
        "with psycopg.connect(URL) as connection:\n                is_begun": "with KEPT.transaction():\n                is_begun",
        "do(connection)": "do(KEPT)",
        "class Payments": "KEPT = psycopg.connect(URL, autocommit=True)\n\n\nclass Payments",
    }.items():
        assert text.count(right) == 1, right
        text = text.replace(right, wrong)
    service.write_text(text)
    return _made(engine, name="payments-broken", service=service)


def _made(engine, *, name, service):
    ours = provide(engine, say=print)
    return {
        "POSTGRES_IMAGE": _build(engine, "postgres", POSTGRES, ours.named("ledger-db").reference, HERE / "postgres.sh"),
        "PAYMENTS_IMAGE": _build(engine, name, PAYMENTS, ours.named("bank").reference, service),
    }


def _build(engine, name, dockerfile, base, file):
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        lines = dockerfile.format(base=base, file=file.name).encode()
        for path, content in (("Dockerfile", lines), (file.name, file.read_bytes())):
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    context.seek(0)
    tag = f"chaoskit-how-to/{name}:latest"
    engine.client.images.build(fileobj=context, custom_context=True, tag=tag, rm=True, forcerm=True, labels={"chaoskit": "1"})
    return tag
