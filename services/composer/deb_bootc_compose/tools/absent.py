"""In place of tools where there are none: every use says so."""

from deb_bootc_compose.failures import FailureClass, failure
from deborch_shared.errors import ErrorCode
from deborch_shared.process import ProcessResult


class AbsentTools:
    """Implements `Tools` for composes whose phases use none."""

    @property
    def digest(self) -> str:
        return ""

    async def machine(self) -> "AbsentTools":
        return self

    async def run(self, argv: object, **_: object) -> ProcessResult:
        raise failure(
            FailureClass.HOST,
            ErrorCode.INTERNAL,
            f"there is no tools root to run {argv!r} in",
            hint="give the engine tools: see deb_bootc_compose.tools",
        )
