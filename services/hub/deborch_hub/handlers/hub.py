"""The `Commands` port implemented: each method is one handler."""

from deborch_hub.domain.matching import Demand
from deborch_hub.handlers import builds, ending, hosts, targets
from deborch_hub.handlers.context import Context
from deborch_hub.handlers.idempotency import once_only
from deborch_hub.handlers.port import Idempotency
from deborch_hub.handlers.submission import NewTask
from deborch_hub.store.queries import SQL
from deborch_shared.contract.builds import BuildCreate, GiveBack, TaskCreate, TaskRef
from deborch_shared.contract.hosts import HostRegister, HostRegistration
from deborch_shared.contract.payloads import NoopPayload
from deborch_shared.contract.states import HostState, TaskKind, TaskState
from deborch_shared.contract.targets import TargetCreate
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events.model import TaskCreated
from deborch_shared.ids import BuildId, Sha256, TaskId
from deborch_shared.security import Principal
from deborch_shared.telemetry import current_traceparent


class Hub:
    """What the API may tell the hub to do."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def create_target(self, command: TargetCreate, by: Principal) -> str:  # noqa: ARG002 - of the port
        return await targets.create_target(self._context, command)

    async def create_build(self, command: BuildCreate, by: Principal, once: Idempotency | None) -> BuildId:
        return await builds.create_build(self._context, command, by, once)

    async def create_task(self, command: TaskCreate, by: Principal, once: Idempotency | None) -> TaskRef:
        if command.kind is not TaskKind.NOOP:
            raise DeborchError(
                ErrorCode.INVALID_INPUT, f"a {command.kind} task comes with a build", hint="POST /api/v1/builds"
            )
        demand = Demand(
            command.architecture or "",
            frozenset(command.required_tags),
            command.cpu,
            command.memory_bytes,
            command.disk_bytes,
        )
        task = NewTask(
            kind=command.kind,
            architecture=command.architecture or "",
            label="no-op",
            requirement_id=await self._context.requirements.id_of(demand),
            priority=command.priority,
            payload=NoopPayload(duration_s=command.duration_s).model_dump(),
            traceparent=current_traceparent(),
        )
        if once is None:
            return await self._context.submissions.submit(task)
        return await self._create_task_once(task, by, once)

    async def _create_task_once(self, task: NewTask, by: Principal, once: Idempotency) -> TaskRef:
        made: list[TaskRef] = []
        async with self._context.transactions.begin() as work:

            async def make() -> int:
                (task_id,) = await self._context.task_ids.take(1, work.connection)
                made.append(TaskRef(id=task_id, state=TaskState.FREE))
                await work.connection.execute(
                    SQL["insert_task"],
                    task_id,
                    None,
                    task.kind.value,
                    task.architecture,
                    task.label,
                    TaskState.FREE.value,
                    None,
                    task.requirement_id,
                    task.priority,
                    task.payload,
                    task.traceparent,
                )
                work.tell(TaskCreated(task_id=task_id, kind=task.kind.value, architecture=task.architecture))
                work.after_commit.append(lambda: self._context.board.waiting.add(task.requirement_id))
                return task_id

            done = await once_only(work, by, once, make)
        if made:
            return made[0]
        state = await self._context.database.fetchval(SQL["task_state"], done.value)
        return TaskRef(id=done.value, state=TaskState(state))

    async def cancel_build(self, build_id: BuildId, by: Principal) -> None:
        await ending.cancel_build(self._context, build_id, by)

    async def cancel_task(self, task_id: TaskId, by: Principal) -> None:
        await ending.cancel_task(self._context, task_id, by)

    async def give_back(self, build_id: BuildId, command: GiveBack, by: Principal) -> None:
        await ending.give_back(self._context, build_id, command, by)

    async def register_host(self, command: HostRegister, by: Principal) -> HostRegistration:
        return await hosts.register_host(self._context, command, by)

    async def change_host(self, host: str, state: HostState, by: Principal) -> None:
        await hosts.change_host(self._context, host, state, by)

    async def record_blob(self, sha256: Sha256, size_bytes: int) -> None:
        await self._context.database.execute(SQL["record_blob"], bytes.fromhex(sha256), size_bytes)
