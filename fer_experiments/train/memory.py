"""Keep freed memory in the process, so that the next step's activations need no new pages."""

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h


def keep_freed_memory() -> bool:
    """Let glibc serve large blocks from its heap and not give them back; True where that was possible.

    glibc maps each block over 32 MB anew and unmaps it when freed. The CNN's largest activations are 79 MB at a batch
    of 64, so every step would touch fresh pages, each of which the kernel must zero: a third of its time on the CPU.
    Values don't change.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    return bool(libc.mallopt(M_MMAP_THRESHOLD, 1 << 30)) and bool(libc.mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1))
