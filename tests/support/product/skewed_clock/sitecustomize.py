"""Give a process a wrong clock; Python imports this module at its start if it is on the path."""

import os
import time

_SKEW_S = float(os.environ["CLOCK_SKEW_S"])
_time, _time_ns = time.time, time.time_ns
time.time = lambda: _time() + _SKEW_S
time.time_ns = lambda: _time_ns() + int(_SKEW_S * 1e9)
