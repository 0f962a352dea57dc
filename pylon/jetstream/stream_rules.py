"""Rules for the configuration of a stream, and the commands that correct it.

An operator may configure a stream more generously than its plan: more history, replicas,
compression, a placement. There is a rule for each setting that can break Pylon, with the reason.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from nats.js.api import (
    DiscardPolicy,
    PersistMode,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)

from pylon_client.contract.topology import JOB_QUEUE, JOB_STORE, StreamPlan

UNLIMITED: Final = -1
"""JetStream's value for a missing limit."""
MIN_MESSAGE_BYTES: Final = 2**20
"""Smallest acceptable `max_msg_size` of a stream: NATS's default `max_payload`."""

_LIMITS: Final = ("max_msgs", "max_bytes", "max_msgs_per_subject", "max_msg_size")


@dataclass(frozen=True, slots=True)
class ConfigDifference:
    """A setting of a stream that breaks a rule.

    Attributes:
        text: the setting, its value, the expected value, and the reason.
        edit_option: option of `nats stream edit` that corrects it; None if NATS cannot change it.
    """

    text: str
    edit_option: str | None


@dataclass(frozen=True, slots=True)
class _Rule:
    """A rule for a setting.

    Attributes:
        setting: name of the setting in the stream's configuration.
        expected: text of the expected value.
        accepts: returns whether a value is usable.
        reason: effect of other values.
        edit_option: option of `nats stream edit`; None if NATS cannot change the setting.
    """

    setting: str
    expected: str
    accepts: Callable[[Any], bool]
    reason: str
    edit_option: str | None = None


def config_differences(plan: StreamPlan, actual: StreamConfig) -> list[ConfigDifference]:
    """Return the settings of a stream that break a rule.

    Args:
        plan: plan of the stream.
        actual: configuration of the existing stream.
    """
    return [
        ConfigDifference(
            f"{rule.setting} is {_format_value(value)}, not {rule.expected} ({rule.reason})",
            rule.edit_option,
        )
        for rule in _rules(plan)
        if not rule.accepts(value := _setting_value(actual, rule.setting))
    ]


def describe_differences(plan: StreamPlan, differences: list[ConfigDifference]) -> str:
    """Return the text of an error: the differences and the command that corrects them."""
    wrong = "; ".join(difference.text for difference in differences)
    return f"the stream {plan.name} is not usable: {wrong}. {stream_remedy(plan, differences)}"


def stream_remedy(plan: StreamPlan, differences: list[ConfigDifference]) -> str:
    """Return the remedy for the differences of a stream."""
    options = [difference.edit_option for difference in differences if difference.edit_option]
    if len(options) == len(differences):
        return f"Correct it with `nats stream edit {plan.name} {' '.join(options)}`"
    return (
        f"NATS cannot change all of that: delete it with `nats stream rm {plan.name}`, which "
        "deletes its messages, and a worker creates it again"
    )


def _rules(plan: StreamPlan) -> Iterator[_Rule]:
    yield from _common_rules(plan)
    yield _history_rule(plan)
    yield from _age_rules(plan)
    if plan.is_bucket:
        for setting in ("max_msgs", "max_bytes"):
            yield _Rule(
                setting,
                str(UNLIMITED),
                lambda value: value == UNLIMITED,
                "with a limit NATS drops the oldest keys",
                f"--{setting.replace('_', '-')}={UNLIMITED}",
            )
    if plan.name == JOB_STORE.name:
        yield _Rule(
            "deny_delete",
            "false",
            lambda value: not value,
            "markers of ended jobs are deleted",
        )


