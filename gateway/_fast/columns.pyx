"""Lines as columns; see columns.pxd."""

import cython

from libc.string cimport memchr, memcmp
from libc.stdint cimport int64_t
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from gateway._fast.cells cimport Use, cells_into, put_scalar, read_cell
from gateway._fast.pointer cimport Pointer
from gateway._fast.rows cimport Rows
from gateway._fast.scan cimport (
    JSON_MISSING, MAX_NAMES, SCAN_OK, scan_object, skip_space, value_end,
)
from gateway._fast.skeleton cimport FOUND_KNOWN, FOUND_NONE, scalars_of
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


cdef int scalar_at(const Span* spans, int count, uint32_t start) noexcept nogil:
    """Which of them begins there; -1 none."""
    cdef int low = 0, middle
    while low < count:
        middle = (low + count) // 2
        if spans[middle].start == start:
            return middle
        if spans[middle].start < start:
            low = middle + 1
        else:
            count = middle
    return -1


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
        self.skeletons = Skeletons()
        self.reads = <Read*>PyMem_Calloc(MAX_READS, sizeof(Read))
        if self.reads == NULL:
            raise MemoryError
        self.lessons = MOST_LESSONS

    def __dealloc__(self):
        PyMem_Free(self.reads)

    def read(self, const uint8_t[::1] data not None, Py_ssize_t start, lines, rows=()):
        """(offset, lines, malformed spans, what Rows say), of each (rows, skipped, …).

        `lines` are (kinds, numbers, words, starts, ends), each with a row a column; `rows` are
        such arrays for each Rows, with the line that a row is of.
        """
        cdef int taken
        cdef uint32_t end
        cdef Py_ssize_t line = 0, at = start, length = data.shape[0]
        cdef Rows one
        cdef list malformed = []
        cdef list held = [cells_into(&self.lines, lines, len(self.places))]
        if length > <Py_ssize_t>0xFFFFFFFF:
            raise ValueError("at most 4 GiB of lines at once")
        # Safety: `held` and `data` live until this returns.
        self.base = &data[0] if length else NULL
        self.reading += 1
        for one, (arrays, row_lines) in zip(self.rows, rows, strict=True):
            held.append(one.begin(self.base, arrays, row_lines))
        while at < length and line < self.lines.rows:
            if self.base[at] == c'\n':
                at += 1
                continue
            taken = self.read_line(<uint32_t>at, <uint32_t>length, line, &end)
            if taken == REFUSED:
                malformed.append((at, end))
            elif self.have_room():
                for one in self.rows:
                    one.take(line)
                line += 1
            else:
                self.forget(line)
                break
            at = <Py_ssize_t>end + 1
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

    cdef int read_line(
        self, uint32_t start, uint32_t limit, Py_ssize_t line, uint32_t* end
    ) except -2:
        """Reads the line that begins at `start`; in `end` where its newline is, or the limit."""
        cdef int found = FOUND_NONE
        cdef const void* newline
        if self.may_compare():
            found = self.read_like(start, limit, line)
            if found >= 0:
                end[0] = self.spans[self.ended[found].scalars].end
                return TAKEN
        newline = memchr(self.base + start, c'\n', limit - start)
        end[0] = <uint32_t>(<const uint8_t*>newline - self.base) if newline != NULL else limit
        if found == FOUND_KNOWN or not self.may_learn():
            return self.scan_line(start, end[0], line)
        self.uses.count = self.uses.fixed_count = 0
        self.uses.is_partial = False
        self.note(&self.uses)
        found = self.scan_line(start, end[0], line)
        self.note(NULL)
        if found == TAKEN and not self.uses.is_partial:
            self.learn(start, end[0])
        return found

    cdef int scan_line(self, uint32_t start, uint32_t end, Py_ssize_t line) except -2:
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

    # Lines that are alike.

    cdef bint may_compare(self) noexcept:
        """Why not always: of lines that are never alike it is a waste."""
        self.until_lesson -= 1
        if self.until_lesson < 0:
            self.until_lesson = LINES_A_LESSON
            self.lessons += self.lessons < MOST_LESSONS
        if self.wary < WARY:
            return True
        self.wary += 1
        if self.wary < WARY + WARY_OF:
            return False
        self.wary = WARY
        return True

    cdef bint may_learn(self) noexcept:
        self.wary += self.wary < WARY
        return self.lessons > 0

    cdef int read_like(self, uint32_t start, uint32_t end, Py_ssize_t line) noexcept:
        """Reads a line by what was learned of one like it.

        FOUND_NONE: there is no such line; FOUND_KNOWN: there is, and it has to be scanned.
        """
        cdef const Ending* ending
        cdef const Read* read
        cdef const Span* span
        cdef Rows one
        cdef Py_ssize_t n
        cdef int found = self.skeletons.match(self.base, start, end, self.spans)
        if found == FOUND_NONE:
            return FOUND_NONE
        ending = &self.ended[found]
        if ending.has_unknown and ending.seen != self.reading:
            self.ended[found].seen = self.reading
            return FOUND_KNOWN
        for n in range(ending.count):
            read = &self.reads[ending.first + n]
            if read.is_bare and self.base[self.spans[read.scalar].start] == c'"':
                return FOUND_KNOWN
        for n in range(ending.count):
            read = &self.reads[ending.first + n]
            span = &self.spans[read.scalar]
            if read.part == OF_LINES:
                put_scalar(
                    self.base, &self.lines, read.column, line, self.placed[read.column].reading,
                    self.base + span.start, self.base + span.end,
                )
            else:
                one = <Rows>self.rows[read.part]
                put_scalar(
                    self.base, &one.cells, read.column, one.taken + read.row,
                    one.readings[read.column], self.base + span.start, self.base + span.end,
                )
        for n in range(len(self.rows)):
            one = <Rows>self.rows[n]
            one.count = ending.rows[n]
            one.unknown += ending.unknown[n]
            one.shapeless += ending.shapeless[n]
        self.wary = 0
        self.compared += 1
        return found

    cdef void note(self, Uses* uses) noexcept:
        """Where what becomes a cell is noted from now on; NULL: nowhere."""
        cdef Rows one
        cdef Py_ssize_t n
        self.lines.uses, self.lines.part = uses, OF_LINES
        for n in range(len(self.rows)):
            one = <Rows>self.rows[n]
            one.cells.uses, one.cells.part = uses, <uint8_t>n

    cdef void learn(self, uint32_t start, uint32_t end) noexcept:
        """Keep how this line was read, if another one like it can be read so."""
        cdef int count, found, n
        self.lessons -= 1
        count = scalars_of(
            self.base, start, end, self.uses.fixed, self.uses.fixed_count, self.spans
        )
        for n in range(self.uses.count):
            if scalar_at(self.spans, count, self.uses.of[n].start) < 0:
                return                  # an array or an object became a cell
        if count < 0 or self.uses.count > MAX_READS:
            return
        found = FOUND_NONE
        if self.read_count + self.uses.count <= MAX_READS:
            found = self.skeletons.learn(self.base, start, end, self.spans, count)
        if found == FOUND_NONE and self.wary >= WARY:
            # Why only now: what was learned is of no use any more.
            self.skeletons.clear()
            self.read_count = 0
            found = self.skeletons.learn(self.base, start, end, self.spans, count)
        if found >= 0:
            self.keep(&self.ended[found], count)

    cdef void keep(self, Ending* ending, int count) noexcept:
        """What a line with this ending brings; `spans` are its `count` scalars."""
        cdef const Use* use
        cdef Read* read
        cdef Rows one
        cdef int n
        ending.first, ending.count = self.read_count, self.uses.count
        ending.scalars = count
        ending.has_unknown, ending.seen = False, 0
        self.read_count += self.uses.count
        for n in range(self.uses.count):
            use = &self.uses.of[n]
            # Safety: the caller asked whether there is room, and found all scalars.
            read = &self.reads[ending.first + n]
            read.column, read.part, read.is_bare = use.column, use.part, use.is_bare
            read.scalar = <uint16_t>scalar_at(self.spans, count, use.start)
            read.row = 0
            if use.part != OF_LINES:
                read.row = use.row - <int32_t>(<Rows>self.rows[use.part]).taken
        for n in range(len(self.rows)):
            one = <Rows>self.rows[n]
            ending.rows[n] = <int32_t>one.count
            ending.unknown[n] = <int32_t>(one.unknown - one.unknown_before)
            ending.shapeless[n] = <int32_t>(one.shapeless - one.shapeless_before)
            ending.has_unknown |= ending.unknown[n] > 0

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
