"""One way to run a program to its end: bounded in time and output, streamed, and never left behind.

Programs that stay up (servers) and programs that must be isolated (buildroots) do not belong here;
for the second there is `deborch_shared.sandbox`.
"""

from deborch_shared.process.readable import readable
from deborch_shared.process.runner import (
    DEFAULT_MAX_OUTPUT_BYTES,
    OutputSink,
    ProcessResult,
    Running,
    follow,
    run,
)

__all__ = ["DEFAULT_MAX_OUTPUT_BYTES", "OutputSink", "ProcessResult", "Running", "follow", "readable", "run"]
