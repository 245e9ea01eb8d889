"""Arrays of a PyTorch checkpoint, read without PyTorch and without running what a pickle may ask for."""

import io
import pickle
from collections import OrderedDict
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

# First pickle of a file of `torch.save` before its zip format.
_MAGIC: Final = 0x1950A86A20F9469CFC6C
_TYPES: Final = {"FloatStorage": "<f4", "LongStorage": "<i8"}

# Key of the storage, first element, shape, and how many elements lie between neighbours.
_View = tuple[str, int, tuple[int, ...], tuple[int, ...]]


def read_checkpoint(content: bytes) -> dict[str, NDArray[Any]]:
    """Arrays by name.

    Args:
        content: Of a file that `torch.save` wrote of a state dictionary, in the format before 1.6: four pickles (magic
            number, version, system, arrays as views of storages), the storages' keys, then each storage's length and
            values.

    Raises:
        ValueError: It is no such file.
    """
    file = io.BytesIO(content)
    try:
        if _Reader(file).load() != _MAGIC:
            raise pickle.UnpicklingError("it begins otherwise")
        for _ in ("version", "system"):
            _Reader(file).load()
        reader = _Reader(file)
        views: dict[str, _View] = reader.load()
        storages = {key: _storage(file, reader.types[key]) for key in _Reader(file).load()}
        return {name: _viewed(storages[view[0]], view) for name, view in views.items()}
    except (pickle.UnpicklingError, EOFError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"not a checkpoint of PyTorch's first format: {error}") from error


class _Reader(pickle.Unpickler):
    """Knows the few names that arrays need; any other is refused."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.types: dict[str, str] = {}

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401  # as pickle has it
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda key, first, shape, steps, *_: (key, first, shape, steps)
        if module == "torch" and name in _TYPES:
            return name
        raise pickle.UnpicklingError(f"{module}.{name} is no part of an array")

    def persistent_load(self, pid: Any) -> str:  # noqa: ANN401
        _, kind, key, *_ = pid
        self.types[key] = _TYPES[kind]
        return str(key)


def _storage(file: BinaryIO, dtype: str) -> NDArray[Any]:
    count = int.from_bytes(file.read(8), "little")
    content = file.read(count * np.dtype(dtype).itemsize)
    if len(content) < count * np.dtype(dtype).itemsize:
        raise EOFError("it ends within an array")
    return np.frombuffer(content, dtype)


def _viewed(storage: NDArray[Any], view: _View) -> NDArray[Any]:
    """The array in an order of its own; checked, since views beyond their storage would read any memory."""
    _, first, shape, steps = view
    last = first + sum((side - 1) * step for side, step in zip(shape, steps, strict=True))
    if first < 0 or last >= len(storage) or min(steps, default=0) < 0:
        raise pickle.UnpicklingError("an array reaches beyond its storage")
    strides = [step * storage.itemsize for step in steps]
    return np.ascontiguousarray(np.lib.stride_tricks.as_strided(storage[first:], shape, strides))
