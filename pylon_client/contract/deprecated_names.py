"""Old names of the contract's classes, which stay importable with a warning."""

import warnings
from collections.abc import Callable, Mapping


def deprecated_names(module: str, renamed: Mapping[str, type]) -> Callable[[str], type]:
    """Return a module's `__getattr__` that finds classes by their old names.

    Args:
        module: the name of the module.
        renamed: the classes by their old names.
    """

    def find(name: str) -> type:
        if name not in renamed:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        found = renamed[name]
        warnings.warn(
            f"{module}.{name} is deprecated: use {found.__name__}",
            DeprecationWarning,
            stacklevel=2,
        )
        return found

    return find
