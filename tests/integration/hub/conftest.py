"""The fixtures of `harness`, for the tests in this folder."""

from tests.integration.hub.harness import stack, start_builder, start_replica

__all__ = ["stack", "start_builder", "start_replica"]
