"""Where a worker builds heads: see scratch.pxd for the rules."""

import time

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy
from gateway._fast.clock cimport hex_into, realtime_s
from gateway._fast.digits cimport NUMBER_BYTES, digits8_into, number_into
from gateway._fast.head cimport Field

cdef enum:
    NANO_PER_USD = 1_000_000_000


cdef class Scratch:

    def __cinit__(self):
        self.data = <char*>PyMem_Malloc(SCRATCH_BYTES + NUMBER_BYTES)
        if self.data == NULL:
            raise MemoryError

    def __dealloc__(self):
        PyMem_Free(self.data)

    cdef void begin(self) noexcept nogil:
        self.used = 0
        self.overflowed = False

    cdef void add_field(self, const char* data, const Field* field) noexcept nogil:
        """One field line. Cost: one copy where it came in the usual form, four otherwise."""
        cdef uint32_t value_end = field.value_at + field.value_length
        if (
            field.value_at == field.name_at + field.name_length + 2
            and data[field.value_at - 1] == 32 and data[value_end] == 13
        ):
            # Safety: the parser saw the LF behind this CR, in the same buffer.
            self.add(data + field.name_at, value_end + 2 - field.name_at)
            return
        self.add(data + field.name_at, field.name_length)
        self.put(b": ")
        self.add(data + field.value_at, field.value_length)
        self.put(b"\r\n")

    cdef void add_number(self, uint64_t number) noexcept nogil:
        # Safety: behind SCRATCH_BYTES there are NUMBER_BYTES more.
        cdef uint32_t length = <uint32_t>number_into(self.data + self.used, number)
        if length > SCRATCH_BYTES - self.used:
            self.overflowed = True
            return
        self.used += length

    cdef void add_hex(self, uint64_t number) noexcept nogil:
        """Sixteen digits, lower case."""
        cdef char[16] digits
        hex_into(digits, number)
        self.add(digits, 16)

    cdef void add_millis(self, uint64_t ns) noexcept nogil:
        """Milliseconds with three decimals, for server-timing."""
        cdef uint64_t us = ns // 1000
        cdef uint64_t rest = us % 1000
        cdef char[8] decimals
        if us == 0:
            self.put(b"0.000")          # what most waits come to
            return
        self.add_number(us // 1000)
        digits8_into(decimals, rest)
        decimals[4] = c"."
        self.add(decimals + 4, 4)

    cdef void add_usd(self, uint64_t nano_usd) noexcept nogil:
        """Dollars with nine decimals."""
        cdef uint64_t rest = nano_usd % NANO_PER_USD
        cdef char[10] decimals
        self.add_number(nano_usd // NANO_PER_USD)
        decimals[0] = c"."
        decimals[1] = <char>(48 + rest // 100_000_000)
        digits8_into(decimals + 2, rest % 100_000_000)
        self.add(decimals, 10)

    cdef void add_date(self) noexcept:
        cdef uint64_t second = realtime_s()
        if second != self.second:
            self.second = second
            self.write_date()
        self.add(self.date, 37)

    cdef void write_date(self) noexcept:
        """Once a second."""
        cdef bytes line = time.strftime(
            "date: %a, %d %b %Y %H:%M:%S GMT\r\n", time.gmtime(self.second)
        ).encode("ascii")
        # Safety: the format gives 37 bytes for every year of four digits.
        memcpy(self.date, PyBytes_AS_STRING(line), min(37, PyBytes_GET_SIZE(line)))

    cdef bytes built(self):
        return PyBytes_FromStringAndSize(self.data, self.used)

    cdef bytes built_with(self, bytes body):
        """The content and a body behind it, in one object. Cost: one allocation, two copies."""
        cdef Py_ssize_t length = PyBytes_GET_SIZE(body)
        cdef bytes whole = PyBytes_FromStringAndSize(NULL, self.used + length)
        # Safety: `whole` is new and as long as both parts together.
        memcpy(PyBytes_AS_STRING(whole), self.data, self.used)
        memcpy(PyBytes_AS_STRING(whole) + self.used, PyBytes_AS_STRING(body), length)
        return whole

    def build(self, *parts):
        """Add bytes, numbers, and ("ms" | "usd" | "hex" | "date", number) pairs; the result."""
        self.begin()
        for part in parts:
            if isinstance(part, bytes):
                self.add_bytes(part)
            elif isinstance(part, int):
                self.add_number(part)
            elif part[0] == "ms":
                self.add_millis(part[1])
            elif part[0] == "usd":
                self.add_usd(part[1])
            elif part[0] == "hex":
                self.add_hex(part[1])
            else:
                self.add_date()
        return self.built()
