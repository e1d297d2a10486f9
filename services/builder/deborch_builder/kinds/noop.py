"""noop: wait for as long as asked, and be done."""

from deborch_builder.job import Job
from deborch_shared.contract.payloads import NoopPayload
from deborch_shared.events.model import File


async def noop(job: Job) -> tuple[File, ...]:
    await job.tools.clock.sleep(job.payload(NoopPayload).duration_s)
    return ()
