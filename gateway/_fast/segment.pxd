# The end of the prediction log that is written: a stream of lines into mapped files.
#
#   Stream  one process's lines, numbered by `seq`; it has a current Segment and a spare one
#   Segment one file, allocated to its full length and mapped before it comes here
#
# Rule 1: a line is complete when its newline is there, and its newline is written last: a
#         process that is killed leaves at most an unfinished line behind the last newline.
# Rule 2: appending is memory only: no system call (but for `always_sync`), no allocation,
#         no file is opened. Whoever owns the stream brings a spare in time and takes away
#         what is full (gateway/log/writer.py).
# Rule 3: every number is used once. A line that has no room is dropped and counted, and the
#         gap in the numbers says so to whoever reads the stream.
# Safety: the file's blocks are allocated (posix_fallocate), so that writing cannot fail for
#         want of space; nobody truncates it while this process holds its lock.
# Rule 4: pages come into memory before lines do: `touch` is called ahead by a thread of the
#         owner. A fault on the way would stop every exchange of the process, for as long as the
#         kernel takes to read ahead: 25 ms where it reads 8 MiB.
# Cost: bench/micro/record.py.

cimport cython
from libc.stddef cimport size_t
from libc.stdint cimport uint64_t

@cython.final
cdef class Segment:                     # Segment(fd, number): maps it; owns the descriptor
    cdef readonly int fd
    cdef readonly int number
    cdef readonly size_t size
    cdef readonly size_t used
    cdef readonly size_t touched        # bytes whose pages are in memory, writable
    cdef readonly uint64_t begun_ns     # when its first line came; 0: it is empty
    cdef char* data

    cdef bint append(self, const char* line, size_t length, uint64_t now_ns) noexcept nogil

@cython.final
cdef class Stream:                      # Stream(name, always_sync=False)
    cdef readonly str name
    cdef readonly uint64_t seq          # of the last line, kept or dropped
    cdef readonly uint64_t records      # appended
    cdef readonly uint64_t written_bytes
    cdef readonly uint64_t dropped
    cdef readonly bint always_sync
    cdef readonly Segment current
    cdef readonly Segment spare
    cdef list full                      # segments to be taken away

    # The line without its newline, which has the number seq + 1; False: dropped.
    cdef bint append(self, const char* line, size_t length, uint64_t now_ns) except -1
    # A line that is not even tried: its number is used, and it counts as dropped.
    cdef void skip(self) noexcept nogil
    cdef int roll(self) except -1
    # Whether what is under way may fill what is left before more room comes.
    cdef bint is_short(self) noexcept nogil
