import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaoskit.loads.answer import HEAD_BYTES_MAX, NotHttp, Reading, header, read

WHOLE = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    b"HTTP/1.1 503 Busy\r\ncontent-length:0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nhi\r\nA\r\n0123456789\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nTrailer: 1\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
]


def test_reads_length_chunks_and_interim_answers() -> None:
    assert [(r.status, r.content, r.keeps_open) for r in map(read, WHOLE) if r] == [
        (200, b"hi", True),
        (503, b"", True),
        (200, b"hi0123456789", True),
        (200, b"x", True),
        (204, b"", True),
        (200, b"hi", True),
    ]


@given(st.sampled_from(WHOLE), st.data())
def test_is_not_whole_before_its_last_byte(whole: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(whole) - 1))
    assert read(whole[:cut]) is None
    assert read(whole[:cut], ended=True) is None


def test_without_a_length_it_lasts_until_the_connection_ends() -> None:
    received = b"HTTP/1.1 200 OK\r\n\r\nall of it"
    assert read(received) is None
    assert read(received, ended=True) == Reading(200, b"HTTP/1.1 200 OK\r\n", b"all of it", keeps_open=False)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n",
    ],
)
def test_says_when_the_connection_ends_with_it(head: bytes) -> None:
    reading = read(head + b"hi")
    assert reading is not None
    assert not reading.keeps_open


def test_bytes_beyond_the_answer_spoil_the_connection_but_not_the_answer() -> None:
    reading = read(WHOLE[0] + b"HTTP/1.1 200")
    assert reading is not None
    assert (reading.content, reading.keeps_open) == (b"hi", False)


def test_an_answer_to_head_has_no_content() -> None:
    reading = read(b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n", to_head=True)
    assert reading is not None
    assert (reading.content, reading.keeps_open) == (b"", True)


@pytest.mark.parametrize(
    "received, reason",
    [
        (b"SSH-2.0-x\r\n", "begins with"),
        (b"HTTP/1.1 two hundred\r\n\r\n", "status"),
        (b"HTTP/1.1 999 What\r\n\r\n", "status"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "Content-Length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", "Content-Length"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "chunk"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", "chunk"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * HEAD_BYTES_MAX, "head"),
    ],
)
def test_refuses_what_is_no_http(received: bytes, reason: str) -> None:
    with pytest.raises(NotHttp, match=reason):
        read(received)


def test_finds_a_header_whatever_its_case() -> None:
    head = b"HTTP/1.1 200 OK\r\nx-served-by:  core-2 \r\n"
    assert header(head, "X-Served-By") == "core-2"
    assert header(head, "Served-By") == ""
