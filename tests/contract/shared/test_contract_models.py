"""The promise of `deborch_shared.contract`: inputs are strict, outputs may grow, nothing can be changed in passing."""

import importlib
import inspect
import pkgutil

import pytest
from pydantic import BaseModel, ValidationError

from deborch_shared import contract
from deborch_shared.contract.base import Input, Output


def models() -> list[type[BaseModel]]:
    found: set[type[BaseModel]] = set()
    for module in pkgutil.iter_modules(contract.__path__):
        members = inspect.getmembers(importlib.import_module(f"{contract.__name__}.{module.name}"), inspect.isclass)
        found |= {member for _, member in members if issubclass(member, BaseModel)}
    return sorted(found - {Input, Output, BaseModel}, key=lambda model: model.__name__)


@pytest.mark.parametrize("model", models())
def test_every_model_is_an_input_or_an_output_and_frozen(model):
    assert issubclass(model, Input) != issubclass(model, Output)
    assert model.model_config["frozen"]
    assert model.model_config["extra"] == ("forbid" if issubclass(model, Input) else "ignore")


@pytest.mark.parametrize("model", [model for model in models() if issubclass(model, Input)])
def test_an_input_refuses_a_field_that_it_does_not_name(model):
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        model.model_validate({"no_such_field": 1})


def test_no_two_models_share_a_name_since_openapi_knows_them_by_it():
    names = [model.__name__ for model in models()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("model", models())
def test_durations_and_sizes_name_their_unit_and_times_end_in_at_or_until(model):
    for name, field in model.model_fields.items():
        if "datetime" in str(field.annotation):
            assert name.endswith(("_at", "_until")), name
        if any(word in name.split("_") for word in ("timeout", "duration", "interval", "lease")):
            assert name.endswith(("_s", "_at", "_until")), name
        if any(word in name.split("_") for word in ("size", "memory", "disk")):
            assert name.endswith("_bytes"), name
