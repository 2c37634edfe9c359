"""Keep freed memory in the process, so that the activations of the next step need no new pages."""

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h


def keep_freed_memory() -> bool:
    """Let glibc take large blocks from its heap and not return them to the system; return whether that was possible.

    glibc maps each block over 32 MB anew and unmaps it when it is freed. The CNN's largest activations are 79 MB at a
    batch of 64, so every step would touch fresh pages, each of which the kernel must zero: a third of the step's time
    on a CPU. No values change.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    return bool(libc.mallopt(M_MMAP_THRESHOLD, 1 << 30)) and bool(libc.mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1))
