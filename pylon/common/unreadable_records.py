"""Records that cannot be read, of the chain, of a stream or of the ledger.

The same record is read at every block. So each one is logged once, and every reading is counted.
"""

import hashlib
import logging
import threading
from collections import Counter, OrderedDict
from typing import Final

MAX_LOGGED_RECORDS: Final = 10_000
"""Maximum number of logged records that are remembered, about 1 MB; the oldest is logged again."""
_DIGEST_BYTES: Final = 16


class UnreadableRecords:
    """Logs each unreadable record once, and counts all readings; any thread may use it.

    Args:
        max_logged: how many logged records are remembered.
    """

    def __init__(self, max_logged: int = MAX_LOGGED_RECORDS) -> None:
        self._max_logged = max_logged
        self._logged: OrderedDict[bytes, None] = OrderedDict()
        self._counts = Counter[str]()
        self._lock = threading.Lock()

    @property
    def counts(self) -> dict[str, int]:
        """Return how many readings failed, by the kind of the record."""
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
        """Count a reading that failed, and log it if it is the first of this record.

        Args:
            logger: of the reader.
            kind: of the record: the label of the metric, one of a few.
            record: identifies the record and its content, by its `repr`; without the block at which
                it was read.
            text: of the warning, with a placeholder for each of `args`.
            args: values of the text.
            error: logged with its traceback, as an error; None logs a warning.
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
            text = f"{text}; from now on it is only counted"
            logger.log(level, text, *args, exc_info=error)

    def clear(self) -> None:
        """Forget all that was logged and counted."""
        with self._lock:
            self._logged.clear()
            self._counts.clear()


UNREADABLE: Final = UnreadableRecords()
"""Those of this process, whichever of its event loops reads them."""
