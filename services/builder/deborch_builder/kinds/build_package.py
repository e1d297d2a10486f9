"""build-package: one source package for one architecture, from the blob store and back into it."""

from deborch_builder.engine_port import BuildOrder
from deborch_builder.job import Job
from deborch_shared.contract.payloads import BuildPackagePayload
from deborch_shared.events.model import File


async def build_package(job: Job) -> tuple[File, ...]:
    """The .debs, the .changes and the .buildinfo."""
    payload = job.payload(BuildPackagePayload)
    with job.timed("download"):
        dsc, *_ = await job.tools.transfers.download_all([payload.dsc, *payload.files], job.make_directory("source"))
    order = BuildOrder(
        id=job.name,
        dsc=dsc,
        suite=payload.suite,
        components=payload.components,
        architecture=payload.architecture,
        mode=payload.mode,
        repositories=payload.archives,
        result_dir=job.make_directory("result"),
        parallel=max(1, job.assignment.resources.cpu),
        timeout_s=payload.timeout_s,
    )
    result = await job.tools.engine.build(order, on_log=job.write_log, on_stage=job.enter, on_sample=job.sampled)
    job.stages.extend(result.stages)
    with job.timed("upload"):
        return await job.tools.transfers.upload_all(result.files)
