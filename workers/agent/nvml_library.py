"""The only place that knows pynvml: it is imported when first needed, and its faults become one of our own."""

from __future__ import annotations

import _ctypes
import importlib
from contextlib import suppress
from types import ModuleType
from typing import Any

LIBRARY_NOT_FOUND = 12


class NvmlFault(Exception):
    """NVML said no; ``code`` is its own number."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code


def opened() -> ModuleType:
    """pynvml with NVML initialised; NvmlFault where there is no driver."""
    try:
        library = importlib.import_module("pynvml")
    except ImportError as error:
        raise NvmlFault(LIBRARY_NOT_FOUND, str(error)) from None
    try:
        call(library, "nvmlInit")
    except NvmlFault:
        close(library)  # the next try takes the library that is installed by then
        raise
    return library


def call(library: ModuleType | None, function: str, *arguments: Any) -> Any:
    """What a function of pynvml gives."""
    if library is None:
        raise NvmlFault(1, "NVML is not open")
    try:
        return getattr(library, function)(*arguments)
    except library.NVMLError as error:
        raise NvmlFault(error.value, str(error)) from None


def close(library: ModuleType) -> None:
    """Shut NVML down and let go of the shared library, so that the next opening finds the one of a new driver."""
    with suppress(library.NVMLError):  # it was broken: that is why it is closed
        library.nvmlShutdown()
    loaded = getattr(library, "nvmlLib", None)
    if loaded is None or not hasattr(library, "_nvmlGetFunctionPointer_cache"):
        return  # another pynvml than ours: the library stays, and an updated driver wants a restart of the agent
    library._nvmlGetFunctionPointer_cache.clear()
    library.nvmlLib = None  # type: ignore[attr-defined]
    _ctypes.dlclose(loaded._handle)
