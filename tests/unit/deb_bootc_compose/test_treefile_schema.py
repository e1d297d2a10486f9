"""The published JSON Schema of treefiles."""

from pathlib import Path

import jsonschema
import pytest
import yaml

from deb_bootc_compose.treefile.schema import json_schema, schema_text

ROOT = Path(__file__).parents[3]
VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def test_the_published_schema_is_that_of_the_code():
    published = (ROOT / "docs/reference/treefile.schema.json").read_text()
    assert published == schema_text(), "run: deb-bootc-compose schema > docs/reference/treefile.schema.json"


@pytest.mark.parametrize("sample", sorted((ROOT / "samples").rglob("*.yaml")), ids=lambda path: path.name)
def test_the_samples_are_right_by_the_schema(sample):
    VALIDATOR.validate(yaml.safe_load(sample.read_text()))


@pytest.mark.parametrize(
    "text",
    [
        "packages-arm64: [a]\nx-mine: {a: 1}\nadd-files: [[a, /b], {source: a, destination: /b}]",
        "repositories: [a.sources, {name: a, uris: [http://a.example], suites: [x]}]",
        "disk: {size-mib: '${size}'}\nrecommends: ${recommended}",
        "include: a.yaml\nvariants: {'server-*': {inherits: [a], per-architecture: {amd64: {units: []}}}}",
    ],
)
def test_other_spellings_are_right_by_the_schema(text):
    VALIDATOR.validate(yaml.safe_load(text))


@pytest.mark.parametrize(
    "text",
    ["pakages: []", "packages-pdp11: []", "exclude_packages: []", "variants: {a: {variants: {}}}", "recommends: maybe"],
)
def test_what_is_no_treefile_is_wrong_by_the_schema(text):
    assert not VALIDATOR.is_valid(yaml.safe_load(text))
