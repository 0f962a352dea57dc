"""Log and counters of records that cannot be decoded, of the chain, a stream or the job store.

Such a record may be read at every block. So each record is logged once, and every read is counted.
"""

import hashlib
import logging
import threading
from collections import Counter, OrderedDict
from typing import Final

MAX_LOGGED_RECORDS: Final = 10_000
"""Maximum number of remembered records, about 1 MB; a forgotten record is logged again."""
_DIGEST_BYTES: Final = 16


class UnreadableRecords:
    """Logs each unreadable record once, and counts all reads; thread-safe.

    Args:
        max_logged: maximum number of remembered records.
    """

    def __init__(self, max_logged: int = MAX_LOGGED_RECORDS) -> None:
        self._max_logged = max_logged
        self._logged: OrderedDict[bytes, None] = OrderedDict()
        self._counts = Counter[str]()
        self._lock = threading.Lock()

    @property
    def counts(self) -> dict[str, int]:
        """Return the number of failed reads by kind of record."""
        with self._lock:
            return dict(self._counts)

    def report(
        self,
        logger: logging.Logger,
        kind: str,
        record: object,
        text: str,
        *args: object,
        error: BaseException | None = None,
    ) -> None:
        """Count a failed read, and log it if it is the first one of this record.

        Args:
            logger: logger of the calling module.
            kind: kind of the record, used as a metric label; one of a few values.
            record: identifies the record and its content by its `repr`; it must not contain the
                block of the read.
            text: format of the log message.
            args: arguments of the log message.
            error: logged with its traceback at level ERROR; None to log at level WARNING.
        """
        key = hashlib.blake2b(f"{kind} {record!r}".encode(), digest_size=_DIGEST_BYTES).digest()
        with self._lock:
            self._counts[kind] += 1
            is_new = key not in self._logged
            self._logged[key] = None
            self._logged.move_to_end(key)
            if len(self._logged) > self._max_logged:
                self._logged.popitem(last=False)
        if is_new:
            level = logging.WARNING if error is None else logging.ERROR
            text = f"{text}; further reads are only counted"
            logger.log(level, text, *args, exc_info=error)

    def clear(self) -> None:
        """Reset the remembered records and the counters."""
        with self._lock:
            self._logged.clear()
            self._counts.clear()


UNREADABLE: Final = UnreadableRecords()
"""The instance of this process, shared by its event loops."""
