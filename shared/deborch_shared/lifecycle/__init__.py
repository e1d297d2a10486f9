"""How a service process starts and ends: uvloop, one TaskGroup, signals, graceful drain. Nothing else belongs here."""

from deborch_shared.lifecycle.service import Lifecycle, run_service

__all__ = ["Lifecycle", "run_service"]
