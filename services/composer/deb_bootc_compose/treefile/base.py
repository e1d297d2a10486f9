"""What each part of a treefile is: strict, frozen, its keys spelled with hyphens as rpm-ostree spells them."""

from pydantic import BaseModel, ConfigDict


def hyphened(name: str) -> str:
    """`exclude_packages` as a treefile spells it."""
    return name.replace("_", "-")


class Part(BaseModel):
    """Unknown keys are refused; `checking` says where they are and which key is nearest.

    The text below each field is its description in the JSON Schema and in the reference.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=hyphened,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )
