"""How the C library's allocator treats what a picture leaves behind."""

import contextlib
import ctypes
import sys

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
# Floating-point maps of a 2-megapixel picture. Those of larger ones, and the blocks of 16 MB that Pillow takes, go back
# to the system at once, or what they leave would not fit the next picture's.
_KEPT_ARRAY_BYTES = 9 * 2**20
_KEPT_BYTES = 64 * 2**20


def keep_freed_memory() -> bool:
    """Keep the memory of freed arrays for the next picture, instead of having the system clear it anew each time.

    A tenth to a sixth of the time of evidence is page faults otherwise. All threads take from one heap, or each would
    keep as much for itself; they ask for few and large pieces, so they hardly wait for each other. Returns whether the
    C library knows how: glibc does, others are left as they are.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        set_option = ctypes.CDLL(None).mallopt
        done = (
            set_option(_M_MMAP_THRESHOLD, _KEPT_ARRAY_BYTES)
            and set_option(_M_TRIM_THRESHOLD, _KEPT_BYTES)
            and set_option(_M_ARENA_MAX, 1)
        )
    except (OSError, AttributeError):  # e.g. musl
        return False
    return bool(done)


def give_back_memory() -> None:
    """Hand what is free to the system, where the C library knows how; some milliseconds after a large picture."""
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
