"""Call methods of a published client, in an environment that contains only that client.

Argument: a JSON object of the address, the identity, and the calls: the accessor, the method and
the arguments of each. The accessor `models` gives a body to the model of that name instead. Prints
a JSON list: the result of each call, or the exception that it raised.
"""

import importlib
import json
import sys
import warnings
from typing import Any

# A newer client warns that its module of the oldest client is deprecated.
warnings.simplefilter("ignore")


def result_of(use: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"returned": json.loads(use(**arguments).model_dump_json())}
    except Exception as error:  # noqa: BLE001 -- every exception is a result
        return {"raised": type(error).__name__, "text": str(error)}


def main() -> None:
    request = json.loads(sys.argv[1])
    module = importlib.import_module(request["module"])
    with module.PylonClient(module.Config(**request["config"])) as client:
        root = getattr(client, request["api"]) if request["api"] else client
        places = {
            "open_access": root.open_access,
            "identity": root.identity,
            "models": importlib.import_module(request["models"]),
        }
        seen = [
            result_of(getattr(places[accessor], name), arguments)
            for accessor, name, arguments in request["calls"]
        ]
    json.dump(seen, sys.stdout)


main()
