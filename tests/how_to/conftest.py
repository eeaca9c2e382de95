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
COPY payments_service.py /
CMD ["python3", "/payments_service.py"]
"""


@pytest.fixture(scope="session")
def stand_ins(engine):
    """The variables that the how-to's test takes its images from."""
    ours = provide(engine, say=print)
    made = {
        "POSTGRES_IMAGE": (POSTGRES, ours.named("ledger-db").reference, HERE / "postgres.sh"),
        "PAYMENTS_IMAGE": (PAYMENTS, ours.named("bank").reference, PAGES / "payments_service.py"),
    }
    return {variable: _build(engine, variable.lower().replace("_image", ""), *what) for variable, what in made.items()}


def _build(engine, name, dockerfile, base, file):
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        for path, content in (("Dockerfile", dockerfile.format(base=base).encode()), (file.name, file.read_bytes())):
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    context.seek(0)
    tag = f"chaoskit-how-to/{name}:latest"
    engine.client.images.build(fileobj=context, custom_context=True, tag=tag, rm=True, forcerm=True, labels={"chaoskit": "1"})
    return tag
