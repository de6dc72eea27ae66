"""Rows of a member as columns; see rows.pxd."""

import cython

from libc.stdint cimport uint64_t
from libc.string cimport memcmp, memcpy, memset
from cpython.bytes cimport PyBytes_AS_STRING
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from gateway._fast.cells cimport MAX_FIXED, Uses, cells_into, read_cell
from gateway._fast.hashing cimport xxh3
from gateway._fast.scan cimport (
    JSON_ARRAY, JSON_MISSING, JSON_OBJECT, JSON_STRING, kind_of, skip_space, value_end,
)
from gateway._fast.texts cimport text_of

cdef const char* SEALED = b'"gcm1'      # an encrypted member begins like this


@cython.final
cdef class Rows:

    def __cinit__(self, str member, columns, *, bint is_bare=False):
        """`columns` are (name, reading)."""
        cdef int32_t n
        self.member = member
        self.columns = tuple(columns)
        self.is_bare = is_bare
        self.bare = -1
        names = [name for name, _ in self.columns]
        if len(names) > MAX_COLUMNS:
            raise ValueError(f"at most {MAX_COLUMNS} columns of {member}")
        found = fields_of(names)
        places = {int(name): n for n, name in enumerate(names) if is_position(name)}
        self.allocate(len(found), max(places, default=-1) + 1)
        for n in range(len(names)):
            self.readings[n] = self.columns[n][1]
        for place, column in places.items():
            self.at_position[<Py_ssize_t>place] = column
        if is_bare and "" in names:
            self.bare = found.pop("")[0]
        self.kept = tuple([name.encode() for name in found])
        for name, (first, width) in zip(self.kept, found.values(), strict=True):
            self.add_field(name, first, width)

    def __dealloc__(self):
        PyMem_Free(self.table)
        PyMem_Free(self.slots)
        PyMem_Free(self.at_position)
        PyMem_Free(self.readings)

    cdef int allocate(self, Py_ssize_t names, Py_ssize_t positions) except -1:
        cdef Py_ssize_t n
        self.slot_count = 4
        while self.slot_count < <uint64_t>names * 2 + 2:
            self.slot_count *= 2
        self.positions = positions
        self.table = <Field*>PyMem_Calloc(<size_t>names + 1, sizeof(Field))
        self.slots = <int32_t*>PyMem_Calloc(self.slot_count, sizeof(int32_t))
        self.at_position = <int32_t*>PyMem_Calloc(<size_t>positions + 1, sizeof(int32_t))
        self.readings = <int32_t*>PyMem_Calloc(<size_t>len(self.columns) + 1, sizeof(int32_t))
        if not (self.table and self.slots and self.at_position and self.readings):
            raise MemoryError
        for n in range(positions):
            self.at_position[n] = -1
        return 0

    cdef int add_field(self, bytes name, int32_t first, int32_t width) except -1:
        """Safety: `name` is in `kept`."""
        cdef uint64_t slot = xxh3(PyBytes_AS_STRING(name), <size_t>len(name), 0) % self.slot_count
        self.table[self.table_count].name = text_of(name)
        self.table[self.table_count].first = first
        self.table[self.table_count].width = width
        while self.slots[slot]:
            slot = (slot + 1) % self.slot_count
        self.table_count += 1
        self.slots[slot] = <int32_t>self.table_count
        return 0

    # One read.

    cdef list begin(self, const uint8_t* base, arrays, int32_t[::1] lines):
        """Where the next lines' rows go; returns what holds it there."""
        cdef list held = cells_into(&self.cells, arrays, len(self.columns))
        if lines.shape[0] < self.cells.rows:
            raise ValueError("each row has its line")
        self.lines = &lines[0] if lines.shape[0] else NULL
        self.base = base
        self.taken = self.count = 0
        self.skipped = self.unknown = self.shapeless = 0
        self.unknown_before = self.shapeless_before = 0
        self.stranger_count = 0
        held.append(lines)
        return held

    cdef bint has_room(self) noexcept:
        """Whether the rows of this line may be taken: all of them, or those of the first line."""
        return self.taken == 0 or self.count <= self.cells.rows - self.taken

    cdef void take(self, Py_ssize_t line) noexcept:
        """The rows of this line are kept, as far as there is room."""
        cdef Py_ssize_t i
        cdef Py_ssize_t kept = min(self.count, self.cells.rows - self.taken)
        for i in range(self.taken, self.taken + kept):
            self.lines[i] = <int32_t>line
        self.skipped += self.count - kept
        self.taken += kept
        self.count = 0
        self.unknown_before = self.unknown
        self.shapeless_before = self.shapeless

    cdef void forget(self) noexcept:
        """Clears what a line that is read again next time, or that is malformed, has left."""
        cdef Py_ssize_t column, left = min(self.count, self.cells.rows - self.taken)
        if left:
            for column in range(len(self.columns)):
                memset(
                    self.cells.kinds + column * self.cells.rows + self.taken, JSON_MISSING,
                    <size_t>left,
                )
        self.count = 0
        self.unknown = self.unknown_before
        self.shapeless = self.shapeless_before

    cdef tuple said(self):
        """(rows, rows skipped, unknown, names of unknown, shapeless)."""
        cdef int i
        names = [
            (<const char*>self.base)[self.strangers[2 * i]:self.strangers[2 * i + 1]]
            for i in range(self.stranger_count)
        ]
        return self.taken, self.skipped, self.unknown, names, self.shapeless

    cdef void read(self, const Member* member) noexcept:
        """The rows of a line's member."""
        cdef const uint8_t* begin = self.base + member.start
        cdef const uint8_t* end = self.base + member.end
        cdef const uint8_t* at
        cdef uint8_t first
        self.guess = 0
        if member.kind == JSON_OBJECT:
            self.read_object(begin, end)
            self.count = 1
            return
        if member.kind != JSON_ARRAY:
            if self.is_bare and (member.kind == JSON_STRING or self.bare < 0):
                self.note_more()        # whether it is a value hangs on its text
            if not self.is_bare or (
                member.kind == JSON_STRING and end - begin > 5 and memcmp(begin, SEALED, 5) == 0
            ):
                self.shapeless += 1
                return
            self.read_at(self.bare, self.taken, begin, end)
            if self.cells.uses != NULL and self.cells.uses.count:
                self.cells.uses.of[self.cells.uses.count - 1].is_bare = True
            self.count = 1
            return
        at = skip_space(begin + 1, end)
        if at[0] == c']':
            return
        first = kind_of(at[0])
        if first == JSON_OBJECT:
            self.read_tensors(at, end)
        elif first == JSON_ARRAY:
            self.read_arrays(at, end)
        elif self.is_bare:
            self.read_bare(at, end)
        else:
            self.read_positions(begin, end)
            self.count = 1

    cdef const uint8_t* read_object(self, const uint8_t* at, const uint8_t* end) noexcept:
        """One row of values by name; behind it."""
        cdef const uint8_t* name
        cdef Field* field
        cdef Py_ssize_t row = self.taken + self.count
        at = skip_space(at + 1, end)
        while at[0] == c'"':
            name = at + 1
            field = self.expected(name, end)
            if field != NULL:
                at = name + field.name.length + 1
            else:
                at = value_end(at, end)
                field = self.field_of(name, at - 1 - name)
            at = skip_space(skip_space(at, end) + 1, end)
            if field == NULL:
                self.add_stranger(name - 1, end - name)
                at = value_end(at, end)
            else:
                at = self.read_member(field, row, at, end)
            at = skip_space(at, end)
            if at[0] != c',':
                break
            at = skip_space(at + 1, end)
        return at + 1

    cdef const uint8_t* read_member(
        self, const Field* field, Py_ssize_t row, const uint8_t* at, const uint8_t* end
    ) noexcept:
        """The value of a name that is known; behind it."""
        if field.width == 1:
            return self.read_at(field.first, row, at, end)
        if field.width > 1 and at[0] == c'[':
            return self.read_elements(field, row, at, end)
        if field.width == 0 and at[0] == c'{':
            return self.read_inner(field, row, at, end)
        if field.width > 1:
            self.violate(field, row)
        return value_end(at, end)

    cdef const uint8_t* read_inner(
        self, const Field* outer, Py_ssize_t row, const uint8_t* at, const uint8_t* end
    ) noexcept:
        """An object in an object: names of its members follow the outer name and a dot.

        Cost: recursion as deep as the names that are wanted have dots.
        """
        cdef uint8_t[NAME_BYTES] whole
        cdef const uint8_t* name
        cdef Py_ssize_t length, before = outer.name.length + 1
        cdef Field* field
        at = skip_space(at + 1, end)
        while at[0] == c'"':
            name = at + 1
            at = value_end(at, end)
            length = at - 1 - name
            at = skip_space(skip_space(at, end) + 1, end)
            field = NULL
            if before + length <= NAME_BYTES:
                # Safety: both parts fit.
                memcpy(whole, outer.name.at, <size_t>before - 1)
                whole[before - 1] = c'.'
                memcpy(&whole[before], name, <size_t>length)
                field = self.field_of(whole, before + length)
            if field == NULL:
                self.add_stranger(name - 1, end - name)
                at = value_end(at, end)
            else:
                at = self.read_member(field, row, at, end)
            at = skip_space(at, end)
            if at[0] != c',':
                break
            at = skip_space(at + 1, end)
        return at + 1

    cdef const uint8_t* read_elements(
        self, const Field* field, Py_ssize_t row, const uint8_t* at, const uint8_t* end
    ) noexcept:
        """The values of an array, a column each; behind it."""
        cdef int32_t count = 0
        at = skip_space(at + 1, end)
        while at[0] != c']':
            if count < field.width:
                at = self.read_at(field.first + count, row, at, end)
            else:
                at = value_end(at, end)
            count += 1
            at = skip_space(at, end)
            if at[0] == c',':
                at = skip_space(at + 1, end)
        if count != field.width:
            self.violate(field, row)
        return at + 1

    cdef void read_tensors(self, const uint8_t* at, const uint8_t* end) noexcept:
        """Objects: each is a tensor with a name and data, or else a row."""
        cdef const uint8_t* key
        cdef const uint8_t* begin
        cdef const uint8_t* data
        cdef const uint8_t* value
        cdef Text name
        cdef Py_ssize_t rows = 0
        while at[0] == c'{':
            begin = at
            data = NULL
            name.at = NULL
            at = skip_space(at + 1, end)
            while at[0] == c'"':
                key = at + 1
                at = value_end(at, end)
                value = skip_space(skip_space(at, end) + 1, end)
                if at - 1 - key == 4 and memcmp(key, b"name", 4) == 0:
                    self.note_fixed(value)
                if at - 1 - key == 4 and memcmp(key, b"name", 4) == 0 and value[0] == c'"':
                    name.at = <const char*>value + 1
                    name.length = <uint32_t>(value_end(value, end) - value) - 2
                elif at - 1 - key == 4 and memcmp(key, b"data", 4) == 0 and value[0] == c'[':
                    data = value
                at = skip_space(value_end(value, end), end)
                if at[0] != c',':
                    break
                at = skip_space(at + 1, end)
            if name.at != NULL and data != NULL:
                self.read_tensor(&name, data, end)
                if self.count > rows:
                    rows = self.count
                at += 1
            else:
                self.count = rows
                at = self.read_object(begin, end)
                rows += 1
            at = skip_space(at, end)
            if at[0] != c',':
                break
            at = skip_space(at + 1, end)
        self.count = rows

    cdef void read_tensor(
        self, const Text* name, const uint8_t* at, const uint8_t* end
    ) noexcept:
        """The numbers in `data`, however nested: as many a row as the tensor has columns."""
        cdef Field* field = self.field_of(<const uint8_t*>name.at, name.length)
        cdef Py_ssize_t count = 0, depth = 0, i
        self.count = 0
        if field == NULL or field.width == 0:
            self.add_stranger(<const uint8_t*>name.at - 1, name.length + 2)
            return
        while True:
            if at[0] == c'[':
                depth += 1
                at += 1
            elif at[0] == c']':
                depth -= 1
                at += 1
                if depth == 0:
                    break
            elif at[0] == c',' or at[0] <= c' ':
                at += 1
            else:
                at = self.read_at(
                    field.first + <int32_t>(count % field.width),
                    self.taken + count // field.width, at, end,
                )
                count += 1
        self.count = (count + field.width - 1) // field.width
        if count % field.width:
            # Another shape than the columns were made for: of another type, as a whole.
            for i in range(self.count):
                self.violate(field, self.taken + i)

    cdef void read_arrays(self, const uint8_t* at, const uint8_t* end) noexcept:
        """A row in each array."""
        while at[0] == c'[':
            at = skip_space(self.read_positions(at, end), end)
            self.count += 1
            if at[0] != c',':
                break
            at = skip_space(at + 1, end)

    cdef const uint8_t* read_positions(self, const uint8_t* at, const uint8_t* end) noexcept:
        """One row of values by place; behind it."""
        cdef Py_ssize_t place = 0, row = self.taken + self.count
        at = skip_space(at + 1, end)
        while at[0] != c']':
            at = self.read_at(
                self.at_position[place] if place < self.positions else -1, row, at, end
            )
            place += 1
            at = skip_space(at, end)
            if at[0] == c',':
                at = skip_space(at + 1, end)
        return at + 1

    cdef void read_bare(self, const uint8_t* at, const uint8_t* end) noexcept:
        """A row in each value."""
        while at[0] != c']':
            at = skip_space(self.read_at(self.bare, self.taken + self.count, at, end), end)
            self.count += 1
            if at[0] == c',':
                at = skip_space(at + 1, end)

    cdef const uint8_t* read_at(
        self, int32_t column, Py_ssize_t row, const uint8_t* at, const uint8_t* end
    ) noexcept:
        """A value of a column, or of none that is wanted (-1); behind it."""
        if column < 0:
            self.unknown += 1
            return value_end(at, end)
        return read_cell(
            self.base, &self.cells, column, row, self.readings[column], at, end
        )

    cdef void violate(self, const Field* field, Py_ssize_t row) noexcept:
        """A field's columns in this row are of another type."""
        cdef int32_t column
        self.note_more()
        if row < self.cells.rows:
            for column in range(field.first, field.first + field.width):
                self.cells.kinds[column * self.cells.rows + row] = JSON_ARRAY

    cdef void note_more(self) noexcept:
        """Another line like this one may have to be read otherwise."""
        if self.cells.uses != NULL:
            self.cells.uses.is_partial = True

    cdef void note_fixed(self, const uint8_t* at) noexcept:
        """What the text at `at` says decides on others."""
        cdef Uses* uses = self.cells.uses
        if uses == NULL:
            return
        if uses.fixed_count == MAX_FIXED:
            uses.is_partial = True
            return
        uses.fixed[uses.fixed_count] = <uint32_t>(at - self.base)
        uses.fixed_count += 1

    cdef Field* expected(self, const uint8_t* name, const uint8_t* end) noexcept:
        """The name that came behind the last one before, if it is that one; or NULL."""
        cdef Field* field = &self.table[self.guess]
        if (
            self.guess < self.table_count and end - name > field.name.length
            and name[field.name.length] == c'"'
            and memcmp(field.name.at, name, field.name.length) == 0
        ):
            self.guess += 1
            return field
        return NULL

    cdef Field* field_of(self, const uint8_t* name, Py_ssize_t length) noexcept:
        cdef Field* field
        cdef uint64_t slot = xxh3(<const char*>name, <size_t>length, 0) % self.slot_count
        while self.slots[slot]:
            field = &self.table[self.slots[slot] - 1]
            if field.name.length == length and memcmp(field.name.at, name, <size_t>length) == 0:
                self.guess = self.slots[slot]
                return field
            slot = (slot + 1) % self.slot_count
        return NULL

    cdef void add_stranger(self, const uint8_t* name, Py_ssize_t length) noexcept:
        """Safety: `name` is the quoted name, inside the data."""
        cdef const uint8_t* end = value_end(name, name + length)
        cdef int i
        cdef uint32_t* at
        self.unknown += 1
        for i in range(self.stranger_count):
            at = &self.strangers[2 * i]
            if at[1] - at[0] == end - name and memcmp(
                self.base + at[0], name, <size_t>(end - name)
            ) == 0:
                return
        if self.stranger_count < MAX_STRANGERS:
            self.strangers[2 * self.stranger_count] = <uint32_t>(name - self.base)
            self.strangers[2 * self.stranger_count + 1] = <uint32_t>(end - self.base)
            self.stranger_count += 1


cdef dict fields_of(list names):
    """(first column, how many) by name: of columns, tensors, and objects with columns in them."""
    found = {name: (n, 1) for n, name in enumerate(names)}
    if len(found) < len(names):
        raise ValueError("a column is wanted twice")
    elements = {}
    for n, name in enumerate(names):
        outer, dot, index = name.rpartition(".")
        if dot and index.isdecimal() and outer not in found:
            elements.setdefault(outer, []).append((int(index), n))
    for outer, columns in elements.items():
        first = min([n for _, n in columns])
        if sorted(columns) == [(i, first + i) for i in range(len(columns))]:
            found[outer] = (first, len(columns))
    for name in names:
        while "." in name:
            name = name.rpartition(".")[0]
            found.setdefault(name, (0, 0))
    return found


cdef bint is_position(str name) except -1:
    """Whether this is a place in an array."""
    return name.isdecimal() and str(int(name)) == name and int(name) < MAX_POSITIONS
