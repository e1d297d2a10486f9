import pytest
from pydantic import TypeAdapter, ValidationError

from deborch_shared.bus import COMPOSER_REQUESTS, HUB_COMPOSERS, HUB_COMPOSES, composer_queue, host_queue
from deborch_shared.contract.composes import ComposeCreate, RefName, ScheduleCreate
from deborch_shared.events import EVENT_MODELS

SHA256 = "ab" * 32
FILE = {"path": "minimal.yaml", "sha256": SHA256, "size_bytes": 7}


def wanted(**changes: object) -> dict[str, object]:
    return {"name": "minimal", "treefile": "minimal.yaml", "files": [FILE], **changes}


@pytest.mark.parametrize("path", ["../etc/passwd", "/etc/passwd", "a/../b", "./a", "a//b", "a/", ".", ""])
def test_a_file_of_the_tree_stays_within_it(path):
    with pytest.raises(ValidationError):
        ComposeCreate.model_validate(wanted(treefile=path, files=[{**FILE, "path": path}]))


def test_the_treefile_and_the_lock_file_are_among_the_files():
    with pytest.raises(ValidationError, match="treefile is not among files"):
        ComposeCreate.model_validate(wanted(treefile="other.yaml"))
    with pytest.raises(ValidationError, match="lockfile is not among files"):
        ComposeCreate.model_validate(wanted(lockfile="lock.json"))
    with pytest.raises(ValidationError, match="twice"):
        ComposeCreate.model_validate(wanted(files=[FILE, FILE]))


@pytest.mark.parametrize("ref", ["../x", "a/../b", "/a", "a/", ".git/config", "a b", ""])
def test_a_ref_leads_nowhere_else(ref):
    with pytest.raises(ValidationError):
        TypeAdapter(RefName).validate_python(ref)


def test_a_schedule_has_one_rhythm():
    for rhythm in ({}, {"daily_at": "03:00", "every_s": 3600}, {"every_s": 3600, "weekdays": ["mon"]}):
        with pytest.raises(ValidationError):
            ScheduleCreate.model_validate({"name": "nightly", "compose": wanted(), **rhythm})


def test_every_report_of_a_composer_reaches_a_queue_of_the_hub_and_no_event_of_the_hub_comes_back_to_it():
    reports = {key for spec in (HUB_COMPOSES, HUB_COMPOSERS) for key in spec.routing_keys}
    with_composer = {name for (name, _), model in EVENT_MODELS.items() if "composer" in model.model_fields}
    assert with_composer - {"compose.running"} == reports
    assert COMPOSER_REQUESTS.routing_keys == ("compose.requested",)


def test_what_a_composer_is_told_reaches_no_host_of_any_name():
    composer = composer_queue("c1")
    assert ":" in composer.routing_keys[0]
    assert composer.name != host_queue("c1").name
