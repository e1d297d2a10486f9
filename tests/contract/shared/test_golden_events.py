"""What was once published stays readable, and what is published now is what the files show."""

import orjson
import pytest
from tests.contract.shared.examples import EXAMPLES, GOLDEN, golden_event, golden_path

from deborch_shared.events import BATCH_CONTENT_TYPE, CONTENT_TYPE, EVENT_MODELS, decode, encode, encode_batch

HOW = "add an instance to examples.py, then run `python tests/contract/shared/examples.py`"


def name_of(data) -> str:
    return f"{data.TYPE}.v{data.VERSION}"


def test_every_type_and_version_has_an_example_and_both_golden_files():
    assert {(data.TYPE, data.VERSION) for data in EXAMPLES} == set(EVENT_MODELS), HOW
    wanted = {golden_path(data, mode).name for data in EXAMPLES for mode in ("structured", "batched")}
    assert {path.name for path in GOLDEN.iterdir()} == wanted, HOW


@pytest.mark.parametrize("data", EXAMPLES, ids=name_of)
def test_every_field_of_an_example_differs_from_its_default(data):
    defaults = {name: field.default for name, field in type(data).model_fields.items()}
    assert not [name for name, value in defaults.items() if getattr(data, name) == value]


@pytest.mark.parametrize("data", EXAMPLES, ids=name_of)
def test_a_golden_event_reads_as_the_same_model(data):
    assert decode(golden_path(data, "structured").read_bytes(), CONTENT_TYPE) == [golden_event(data)]


@pytest.mark.parametrize("data", EXAMPLES, ids=name_of)
def test_a_golden_batch_reads_as_the_same_models(data):
    expected = [golden_event(data, 1), golden_event(data, 2)]
    assert decode(golden_path(data, "batched").read_bytes(), BATCH_CONTENT_TYPE) == expected


@pytest.mark.parametrize("data", EXAMPLES, ids=name_of)
def test_what_is_written_now_is_what_the_golden_file_shows(data):
    assert orjson.loads(encode(golden_event(data))) == orjson.loads(golden_path(data, "structured").read_bytes())
    batch = encode_batch([golden_event(data, 1), golden_event(data, 2)])
    assert orjson.loads(batch) == orjson.loads(golden_path(data, "batched").read_bytes())


@pytest.mark.parametrize("data", EXAMPLES, ids=name_of)
def test_an_event_has_the_attributes_that_cloudevents_requires(data):
    form = orjson.loads(golden_path(data, "structured").read_bytes())
    assert form["specversion"] == "1.0"
    assert form["dataschema"] == f"urn:deborch:event:{data.TYPE}:{data.VERSION}"
    assert form["time"].endswith("+00:00")
    assert all(name.isalnum() and name.islower() for name in form)
