from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deborch_shared.bus import EVENTS, HUB_HEARTBEATS, HUB_REPORTS, host_queue, publications
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events import BATCH_CONTENT_TYPE, CONTENT_TYPE, decode, encode, encode_batch, new_event, wire_form
from deborch_shared.events.model import BuildDone, CancelTask, TaskCompleted, TaskCreated

EVENT = new_event(TaskCreated(task_id=1), source="/hub", subject="task/1", traceparent="00-1-2-01")


def changed(**changes: object) -> bytes:
    form = wire_form(EVENT) | changes
    return orjson.dumps({name: value for name, value in form.items() if value is not ...}, default=str)


def refusal(body: bytes, content_type: str = CONTENT_TYPE) -> DeborchError:
    with pytest.raises(DeborchError) as caught:
        decode(body, content_type)
    assert caught.value.code is ErrorCode.UNKNOWN_EVENT
    return caught.value


def test_an_event_is_read_back_as_it_was_written_in_both_modes():
    assert decode(encode(EVENT)) == [EVENT]
    assert decode(encode_batch([EVENT, EVENT]), BATCH_CONTENT_TYPE) == [EVENT, EVENT]


def test_parameters_and_case_of_the_content_type_do_not_matter():
    assert decode(encode(EVENT), "Application/CloudEvents+JSON; charset=UTF-8") == [EVENT]
    assert decode(encode_batch([EVENT]), "application/cloudevents-batch+json; charset=utf-8") == [EVENT]


BAD = {
    "no JSON": b"{",
    "no object": b"1",
    "null": b"null",
    "no CloudEvent": b'{"a": 1}',
    "another CloudEvents version": changed(specversion="0.3"),
    "no id": changed(id=...),
    "an unknown type": changed(type="task.exploded", dataschema="urn:deborch:event:task.exploded:1"),
    "an unknown version": changed(dataschema="urn:deborch:event:task.created:2"),
    "a version that is no number": changed(dataschema="urn:deborch:event:task.created:x"),
    "a version of ten thousand digits": changed(dataschema="urn:deborch:event:task.created:" + "9" * 10_000),
    "a version in other digits": changed(dataschema="urn:deborch:event:task.created:\u0661"),
    "no version": changed(dataschema="urn:deborch:event:task.created"),
    "a schema of another type": changed(dataschema="urn:deborch:event:task.completed:1"),
    "a type that is no text": changed(type=["task.created"]),
    "data that does not fit": changed(data={"task_id": "many"}),
    "data with a field too many": changed(data={"task_id": 1, "colour": "red"}),
    "no data": changed(data=None),
    "a time that is none": changed(time="yesterday"),
    "a time that is no text": changed(time=5),
    "a time without an offset": changed(time="2026-01-02T03:04:05"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_message_is_refused_as_an_unknown_event_with(what):
    assert len(refusal(BAD[what]).message) < 2_000


@given(st.binary(max_size=200), st.sampled_from([CONTENT_TYPE, BATCH_CONTENT_TYPE, "", "text/plain"]))
def test_any_bytes_are_refused_as_an_unknown_event(body, content_type):
    if body.strip() != b"[]":
        refusal(body, content_type)


def test_a_body_that_its_content_type_does_not_announce_is_refused():
    refusal(encode(EVENT), BATCH_CONTENT_TYPE)
    refusal(encode_batch([EVENT]), CONTENT_TYPE)


def test_attributes_that_are_null_or_left_out_are_empty():
    (event,) = decode(changed(subject=None, traceparent=..., time=...))
    assert (event.subject, event.traceparent) == ("", "")
    assert event.time.tzinfo is not None


def test_a_failure_class_outside_the_vocabulary_is_refused():
    with pytest.raises(ValueError, match="failure_class"):
        BuildDone(task_id=1, attempt=1, host="b1", succeeded=False, failure_class="bad luck")


def test_events_of_one_type_travel_together_and_types_keep_the_order_of_their_first():
    at = datetime.now(UTC)
    first = [new_event(TaskCreated(task_id=n), source="/hub", time=at) for n in range(450)]
    second = [new_event(TaskCompleted(task_id=n), source="/hub", time=at) for n in range(1)]
    messages = publications([first[0], second[0], *first[1:]])
    assert [m.routing_key for m in messages] == ["task.created"] * 3 + ["task.completed"]
    assert [m.content_type for m in messages] == [BATCH_CONTENT_TYPE] * 3 + [CONTENT_TYPE]
    carried = [event for m in messages for event in decode(m.body, m.content_type)]
    assert carried == [*first, *second]
    assert all(m.exchange == EVENTS and m.durable for m in messages)


def test_commands_go_where_they_are_told_to():
    cancel = new_event(CancelTask(task_id=1, attempt=2), source="/hub")
    (message,) = publications([cancel], exchange="deborch.commands", durable=False)
    assert (message.exchange, message.durable) == ("deborch.commands", False)


def test_nothing_to_publish_is_no_message():
    assert publications([]) == []


def test_queues_that_hold_work_are_quorum_queues_that_bury_what_nobody_can_use():
    for spec in (HUB_REPORTS, host_queue("b1")):
        arguments = spec.arguments()
        assert arguments["x-queue-type"] == "quorum"
        assert arguments["x-dead-letter-exchange"] == "deborch.dead"
        assert arguments["x-delivery-limit"] > 0


def test_heartbeats_are_forgotten_when_nobody_listens():
    arguments = HUB_HEARTBEATS.arguments()
    assert arguments["x-message-ttl"] == 15_000
    assert "x-queue-type" not in arguments
