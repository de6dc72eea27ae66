"""The end of the prediction log that is written: see segment.pxd for the rules."""

import cython
import os

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t
from libc.string cimport memcpy
from posix.mman cimport MAP_FAILED, MAP_SHARED, PROT_READ, PROT_WRITE, mmap, munmap

cdef extern from *:
    """
    #include <sys/mman.h>
    #include <unistd.h>
    #ifdef MADV_POPULATE_WRITE
    #define segment_populate(at, length) madvise(at, length, MADV_POPULATE_WRITE)
    #elif defined(__linux__)
    #define segment_populate(at, length) madvise(at, length, 23)
    #else
    #define segment_populate(at, length) 0
    #endif
    static inline void segment_end_line(char *at) {
        __atomic_store_n(at, '\\n', __ATOMIC_RELEASE);
    }
    #ifdef __linux__
    #define segment_sync(fd) fdatasync(fd)
    #else
    #define segment_sync(fd) fsync(fd)
    #endif
    """
    void segment_end_line(char* at) noexcept nogil
    int segment_sync(int fd) noexcept nogil
    int segment_populate(char* at, size_t length) noexcept nogil

cdef enum:
    SHORT_SHARE = 4                     # a quarter of a segment is kept for what is under way
    PAGE_MASK = 0xFFFF                  # pages of 64 KiB are the largest that there are


@cython.final
cdef class Segment:
    """Maps an allocated file that this process holds the lock of; `fd` is owned from here on."""

    def __cinit__(self, int fd, int number):
        cdef void* memory
        self.fd = -1
        self.number = number
        self.size = os.fstat(fd).st_size
        memory = mmap(NULL, self.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
        if memory == MAP_FAILED:
            raise OSError(f"segment {number} cannot be mapped")
        self.data = <char*>memory
        self.fd = fd

    def __dealloc__(self):
        self.close()

    def close(self):
        """Unmap and let go of the lock: from here on the file is the sealer's."""
        cdef char* data = self.data
        if data != NULL:
            self.data = NULL
            with nogil:                     # some milliseconds
                munmap(data, self.size)
            # Safety: whoever appends to it finds it full.
            self.used = self.size
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def touch(self, size_t end):
        """Have the pages up to here in memory; takes milliseconds, and nobody waits for it.

        What an old kernel (before Linux 5.14) cannot do is left to the faults.
        """
        cdef size_t begin = max(self.touched, self.used & ~<size_t>PAGE_MASK)
        end = min((end + PAGE_MASK) & ~<size_t>PAGE_MASK, self.size)
        if self.data == NULL or end <= begin:
            return
        with nogil:
            segment_populate(self.data + begin, end - begin)
        self.touched = end

    cdef bint append(self, const char* line, size_t length, uint64_t now_ns) noexcept nogil:
        # Safety: size - used is what is left, and a line takes its length and one byte.
        if length + 1 > self.size - self.used:
            return False
        memcpy(self.data + self.used, line, length)
        segment_end_line(self.data + self.used + length)
        self.used += length + 1
        if self.begun_ns == 0:
            self.begun_ns = now_ns
        return True


@cython.final
cdef class Stream:
    """The lines of one process; `attach` brings segments, `take_full` hands full ones out."""

    def __init__(self, name, *, always_sync=False):
        self.name = name
        self.always_sync = always_sync
        self.full = []

    def attach(self, Segment segment not None):
        """Write into this one, now or when the current one is full."""
        if self.current is None:
            self.current = segment
        elif self.spare is None:
            self.spare = segment
        else:
            raise ValueError(f"stream {self.name} has a spare segment")

    def take_full(self):
        """The segments that nothing will be written into any more."""
        full, self.full = self.full, []
        return full

    def roll_if_older(self, uint64_t before_ns):
        """Begin a new segment where the current one was begun before this, and a spare is there."""
        if self.current is not None and self.spare is not None and 0 < self.current.begun_ns < before_ns:
            self.roll()

    def add(self, bytes line not None, uint64_t now_ns):
        """Append a line built outside, which has the number seq + 1; whether it was kept."""
        return self.append(PyBytes_AS_STRING(line), <size_t>PyBytes_GET_SIZE(line), now_ns)

    def close(self):
        """Nothing more is written; what is here is handed out by take_full."""
        for segment in (self.current, self.spare):
            if segment is not None:
                self.full.append(segment)
        self.current = self.spare = None

    @property
    def is_low(self):
        """See is_short."""
        return bool(self.is_short())

    cdef bint append(self, const char* line, size_t length, uint64_t now_ns) except -1:
        self.seq += 1
        if self.current is None or not self.current.append(line, length, now_ns):
            if not self.roll() or not self.current.append(line, length, now_ns):
                self.dropped += 1
                return False
        self.records += 1
        self.written_bytes += length + 1
        if self.always_sync:
            segment_sync(self.current.fd)
        return True

    cdef void skip(self) noexcept nogil:
        self.seq += 1
        self.dropped += 1

    cdef int roll(self) except -1:
        """On to the spare segment; False: there is none."""
        if self.spare is None:
            return False
        if self.current is not None:
            self.full.append(self.current)
        self.current = self.spare
        self.spare = None
        return True

    cdef bint is_short(self) noexcept nogil:
        if self.current is None:
            return True
        return self.spare is None and (
            self.current.size - self.current.used < self.current.size // SHORT_SHARE
        )
