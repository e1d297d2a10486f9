"""fetch-source: a source package from the Debian suite, verified by apt, into the blob store."""

from deborch_builder.engine_port import FetchOrder
from deborch_builder.job import Job
from deborch_shared.contract.payloads import FetchSourcePayload
from deborch_shared.events.model import File


async def fetch_source(job: Job) -> tuple[File, ...]:
    """The .dsc and the files that it names."""
    payload = job.payload(FetchSourcePayload)
    order = FetchOrder(
        id=job.name,
        name=payload.name,
        version=payload.version,
        suite=payload.suite,
        components=payload.components,
        architecture=payload.architecture,
        result_dir=job.make_directory("result"),
    )
    with job.timed("fetch"):
        result = await job.tools.engine.fetch_source(order, on_log=job.write_log)
    job.stages.extend(result.stages)
    with job.timed("upload"):
        return await job.tools.transfers.upload_all(result.files)
