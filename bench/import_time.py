"""Part `import`: CPU time of importing the client, compared with that of other packages."""

from collections.abc import AsyncGenerator
from typing import Final

from bench import client_import
from bench.measurement import Measurement, Target
from bench.pairs import Pair
from bench.sizes import Run

_MS_PER_S: Final = 1000


async def measure(run: Run) -> AsyncGenerator[Measurement]:
    """Yield the time of the import."""
    run.report("import")
    pair = client_import.measure()
    yield Measurement(
        "import",
        "import of the client, CPU time",
        f"import {client_import.LIBRARIES}",
        Pair(pair.ours * _MS_PER_S, pair.bare * _MS_PER_S, pair.ratio),
        "ms",
        Target(1.2),
    )