def _common_rules(plan: StreamPlan) -> Iterator[_Rule]:
    subjects = set(plan.subjects)
    named = " ".join(sorted(subjects))
    yield _Rule(
        "subjects",
        named,
        lambda value: subjects <= set(value) and (not plan.is_bucket or subjects == set(value)),
        "Pylon publishes on them",
        f"--subjects={','.join(sorted(subjects))}",
    )
    yield _Rule(
        "storage", "file", lambda value: value == StorageType.FILE, "memory is lost on a restart"
    )
    retention = RetentionPolicy.WORK_QUEUE if plan.is_work_queue else RetentionPolicy.LIMITS
    until = "deleted after their ack" if plan.is_work_queue else "stored up to the limits"
    yield _Rule(
        "retention",
        retention.value,
        lambda value: value == retention,
        f"messages must be {until}",
    )
    discard = DiscardPolicy.NEW if plan.is_work_queue else DiscardPolicy.OLD
    yield _Rule(
        "discard",
        discard.value,
        lambda value: value == discard,
        "a full queue must reject jobs"
        if plan.is_work_queue
        else "a full stream must accept new messages",
        f"--discard={discard.value}",
    )
    yield _Rule(
        "discard_new_per_subject",
        _format_value(plan.is_work_queue),
        lambda value: bool(value) == plan.is_work_queue,
        "the limit per subject limits the queued jobs of a kind"
        if plan.is_work_queue
        else "a full stream must accept new messages",
        "--discard-per-subject" if plan.is_work_queue else "--no-discard-per-subject",
    )
    yield _Rule("allow_direct", "true", bool, "workers read with direct gets", "--allow-direct")
    if plan.allow_msg_ttl:
        yield _Rule("allow_msg_ttl", "true", bool, "ended jobs expire", "--allow-msg-ttl")
    yield _Rule(
        "max_msg_size",
        f"{UNLIMITED}, or {MIN_MESSAGE_BYTES} or more",
        lambda value: value == UNLIMITED or value >= MIN_MESSAGE_BYTES,
        "larger messages are rejected",
        f"--max-msg-size={UNLIMITED}",
    )
    yield _Rule(
        "no_ack", "false", lambda value: not value, "Pylon waits for acknowledgements", "--ack"
    )
    if not plan.is_recoverable:
        yield _Rule(
            "persist_mode",
            "default",
            lambda value: value in {None, PersistMode.DEFAULT},
            "acknowledged messages must be on disk",
        )
    for setting, why in (
        ("sealed", "nothing can be written"),
        ("mirror", "nothing can be written to a mirror"),
        ("subject_transform", "messages would have other subjects"),
        ("allow_msg_counter", "messages must be numbers"),
    ):
        yield _Rule(setting, "unset", lambda value: not value, why)


def _history_rule(plan: StreamPlan) -> _Rule:
    least = plan.max_msgs_per_subject
    option = f"--max-msgs-per-subject={least}"
    if plan.is_bucket:
        return _Rule(
            "max_msgs_per_subject",
            str(least),
            lambda value: value == least,
            "older values of a key would be read as current ones",
            option,
        )
    return _Rule(
        "max_msgs_per_subject",
        f"{least} or more",
        lambda value: value == UNLIMITED or value >= least,
        "as many jobs of a kind may be queued"
        if plan.is_work_queue
        else "subscribers that reconnect receive up to that many values",
        option,
    )


def _age_rules(plan: StreamPlan) -> Iterator[_Rule]:
    yield _Rule(
        "max_age",
        _seconds(plan.max_age_s),
        lambda value: float(value or 0) == plan.max_age_s,
        "it is the TTL of a lease" if plan.max_age_s else "messages would expire",
        f"--max-age={plan.max_age_s}s" if plan.max_age_s else "--max-age=0",
    )
    window_s = plan.duplicate_window_s
    option = f"--dupe-window={window_s}s"
    if plan.is_recoverable:
        yield _Rule(
            "duplicate_window",
            f"{_seconds(window_s)} or more",
            lambda value: float(value or 0) >= window_s,
            "a block that is published again must count as a duplicate",
            option,
        )
    elif plan.name == JOB_QUEUE.name:
        yield _Rule(
            "duplicate_window",
            _seconds(window_s),
            lambda value: float(value or 0) == window_s,
            "a lost job is queued again after this time",
            option,
        )


def _setting_value(actual: StreamConfig, setting: str) -> Any:
    value = getattr(actual, setting)
    if setting in _LIMITS:
        return UNLIMITED if value in {None, 0} else value
    if setting == "subjects":
        return sorted(value or [])
    return value


def _seconds(value_s: float) -> str:
    return f"{value_s:g} s" if value_s else "0"


def _format_value(value: Any) -> str:
    match value:
        case bool() | None:
            return str(bool(value)).lower()
        case StorageType() | RetentionPolicy() | DiscardPolicy() | PersistMode():
            return str(value.value)
        case list():
            return " ".join(map(str, value)) or "empty"  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] -- a list of anything
        case float():
            return _seconds(value)
        case int() | str():
            return str(value)
        case _:
            return "set"
