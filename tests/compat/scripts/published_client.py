"""Call every method of a published client, in an environment that contains only that client.

Argument: a JSON object of the address, the identity, and a value for each parameter's name. Prints
a JSON object: the result of each method, or the exception that it raised, by
`<flavour>.<accessor>.<method>`.
"""

import asyncio
import importlib
import inspect
import json
import sys
import time
import urllib.request
import warnings
from typing import Any

# A newer client warns that its module of the oldest client is deprecated.
warnings.simplefilter("ignore")


def methods_of(api: Any) -> dict[str, inspect.Signature]:
    """Return the public methods, writes first, so that reads find something.

    `set_commitment` is the last write, because v1 does not return timelocked commitments.
    """
    methods = {
        name: inspect.signature(method)
        for name, method in inspect.getmembers(api, inspect.ismethod)
        if not name.startswith("_")
    }
    last_first = sorted(methods.items(), reverse=True)
    return dict(sorted(last_first, key=lambda item: item[0].startswith("get_")))


def arguments(signature: inspect.Signature, values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: values[name]
        for name, parameter in signature.parameters.items()
        if name in values or parameter.default is inspect.Parameter.empty
    }


def get_json(url: str) -> Any:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(url) as response:
        return json.load(response)


def wait_until_readable(request: dict[str, Any]) -> None:
    """Wait until reads show what was included so far: publishing may be behind the chain."""
    best_number = get_json(request["devnet_status"])["best_number"]
    while get_json(request["latest_block"])["number"] < best_number:
        time.sleep(0.05)


def returned(value: Any) -> dict[str, Any]:
    return {"returned": json.loads(value.model_dump_json())}


def raised(error: Exception) -> dict[str, Any]:
    return {"raised": type(error).__name__, "text": str(error)}


async def use_async(module: Any, config: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    async with module.AsyncPylonClient(module.AsyncConfig(**config)) as client:
        root = getattr(client, request["api"]) if request["api"] else client
        for accessor in ("open_access", "identity"):
            api = getattr(root, accessor)
            methods = methods_of(api)
            first_read = next(name for name in methods if name.startswith("get_"))
            for name, signature in methods.items():
                if name == first_read:
                    wait_until_readable(request)
                key = f"async.{accessor}.{name}"
                try:
                    values = arguments(signature, request["values"])
                    seen[key] = returned(await getattr(api, name)(**values))
                except Exception as error:  # noqa: BLE001 -- whatever it is, it is told
                    seen[key] = raised(error)
    return seen


def use_sync(module: Any, config: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    with module.PylonClient(module.Config(**config)) as client:
        root = getattr(client, request["api"]) if request["api"] else client
        for accessor in ("open_access", "identity"):
            api = getattr(root, accessor)
            methods = methods_of(api)
            first_read = next(name for name in methods if name.startswith("get_"))
            for name, signature in methods.items():
                if name == first_read:
                    wait_until_readable(request)
                key = f"sync.{accessor}.{name}"
                try:
                    values = arguments(signature, request["values"])
                    seen[key] = returned(getattr(api, name)(**values))
                except Exception as error:  # noqa: BLE001 -- whatever it is, it is told
                    seen[key] = raised(error)
    return seen


def main() -> None:
    request = json.loads(sys.argv[1])
    module = importlib.import_module(request["module"])
    seen = asyncio.run(use_async(module, request["config"], request))
    seen |= use_sync(module, request["config"], request)
    json.dump(seen, sys.stdout)


main()
