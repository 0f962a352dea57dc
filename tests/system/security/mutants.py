"""Defences of the product, and the tests that must fail when one of them is switched off.

nox -s mutants -- [NAME …]
"""

import sys
from typing import Final

from tests.support.product.mutation import Edit, Mutant, main

FORGED: Final = "tests/system/security/test_forged_replies.py"
SHARES: Final = "tests/system/security/test_fair_shares.py"
HTTP: Final = "tests/system/security/test_http_floods.py"
LYING: Final = "tests/system/security/test_lying_node.py"
MEMORY: Final = "tests/system/security/test_nats_memory.py"
ROLES: Final = "tests/system/security/test_roles.py"
GROWTH: Final = "tests/system/security/test_growth.py"
CANCELLED: Final = "tests/system/security/test_cancelled_requests.py"
FLOODS: Final = "tests/system/security/test_request_floods.py"
BROWSERS: Final = "tests/system/security/test_browsers.py"
PARTS: Final = "tests/integration/blocks/test_task_restarts.py"
BUDGET: Final = "tests/system/security/test_large_replies.py"
SECRETS: Final = "tests/system/security/test_node_url_secrets.py"

CALL: Final = "pylon/rpc/calls.py"
CALLERS: Final = "pylon/rpc/callers.py"
CANCELLATIONS: Final = "pylon/rpc/request_cancellations.py"
SERVICE: Final = "pylon/rpc/request_server.py"
ADMISSION: Final = "pylon/common/admission.py"
LIMITS: Final = "pylon/nats_server/server_limits.py"
HTTP_PROTOCOL: Final = "bridge/limited_http_protocol.py"
LOOP_THREAD: Final = "pylon/worker/loop_thread.py"

_ON_THE_MAIN_LOOP: Final = (
    Edit(
        LOOP_THREAD,
        "return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))",
        "return await work",
    ),
    Edit(
        LOOP_THREAD,
        "self._loop.call_soon_threadsafe(function, *args)",
        "asyncio.get_running_loop().call_soon(function, *args)",
    ),
)

