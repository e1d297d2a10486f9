import pytest

from deborch_shared.errors import DeborchError
from deborch_shared.http.sse import MAX_EVENT_BYTES, EventParser, ServerSentEvent


def read(stream: bytes, size: int) -> list[ServerSentEvent]:
    parser = EventParser()
    return [event for at in range(0, len(stream), size) for event in parser.feed(stream[at : at + size])]


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
def test_events_are_the_same_however_the_stream_is_cut_and_its_lines_end(size: int, newline: bytes):
    lines = [
        b": keep-alive", b"", b"id: 1-1", b"event: task.created", b'data: {"a":', b"data:1}", b"", b"data: \xc3\xa9",
        b"unknown: x", b"", b"id: 1-3", b"", b"event: nothing", b"", b"data", b"", b"data: half",
    ]  # fmt: skip
    assert read(newline.join(lines), size) == [
        ServerSentEvent("task.created", '{"a":\n1}', "1-1"),
        ServerSentEvent("message", "é", "1-1"),
        ServerSentEvent("message", "", "1-3"),
    ]


def test_the_place_to_resume_from_moves_only_with_whole_events():
    parser = EventParser("1-1")
    parser.feed(b"id: 1-2\ndata: cut off he")
    assert parser.last_id == "1-1"
    parser.feed(b"re\n\n")
    assert parser.last_id == "1-2"


def test_an_id_without_data_is_no_event_but_a_place_to_resume_from():
    parser = EventParser()
    assert parser.feed(b"id: 9-9\n\n") == []
    assert parser.last_id == "9-9"


@pytest.mark.parametrize("line", [b"data: ", b"data: x\n"])
def test_an_event_without_end_is_refused_before_it_fills_the_memory(line: bytes):
    parser = EventParser()
    with pytest.raises(DeborchError, match="more than"):
        for _ in range(MAX_EVENT_BYTES // 65_536 + 2):
            parser.feed(line * (65_536 // len(line)))
