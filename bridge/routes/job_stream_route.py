"""The route that streams one job of an identity."""

from collections.abc import AsyncGenerator
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Request, Response

from bridge.auth import Authenticator, IdentityCaller
from bridge.connection import NatsPort
from bridge.job_streams import JOB_EVENT, JobStream, JobStreams
from bridge.request_tracing import request_id
from bridge.routes.canonical_path import require_canonical_path
from bridge.routes.stream_routes import stream_docs
from bridge.sse_response import StreamCounts, StreamResponse
from pylon.common.admission import Admission
from pylon_client.contract import headers, json_codec
from pylon_client.contract.failures import ErrorCode
from pylon_client.contract.jobs import Job
from pylon_client.contract.operation import Scope
from pylon_client.contract.subjects import IdentitySubject, JobEventSubject
from pylon_client.contract.types import JobId, NetUidField
from pylon_client.contract.writes import GET_JOB, JobParams

JOB_STREAM_PATH: Final = f"{GET_JOB.rest_path(Scope.IDENTITY)}/stream"
REQUEST_TIMEOUT_S: Final = 10.0

_DESCRIPTION: Final = (
    "The current state of the job, then each update once; the data is the body of the read of a "
    "job. The stream ends when the job has ended. An event `closing` announces that it ends "
    "earlier because this server stops: reconnect to another one."
)


def add_job_stream_route(
    router: APIRouter,
    authenticator: Authenticator,
    nats: NatsPort,
    limit: Admission,
    streams: JobStreams,
    counts: StreamCounts,
) -> None:
    """Add the route of job streams, with their own concurrency limit."""

    async def open_job_stream(
        request: Request,
        netuid: NetUidField,
        job_id: Annotated[JobId, Path(pattern=r"^[a-z2-7]{26}$")],
        caller: Annotated[IdentityCaller, Depends(authenticator.require_identity)],
    ) -> AsyncGenerator[JobStream]:
        require_canonical_path(request, {"netuid": netuid})
        caller.require_subnet(netuid)

        async def read_job() -> bytes:
            reply = await nats.request(
                str(IdentitySubject(caller.identity.name, GET_JOB.name)),
                json_codec.encode(JobParams(job_id=job_id)),
                headers={headers.REQUEST_ID: request_id(request)},
                timeout_s=REQUEST_TIMEOUT_S,
            )
            return reply.body

        # FastAPI resumes here when the whole stream has been sent.
        with (
            limit.admit(caller.identity.name),
            streams.open(read_job) as listener,
        ):
            async with nats.subscribe(
                str(JobEventSubject(caller.identity.name, job_id)), listener.push
            ):
                await listener.load()
                yield listener

    async def stream_job(
        listener: Annotated[JobStream, Depends(open_job_stream)],
    ) -> StreamResponse:
        return StreamResponse(listener.frames(), counts, is_private=True)

    router.add_api_route(
        JOB_STREAM_PATH,
        stream_job,
        status_code=200,
        response_class=Response,  # adds nothing to the documentation
        response_model=None,
        responses=stream_docs(
            ErrorCode.INVALID,
            ErrorCode.UNAUTHENTICATED,
            ErrorCode.FORBIDDEN,
            ErrorCode.NETUID_MISMATCH,
            ErrorCode.NOT_FOUND,
            ErrorCode.OVERLOADED,
            ErrorCode.NATS_UNAVAILABLE,
            ErrorCode.DEADLINE_EXCEEDED,
            event_models={JOB_EVENT: Job},
        ),
        tags=["streams"],
        summary="One job of this identity, and each change of it",
        description=_DESCRIPTION,
        operation_id="identity_job_stream",
    )
