import argparse
import json
import math
import threading

import pytest

from chaoskit.loads import tool
from chaoskit.loads.tool import load, seconds

LOOPS = ["asyncio", "uvloop"]


def arguments(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    tool.add_arguments(parser)
    return parser.parse_args(list(given))


def rows(path) -> list[dict[str, int]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("loop", LOOPS)
def test_records_an_even_grid(server, tmp_path, loop) -> None:
    pytest.importorskip("uvloop") if loop == "uvloop" else None
    record = tmp_path / "r"
    summary = load(f"{server.url}/ok", rate=500, duration_s=0.2, record=str(record), loop=loop)
    found = sorted(rows(record), key=lambda row: row["due"])
    assert len(found) == len(server.requests) == summary.operations == 100
    first = found[0]["due"]
    assert [row["due"] - first for row in found] == [n * 2_000_000 for n in range(100)]
    assert all(row["due"] <= row["start"] < row["end"] for row in found)
    assert {row["status"] for row in found} == {200}
    assert summary.latency_ms_max == max((row["end"] - row["due"]) // 1000 for row in found) / 1000
    assert summary.lateness_ms_max == max((row["start"] - row["due"]) // 1000 for row in found) / 1000
    assert (summary.achieved_per_s, summary.not_200, summary.unanswered) == (pytest.approx(500), 0, 0)


def test_an_operation_that_never_ends_is_recorded_without_a_status(server, tmp_path) -> None:
    record = tmp_path / "r"
    summary = load(f"{server.url}/stall", rate=100, duration_s=0.2, record=str(record), timeout_s=0.1)
    assert len(rows(record)) == summary.operations == summary.unanswered == 20
    assert {row["status"] for row in rows(record)} == {0}
    # A loop counts in milliseconds.
    assert summary.latency_ms_p50 > 99


def test_a_freeze_is_seen_by_all_who_were_due_in_it(server, tmp_path) -> None:
    """A closed loop would have sent one call and waited with the others."""
    record = tmp_path / "r"
    timer = threading.Timer(0.3, server.release.set)
    timer.start()
    load(f"{server.url}/stall", rate=100, duration_s=0.25, record=str(record))
    timer.join()
    latencies = [row["end"] - row["due"] for row in sorted(rows(record), key=lambda row: row["due"])]
    assert len(latencies) == 25
    # Each waited from its own due time until the same thaw.
    assert all(early - late > 0 for early, late in zip(latencies, latencies[12:], strict=False))


def test_other_answers_are_counted(server, tmp_path, capsys) -> None:
    record = tmp_path / "r"
    given = arguments("--url", f"{server.url}/status/503", "--rate", "100", "--duration", "50ms", "--record", str(record), "--json")
    assert tool.run(given) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["operations"], summary["not_200"], summary["unanswered"]) == (5, 5, 0)
    assert {row["status"] for row in rows(record)} == {503}


def test_a_second_load_replaces_the_record_of_the_first(server, tmp_path) -> None:
    record = tmp_path / "r"
    for _ in range(2):
        load(f"{server.url}/ok", rate=100, duration_s=0.05, record=str(record))
    assert len(rows(record)) == 5


def test_the_summary_is_for_people_too(server, tmp_path, capsys) -> None:
    assert (
        tool.run(arguments("--url", server.url + "/ok", "--rate", "100", "--duration", "0.05", "--record", str(tmp_path / "r")))
        == 0
    )
    assert capsys.readouterr().out.startswith("5 operations, 100.0/s; 0 not 200, 0 of them without an answer\n")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"--url": "https://127.0.0.1/"}, "expected http://host:port/path"),
        ({"--url": "http://no-such-host.invalid/", "--allow": "remote-target"}, "cannot be resolved"),
        ({"--url": "http://192.0.2.7/"}, "'192.0.2.7' is not a loopback address"),
        ({"--url": "http://no-such-host.invalid/"}, "--allow remote-target"),
        ({"--rate": "0"}, "expected operations per second above 0"),
        ({"--rate": "-1"}, "expected operations per second above 0"),
        ({"--rate": "inf"}, "expected operations per second above 0"),
        ({"--rate": "nan"}, "expected operations per second above 0"),
        ({"--duration": "0"}, "expected more than 0"),
        ({"--timeout": "0"}, "expected more than 0"),
        ({"--record": "/no/such/folder/r"}, "cannot be opened for writing"),
    ],
)
def test_a_wrong_call_is_one_clear_line(server, tmp_path, capsys, change, message) -> None:
    given = {"--url": server.url, "--rate": "1", "--duration": "1s", "--record": str(tmp_path / "r"), **change}
    assert tool.run(arguments(*(f"{name}={value}" for name, value in given.items()))) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""


def test_a_full_disk_is_no_success(server, capsys) -> None:
    assert tool.run(arguments("--url", server.url + "/ok", "--rate", "100", "--duration", "5s", "--record", "/dev/full")) == 5
    assert "took no more records" in capsys.readouterr().err


@pytest.mark.parametrize("text, value", [("5", 5), ("5s", 5), ("250ms", 0.25), ("1m30s", 90), ("1.5s", 1.5), ("1h", 3600)])
def test_durations_are_read(text, value) -> None:
    assert math.isclose(seconds(text), value)


@pytest.mark.parametrize("text", ["", "s", "5 s", "5d", "-5s", "5s!", "1e3"])
def test_what_is_no_duration_is_refused(text) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a duration"):
        seconds(text)