MUTANTS: Final = (
    # Lies over NATS.
    Mutant(
        "replies-to-workers",
        (
            Edit(
                CALLERS,
                "[1] in SERVER_USERS:\n        return False",
                "[1] in ():\n        return False",
            ),
        ),
        (f"{FORGED}::test_a_worker_does_not_reply_to_its_inbox_for_acknowledgements",),
    ),
    Mutant(
        "random-inbox-names",
        (Edit("pylon_client/nats/nats_client.py", "self._nuid = InboxIds()", "_ = InboxIds()"),),
        (f"{FORGED}::test_no_caller_can_answer_the_slow_request_of_another_anonymous_caller",),
    ),
    Mutant(
        "unreadable-replies-of-jetstream",
        (
            Edit(
                "pylon/jetstream/error_codes.py",
                "except _UNREADABLE as error:",
                "except () as error:",
            ),
        ),
        (f"{FORGED}::test_invalid_replies_of_a_broken_worker_stop_no_other_worker",),
    ),
    Mutant(
        "restarts-of-parts",
        (Edit("pylon/common/task_supervisor.py", "if self._is_final(error):", "if True:"),),
        (f"{PARTS}::test_a_failing_publisher_and_failing_jobs_are_restarted",),
    ),
    # Lies of a node.
    Mutant(
        "verification-of-heads",
        (Edit("pylon/blocks/head_tracker.py", "if self._follows(head):", "if True:"),),
        (f"{LYING}::test_a_node_that_lies_about_its_head_stops_neither_reads_nor_events",),
    ),
    Mutant(
        "bounds-of-numbers",
        (
            Edit(
                "pylon/chain/bounds.py",
                "if not isinstance(number, str) or _HEX_PATTERN.fullmatch(number) is None:",
                "if False:",
            ),
            Edit(
                "pylon/chain/bounds.py",
                "if isinstance(value, bool) or not isinstance(value, int) "
                "or not minimum <= value <= maximum:",
                "if False:",
            ),
        ),
        (f"{LYING}::test_a_node_that_lies_about_its_head_stops_neither_reads_nor_events",),
    ),
    Mutant(
        "end-of-a-stalled-lease",
        (
            Edit(
                "pylon/blocks/leadership.py",
                "if self._progress.stalled_s >= self._stalled_after_s:",
                "if False:",
            ),
        ),
        (f"{LYING}::test_a_publisher_that_stops_gives_its_lease_to_another_worker",),
    ),
    Mutant(
        "node-urls-without-keys",
        (
            Edit(
                "pylon/chain/endpoint_label.py",
                '    if "://" not in network:',
                "    if network:",
            ),
        ),
        (f"{SECRETS}::test_a_worker_shows_its_nodes_by_host_and_port",),
    ),
    # Floods over NATS.
    Mutant("requests-on-their-own-loop", _ON_THE_MAIN_LOOP, (FLOODS,)),
    Mutant(
        "requests-on-their-own-connection",
        (
            *_ON_THE_MAIN_LOOP,
            Edit(
                "pylon/worker/backends.py",
                "    options = worker_connection_options(",
                "    if shared := globals().get('_shared'):\n        return shared\n"
                "    options = worker_connection_options(",
            ),
            Edit(
                "pylon/worker/backends.py",
                "return await connect(options)",
                "globals()['_shared'] = await connect(options)\n"
                "            return globals()['_shared']",
            ),
        ),
        (FLOODS,),
    ),
    Mutant(
        "limit-of-delivered-requests",
        (
            Edit(
                SERVICE,
                "queue=QUEUE_GROUP, max_pending_msgs=MAX_PENDING_REQUESTS",
                "queue=QUEUE_GROUP",
            ),
        ),
        (FLOODS,),
    ),
    Mutant(
        "limit-of-unread-bytes",
        (Edit(LIMITS, '    "max_pending": MAX_PENDING_BYTES,\n', ""),),
        (f"{MEMORY}::test_slow_readers_use_no_more_memory_than_the_limits_allow",),
    ),
    Mutant(
        "limit-of-subscriptions",
        (Edit(LIMITS, '    "max_subscriptions": MAX_SUBSCRIPTIONS,\n', ""),),
        (f"{MEMORY}::test_half_a_million_subscriptions_use_no_more_memory_than_the_limits_allow",),
    ),
    Mutant(
        "limit-of-tokens",
        (Edit(LIMITS, '    "max_subscription_tokens": MAX_SUBSCRIPTION_TOKENS,\n', ""),),
        (f"{MEMORY}::test_too_large_messages_are_refused",),
    ),
    Mutant(
        "limit-of-ended-connections",
        (Edit(LIMITS, '    "max_closed_clients": MAX_CLOSED_CLIENTS,\n', ""),),
        (f"{MEMORY}::test_ended_connections_release_their_memory",),
    ),
    Mutant(
        "limit-of-lines",
        (Edit(LIMITS, '    "max_control_line": MAX_CONTROL_LINE_BYTES,\n', ""),),
        (f"{MEMORY}::test_too_large_messages_are_refused",),
    ),
    Mutant(
        "limit-of-nats-connections",
        (Edit(LIMITS, '    "max_connections": MAX_CONNECTIONS,\n', ""),),
        (f"{MEMORY}::test_a_server_that_is_full_refuses_more_connections",),
    ),
    Mutant(
        "limit-of-replies-in-flight",
        (
            Edit(
                "pylon_client/nats/request_sender.py",
                "self._reply_budget.reserve(subject),",
                "contextlib.nullcontext(),",
            ),
        ),
        (BUDGET,),
    ),
    # One caller against others.
    Mutant(
        "shares-of-callers",
        (
            Edit(
                ADMISSION,
                "self._share = max(1, permits // 2 // max(1, len(callers)))",
                "self._share = 0",
            ),
        ),
        (f"{SHARES}::test_slow_requests_leave_every_caller_its_share_of_slots",),
    ),
    Mutant(
        "waiting-requests-use-no-slot",
        (
            Edit(
                CALL,
                "if self.permit is None\n",
                "if True\n",
            ),
        ),
        (f"{SHARES}::test_waiting_commitments_do_not_use_up_request_slots",),
    ),
    Mutant(
        "limit-of-waiting-requests",
        (Edit(ADMISSION, "if self.waiting[caller] >= self._max_waiting:", "if False:"),),
        (f"{SHARES}::test_waiting_commitments_do_not_use_up_request_slots",),
    ),
    Mutant(
        "lock-of-a-consumer",
        (
            Edit(
                "pylon/jobs/acceptor.py",
                "        async with lock:",
                "        async with asyncio.Lock():",
            ),
        ),
        (f"{SHARES}::test_distinct_puts_of_one_identity_at_once_are_all_accepted",),
    ),
    Mutant(
        "cancellation-in-workers",
        (Edit(CANCELLATIONS, "task.cancel()\n            return True", "return True"),),
        (f"{CANCELLED}::test_a_cancelled_request_ends_its_work",),
    ),
    Mutant(
        "cancellations-before-their-requests",
        (Edit(CANCELLATIONS, "if cancel_id not in self._early:", "if True:"),),
        (f"{CANCELLED}::test_a_cancellation_that_overtakes_its_request_ends_it",),
    ),
    Mutant(
        "cancellation-in-clients",
        (
            Edit(
                "pylon_client/nats/request_sender.py",
                "await self._nats.publish(cancel_on, cancel_id.encode())",
                "pass",
            ),
        ),
        (f"{CANCELLED}::test_a_cancelled_request_ends_its_work",),
    ),
    Mutant(
        "cancellation-in-the-bridge",
        (
            Edit(
                "bridge/client_disconnects.py",
                "            task.cancel()",
                "            pass",
            ),
        ),
        (f"{CANCELLED}::test_a_closed_http_connection_ends_the_work",),
    ),
    # Floods over HTTP.
    Mutant(
        "time-for-a-head",
        (
            Edit(
                HTTP_PROTOCOL,
                "self._header_timer = self.loop.call_later("
                "self.header_timeout_s, self._on_header_timeout)",
                "pass",
            ),
        ),
        (f"{HTTP}::test_half_sent_requests_block_no_other_caller_and_are_closed",),
    ),
    Mutant(
        "limit-of-http-connections",
        (
            Edit(
                "bridge/open_connections.py",
                "is_full = len(self._stages) >= self.limit",
                "is_full = False",
            ),
        ),
        (f"{HTTP}::test_connections_up_to_the_limit_are_served",),
    ),
    Mutant(
        "room-for-new-connections",
        (
            Edit(
                "bridge/open_connections.py",
                "if is_full and not self._evict_oldest():",
                "if is_full:",
            ),
        ),
        (f"{HTTP}::test_half_sent_requests_block_no_other_caller_and_are_closed",),
    ),
    Mutant(
        "event-stream-shares-of-identities",
        (
            Edit(
                "bridge/main.py",
                "event_stream_admission = Admission(stream_limit, callers,",
                "event_stream_admission = Admission(stream_limit, (OPEN_CALLER,),",
            ),
        ),
        (f"{HTTP}::test_anonymous_listeners_leave_an_identity_its_streams",),
    ),
    Mutant(
        "stream-shares-of-identities",
        (
            Edit(
                "bridge/main.py",
                "stream_limit, settings.identity_settings, resource",
                "stream_limit, (), resource",
            ),
        ),
        (f"{HTTP}::test_an_identitys_job_streams_leave_others_their_share",),
    ),
    # Browsers.
    Mutant(
        "secure-cookie",
        (
            Edit(
                "bridge/routes/login.py",
                'return request.url.scheme == "https"',
                "return False",
            ),
        ),
        (f"{BROWSERS}::test_a_cookie_is_secure_behind_a_trusted_proxy_with_tls",),
    ),
    Mutant(
        "origin-of-changes",
        (Edit("bridge/cross_origin.py", "    if not is_own:", "    if False:"),),
        (f"{BROWSERS}::test_a_page_of_another_origin_changes_nothing",),
    ),
    Mutant(
        "changes-by-cookie-are-json",
        (
            Edit(
                "bridge/cross_origin.py",
                "if request.method in _METHODS_WITH_BODY and content_type != JSON:",
                "if False:",
            ),
        ),
        (f"{BROWSERS}::test_a_write_with_a_cookie_must_be_json",),
    ),
    # Roles.
    Mutant(
        "signers-serve-no-reads",
        (
            Edit(
                "pylon/worker/request_thread.py",
                "if role is WorkerRole.ALL:",
                "if role is not WorkerRole.READER:",
            ),
        ),
        (f"{ROLES}::test_a_signer_answers_no_reads_of_the_chain",),
    ),
    Mutant(
        "readers-without-jetstream",
        (
            Edit(
                "pylon/nats_server/permissions.py",
                "publish=(ALL_INBOXES, ALL_REPLAYS),",
                "publish=(ALL_INBOXES, ALL_REPLAYS, JETSTREAM_API),",
            ),
        ),
        (f"{ROLES}::test_the_reader_user_can_neither_store_nor_change_anything",),
    ),
    Mutant(
        "readers-without-the-job-store",
        (
            Edit(
                "pylon/nats_server/permissions.py",
                "publish=(ALL_INBOXES, ALL_REPLAYS),",
                "publish=(ALL_INBOXES, ALL_REPLAYS, *JOB_STORE.subjects),",
            ),
        ),
        (f"{ROLES}::test_the_reader_user_can_neither_store_nor_change_anything",),
    ),
    Mutant(
        "replays-for-readers-only",
        (
            Edit(
                "pylon/nats_server/permissions.py",
                "publish=(ALL_OPEN, identity_requests(name)),",
                "publish=(ALL_OPEN, ALL_REPLAYS, identity_requests(name)),",
            ),
            Edit(
                CALLERS,
                'return reply.startswith(f"{inbox_prefix(READER_USER)}.")',
                "return True",
            ),
        ),
        (f"{ROLES}::test_only_readers_request_replays",),
    ),
    # Growth.
    Mutant(
        "index-of-open-jobs",
        (
            Edit(
                "pylon/jobs/job_store.py",
                "return await self._open_jobs.list_jobs(identity, kind)",
                "return [stored async for stored in self.history(identity) "
                "if not stored.job.has_ended and kind in {None, stored.job.kind}]",
            ),
        ),
        (f"{GROWTH}::test_a_job_store_of_an_older_version_is_indexed_once_in_little_memory",),
    ),
    Mutant(
        "pages-of-jobs",
        (
            Edit(
                "pylon/jobs/job_pages.py",
                "before = Revision(int(position)) if phase == _ENDED else None",
                "before = None",
            ),
            Edit(
                "pylon/jobs/job_pages.py",
                "if one is None or is_listed or (query.state and not one.job.has_ended):",
                "if one is None or is_listed or (query.state and not one.job.has_ended) or ("
                "phase == _ENDED and entry.revision >= int(position)):",
            ),
        ),
        (f"{GROWTH}::test_the_cost_of_a_page_does_not_depend_on_its_position",),
    ),
)

if __name__ == "__main__":
    sys.exit(main(MUTANTS))
