"""Lines as columns; see columns.pxd."""

import cython

from libc.string cimport memchr, memcmp
from libc.stdint cimport int64_t
from gateway._fast.cells cimport cells_into, read_cell
from gateway._fast.pointer cimport Pointer
from gateway._fast.rows cimport Rows
from gateway._fast.scan cimport (
    JSON_MISSING, MAX_NAMES, SCAN_OK, scan_object, skip_space, value_end,
)
from gateway._fast.texts cimport Text, text_of

cdef enum:
    REFUSED = 0                         # malformed, or a member is given twice
    TAKEN = 1


cdef const uint8_t* inside(
    const uint8_t* at, const uint8_t* end, const Text* name, int64_t index
) noexcept nogil:
    """The member, or the element, of the checked value at `at`; NULL: there is none.

    Cost: nothing behind it is looked at.
    """
    cdef const uint8_t* key
    cdef const uint8_t* closed
    if at[0] == c'[' and index >= 0:
        at = skip_space(at + 1, end)
        while at[0] != c']':
            if index == 0:
                return at
            index -= 1
            at = skip_space(value_end(at, end), end)
            if at[0] == c',':
                at = skip_space(at + 1, end)
    elif at[0] == c'{':
        at = skip_space(at + 1, end)
        while at[0] == c'"':
            key = at + 1
            closed = value_end(at, end)
            at = skip_space(skip_space(closed, end) + 1, end)
            if closed - 1 - key == name.length and memcmp(key, name.at, name.length) == 0:
                return at
            at = skip_space(value_end(at, end), end)
            if at[0] == c',':
                at = skip_space(at + 1, end)
    return NULL


@cython.final
cdef class Columns:

    def __cinit__(self, places, rows=()):
        """`places` are (pointer, reading) of lines; `rows` say which members have rows."""
        cdef Py_ssize_t n
        self.places = tuple(places)
        self.rows = tuple([<Rows?>one for one in rows])
        names = []
        self.inner = []
        for pointer, _ in self.places:
            first, _, rest = pointer[1:].partition("/")
            if not pointer.startswith("/") or not first:
                raise ValueError(f"the place of a line's member begins with '/': {pointer!r}")
            if first not in names:
                names.append(first)
            self.inner.append(Pointer("/" + rest if rest else ""))
        names += [one.member for one in self.rows if one.member not in names]
        if len(names) > MAX_NAMES or len(self.places) > MAX_PLACES or len(self.rows) > MAX_ROWS:
            raise ValueError(
                f"at most {MAX_NAMES} members, {MAX_PLACES} places, {MAX_ROWS} with rows"
            )
        kept = [name.encode() for name in names]
        for n in range(len(names)):
            self.wanted.names[n] = text_of(kept[n])
            self.wanted.by_length[self.wanted.names[n].length & 31] |= <uint32_t>1 << n
        self.wanted.count = len(names)
        for n in range(len(self.places)):
            pointer, reading = self.places[n]
            self.placed[n].name = names.index(pointer[1:].partition("/")[0])
            self.placed[n].reading = reading
            self.placed[n].is_whole = not self.inner[n].text
        for n in range(len(self.rows)):
            self.with_rows[n] = names.index((<Rows>self.rows[n]).member)
        self.kept = tuple(kept)

    def read(self, const uint8_t[::1] data not None, Py_ssize_t start, lines, rows=()):
        """(offset, lines, malformed spans, what Rows say), of each (rows, skipped, …).

        `lines` are (kinds, numbers, words, starts, ends), each with a row a column; `rows` are
        such arrays for each Rows, with the line that a row is of.
        """
        cdef Py_ssize_t line = 0, end
        cdef Py_ssize_t at = start, length = data.shape[0]
        cdef const char* newline
        cdef Rows one
        cdef list malformed = []
        cdef list held = [cells_into(&self.lines, lines, len(self.places))]
        if length > <Py_ssize_t>0xFFFFFFFF:
            raise ValueError("at most 4 GiB of lines at once")
        # Safety: `held` and `data` live until this returns.
        self.base = &data[0] if length else NULL
        for one, (arrays, row_lines) in zip(self.rows, rows, strict=True):
            held.append(one.begin(self.base, arrays, row_lines))
        while at < length and line < self.lines.rows:
            newline = <const char*>memchr(self.base + at, c'\n', <size_t>(length - at))
            end = newline - <const char*>self.base if newline != NULL else length
            if end > at:
                if self.read_line(<uint32_t>at, <uint32_t>end, line) == REFUSED:
                    malformed.append((at, end))
                elif self.have_room():
                    for one in self.rows:
                        one.take(line)
                    line += 1
                else:
                    self.forget(line)
                    break
            at = end + 1
        return min(at, length), line, malformed, [(<Rows>each).said() for each in self.rows]

    cdef bint have_room(self) noexcept:
        cdef Rows one
        for one in self.rows:
            if not one.has_room():
                return False
        return True

    cdef int forget(self, Py_ssize_t line) except -1:
        """Clears what a line that is read again next time has left."""
        cdef Py_ssize_t column
        cdef Rows one
        for column in range(len(self.places)):
            self.lines.kinds[column * self.lines.rows + line] = JSON_MISSING
        for one in self.rows:
            one.forget()
        return 0

    cdef int read_line(self, uint32_t start, uint32_t end, Py_ssize_t line) except -2:
        cdef Member[MAX_NAMES] members
        cdef Py_ssize_t n
        if scan_object(
            <const char*>self.base, start, end, &self.wanted, members, NULL, NULL
        ) != SCAN_OK:
            return REFUSED
        for n in range(self.wanted.count):
            if members[n].count > 1:
                return REFUSED
        for n in range(len(self.places)):
            if members[self.placed[n].name].kind != JSON_MISSING:
                self.read_place(n, members, line)
        for n in range(len(self.rows)):
            if members[self.with_rows[n]].kind != JSON_MISSING:
                (<Rows>self.rows[n]).read(&members[self.with_rows[n]])
        return TAKEN

    cdef int read_place(self, Py_ssize_t n, Member* members, Py_ssize_t line) except -1:
        cdef Pointer inner
        cdef uint32_t step
        cdef const uint8_t* at = self.base + members[self.placed[n].name].start
        cdef const uint8_t* end = self.base + members[self.placed[n].name].end
        if not self.placed[n].is_whole:
            inner = <Pointer>self.inner[n]
            for step in range(inner.count):
                at = inside(at, end, &inner.steps[step], inner.indexes[step])
                if at == NULL:
                    return 0
        read_cell(self.base, &self.lines, n, line, self.placed[n].reading, at, end)
        return 0
