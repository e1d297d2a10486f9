"""The hub's HTTP API: one module per resource with its table of routes and thin handlers around commands and reads.

No SQL, no rule about builds or hosts belongs here, and nothing that outlives a request.
"""

from deborch_hub.api.application import build_hub_application
from deborch_hub.api.deps import ApiDeps
from deborch_hub.api.routes import hub_routes

__all__ = ["ApiDeps", "build_hub_application", "hub_routes"]
