import asyncio
import json
import stat

import pytest

from chaoskit.loads.journal import Journal, Lines
from chaoskit.model.errors import CannotRecord
from chaoskit.model.history import Attempt, LoadCounts, Operation, Outcome, read_history

LIMIT_S = 10.0


def test_what_is_written_is_what_the_history_reads(tmp_path) -> None:
    async def go() -> None:
        lines = Lines(str(tmp_path / "h"), on_error=pytest.fail)
        journal = Journal(lines)
        journal.invoked(
            operation=3,
            attempt=1,
            start_ns=11,
            journey='trans"fer',
            due_ns=10,
            begun_ns=10,
            intent="1-7",
            key="k\n1",
            legs={"a": -5, "b": 5},
            session="ada",
        )
        journal.completed(operation=3, attempt=1, end_ns=12, outcome=Outcome.INFO, why="HTTP 503")
        journal.invoked(operation=3, attempt=2, start_ns=13, journey="x", due_ns=0, begun_ns=0, intent="", key="", legs={})
        journal.completed(
            operation=3,
            attempt=2,
            end_ns=14,
            outcome=Outcome.OK,
            status=200,
            served_by="core-1",
            result={"balance": 5, "token": "s3cr3t"},
        )
        journal.closed(operation=3, at_ns=15)
        journal.counts(scheduled=1, sent=1, finished=1, drained=True)
        lines.close()
        lines.close()

    asyncio.run(go())
    history = read_history((tmp_path / "h").read_bytes().splitlines())
    assert history.torn_lines == 0
    assert history.operations == (
        Operation(
            number=3,
            journey='trans"fer',
            due_ns=10,
            begun_ns=10,
            intent="1-7",
            key="k\n1",
            legs={"a": -5, "b": 5},
            session="ada",
            attempts=(
                Attempt(number=1, start_ns=11, end_ns=12, outcome=Outcome.INFO, why="HTTP 503"),
                Attempt(
                    number=2,
                    start_ns=13,
                    end_ns=14,
                    outcome=Outcome.OK,
                    status=200,
                    served_by="core-1",
                    result={"balance": 5, "token": "(not recorded)"},
                ),
            ),
            closed_ns=15,
        ),
    )
    assert history.load == LoadCounts(scheduled=1, sent=1, finished=1, drained=True)


def test_lines_reach_the_file_by_themselves_and_only_whole(tmp_path, until) -> None:
    path = tmp_path / "h"

    async def go() -> None:
        lines = Lines(str(path), on_error=pytest.fail)
        lines.add('{"a":1}')
        lines.add('{"b":2}')
        assert path.read_bytes() == b""
        await until(path.read_bytes)
        assert path.read_bytes() == b'{"a":1}\n{"b":2}\n'
        lines.close()

    asyncio.run(go())


def test_appends_beside_another_writer(tmp_path) -> None:
    path = tmp_path / "h"
    path.write_text('{"mine":1}\n')

    async def go() -> None:
        lines = Lines(str(path), on_error=pytest.fail)
        lines.add('{"first":1}')
        lines.flush()
        with path.open("a") as other:
            other.write('{"other":1}\n')
        lines.add('{"second":1}')
        lines.close()

    asyncio.run(go())
    assert [next(iter(json.loads(line))) for line in path.read_text().splitlines()] == ["mine", "first", "other", "second"]


def test_a_new_record_drops_the_old_one_and_is_private(tmp_path) -> None:
    path = tmp_path / "h"

    async def go() -> None:
        Lines(str(path), on_error=pytest.fail, is_new=True).close()

    path.write_text("old")
    asyncio.run(go())
    assert path.read_text() == ""
    path.unlink()
    asyncio.run(go())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_full_disk_ends_it_with_an_error() -> None:
    async def go() -> CannotRecord:
        failed: asyncio.Future[CannotRecord] = asyncio.get_running_loop().create_future()
        lines = Lines("/dev/full", on_error=failed.set_result)
        lines.add("{}")
        async with asyncio.timeout(LIMIT_S):
            error = await failed
        lines.close()
        return error

    assert "/dev/full: took no more records (No space left on device)" in str(asyncio.run(go()))


def test_a_path_that_cannot_be_opened_is_named() -> None:
    async def go() -> None:
        Lines("/no/such/folder/h", on_error=pytest.fail)

    with pytest.raises(CannotRecord, match="/no/such/folder/h: cannot be opened"):
        asyncio.run(go())
