"""Lines as columns; see columns.pxd."""

import cython

from libc.math cimport NAN
from libc.string cimport memchr, memcmp, memset
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from gateway._fast.decimals cimport read_decimal
from gateway._fast.hashing cimport xxh3
from gateway._fast.members cimport string_into
from gateway._fast.pointer cimport Pointer
from gateway._fast.scan cimport (
    JSON_ARRAY, JSON_MISSING, JSON_NUMBER, JSON_OBJECT, JSON_STRING, MAX_NAMES, SCAN_OK,
    kind_of, scan_object, skip_space, value_end,
)
from gateway._fast.texts cimport text_of

cdef enum:
    REFUSED = 0                         # malformed, or a member is given twice
    TAKEN = 1
    WORD_BYTES = 4096                   # of a word with escapes; longer ones are hashed as written
    TIME_BYTES = 27                     # 2026-11-21T12:00:00.000000Z

cdef const char* TIME_SHAPE = b"dddd-dd-ddTdd:dd:dd.ddddddZ"


cdef inline int64_t digits_of(const uint8_t* at, int count) noexcept nogil:
    cdef int64_t value = 0
    cdef int i
    for i in range(count):
        value = value * 10 + (at[i] - c'0')
    return value


cdef inline int64_t days_of(int64_t year, int64_t month, int64_t day) noexcept nogil:
    """Days since 1970-01-01, in the Gregorian calendar; years begin in March."""
    cdef int64_t since, of_year
    year -= month <= 2
    since = year % 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return year // 400 * 146_097 + since * 365 + since // 4 - since // 100 + of_year - 719_468


cdef double microseconds_of(const uint8_t* at, Py_ssize_t length) noexcept nogil:
    cdef int i
    cdef int64_t seconds
    if length != TIME_BYTES:
        return NAN
    for i in range(TIME_BYTES):
        if TIME_SHAPE[i] == c'd':
            if not c'0' <= at[i] <= c'9':
                return NAN
        elif <uint8_t>TIME_SHAPE[i] != at[i]:
            return NAN
    seconds = days_of(digits_of(at, 4), digits_of(at + 5, 2), digits_of(at + 8, 2)) * 86_400
    seconds += digits_of(at + 11, 2) * 3600 + digits_of(at + 14, 2) * 60 + digits_of(at + 17, 2)
    return <double>(seconds * 1_000_000 + digits_of(at + 20, 6))


cdef uint64_t word_of(const uint8_t* base, const uint8_t* at, const uint8_t* end) noexcept nogil:
    """Hash of a scalar's text: a string's without quotes and escapes, others as written."""
    cdef char[WORD_BYTES] text
    cdef Member member
    cdef int64_t length
    if at[0] != c'"':
        return xxh3(<const char*>at, <size_t>(end - at), 0)
    if memchr(at, c'\\', <size_t>(end - at)) != NULL:
        memset(&member, 0, sizeof(Member))
        member.kind = JSON_STRING
        member.escaped = 1
        member.start = <uint32_t>(at - base)
        member.end = <uint32_t>(end - base)
        length = string_into(text, WORD_BYTES, <const char*>base, &member)
        if length >= 0:
            return xxh3(text, <size_t>length, 0)
    return xxh3(<const char*>at + 1, <size_t>(end - at) - 2, 0)


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

    def __cinit__(self, places, fields=(), str features=""):
        """`places` are (pointer, reading) of lines, `fields` (name, reading) of features.

        `features` is the line's member that has them. Fields "x.0", "x.1", … are the columns
        of a tensor "x", and "0", "1", … those of arrays without names.
        """
        cdef Py_ssize_t n
        self.places = tuple(places)
        self.fields = tuple(fields)
        names = []
        self.inner = []
        for pointer, _ in self.places:
            first, _, rest = pointer[1:].partition("/")
            if not pointer.startswith("/") or not first:
                raise ValueError(f"the place of a line's member begins with '/': {pointer!r}")
            if first not in names:
                names.append(first)
            self.inner.append(Pointer("/" + rest if rest else ""))
        if features and features not in names:
            names.append(features)
        if len(names) > MAX_NAMES or len(self.places) > MAX_PLACES:
            raise ValueError(f"at most {MAX_NAMES} members and {MAX_PLACES} places")
        if len(self.fields) > MAX_FIELDS // 2:
            raise ValueError(f"at most {MAX_FIELDS // 2} features")
        self.features = names.index(features) if features else -1
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
        self.kept = tuple(kept + self.make_table())

    cdef list make_table(self):
        """The names of columns and tensors; returns the bytes they point into."""
        cdef Py_ssize_t n
        kept = []
        tensors = {}
        columns = [name for name, _ in self.fields]
        memset(self.at_position, 0xFF, sizeof(self.at_position))
        for n in range(len(columns)):
            name = columns[n]
            self.readings[n] = self.fields[n][1]
            kept.append(self.add_field(name, n, 1))
            if name.isdecimal() and str(int(name)) == name and int(name) < MAX_FIELDS:
                self.at_position[int(name)] = n
            tensor, dot, index = name.rpartition(".")
            if dot and index.isdecimal() and tensor not in columns:
                tensors.setdefault(tensor, []).append((int(index), n))
        for tensor, found in tensors.items():
            first = min(n for _, n in found)
            if sorted(found) == [(i, first + i) for i in range(len(found))]:
                kept.append(self.add_field(tensor, first, len(found)))
        return kept

    cdef bytes add_field(self, str name, int first, int width):
        cdef bytes written = name.encode()
        cdef uint64_t slot = xxh3(PyBytes_AS_STRING(written), len(written), 0) % SLOTS
        self.table[self.table_count].name = text_of(written)
        self.table[self.table_count].first = first
        self.table[self.table_count].width = width
        while self.slots[slot]:
            slot = (slot + 1) % SLOTS
        self.table_count += 1
        self.slots[slot] = <int16_t>self.table_count
        return written

    def read(
        self, bytes data not None, Py_ssize_t start, lines, rows, int32_t[::1] row_lines not None
    ):
        """(offset, lines, rows, malformed spans, skipped rows, unknown, strangers, shapeless).

        `lines` and `rows` are (kinds, numbers, words, starts, ends), each with a row a column;
        `row_lines` says which line a row of features is of.
        """
        cdef Py_ssize_t line = 0, row = 0, taken, i
        cdef Py_ssize_t at = start, length = PyBytes_GET_SIZE(data)
        cdef const char* newline
        cdef int code
        cdef int64_t skipped = 0, unknown, shapeless
        cdef list malformed = []
        cdef list _held = [cells_into(&self.lines, lines, len(self.places)),
                           cells_into(&self.rows, rows, len(self.fields))]
        if length > <Py_ssize_t>0xFFFFFFFF:
            raise ValueError("at most 4 GiB of lines at once")
        if row_lines.shape[0] < self.rows.rows:
            raise ValueError("each row has its line")
        # Safety: `_held` and `data` live until this returns.
        self.base = <const uint8_t*>PyBytes_AS_STRING(data)
        self.unknown = self.shapeless = 0
        self.stranger_count = 0
        while at < length and line < self.lines.rows:
            newline = <const char*>memchr(self.base + at, c'\n', <size_t>(length - at))
            end = newline - <const char*>self.base if newline != NULL else length
            if end > at:
                self.first_row = row
                self.row_count = 0
                unknown, shapeless = self.unknown, self.shapeless
                code = self.read_line(<uint32_t>at, <uint32_t>end, line)
                if code == REFUSED:
                    malformed.append((at, end))
                else:
                    taken = self.row_count
                    if taken > self.rows.rows - row:
                        if row:
                            self.forget(line, row)
                            self.unknown, self.shapeless = unknown, shapeless
                            break
                        skipped += taken - self.rows.rows
                        taken = self.rows.rows
                    for i in range(taken):
                        row_lines[row + i] = <int32_t>line
                    row += taken
                    line += 1
            at = end + 1
        strangers = [
            data[self.strangers[2 * i]:self.strangers[2 * i + 1]] for i in range(self.stranger_count)
        ]
        return (
            min(at, length), line, row, malformed, skipped, self.unknown, strangers, self.shapeless
        )

    cdef int forget(self, Py_ssize_t line, Py_ssize_t row) except -1:
        """Clears what a line that is read again next time has left."""
        cdef Py_ssize_t column
        for column in range(len(self.places)):
            self.lines.kinds[column * self.lines.rows + line] = JSON_MISSING
        for column in range(len(self.fields)):
            memset(
                self.rows.kinds + column * self.rows.rows + row, JSON_MISSING,
                <size_t>(self.rows.rows - row),
            )
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
        if self.features >= 0 and members[self.features].kind != JSON_MISSING:
            self.read_features(&members[self.features])
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
        self.read_value(&self.lines, n, line, self.placed[n].reading, at, end)
        return 0

    cdef const uint8_t* read_value(
        self, Cells* cells, Py_ssize_t column, Py_ssize_t row, int32_t reading,
        const uint8_t* at, const uint8_t* end,
    ) noexcept:
        """Behind the value at `at`."""
        cdef Py_ssize_t cell = column * cells.rows + row
        cdef uint8_t kind = kind_of(at[0])
        cdef const uint8_t* begin = at
        cdef double number = NAN
        at = read_decimal(at, end, &number) if kind == JSON_NUMBER else value_end(at, end)
        if row >= cells.rows:
            return at
        # Safety: columns and rows are below what the arrays were checked to have.
        cells.kinds[cell] = kind
        if reading & READ_NUMBER:
            cells.numbers[cell] = number
        elif reading & READ_TIME:
            cells.numbers[cell] = NAN
            if kind == JSON_STRING:
                cells.numbers[cell] = microseconds_of(begin + 1, at - begin - 2)
        if reading & READ_WORD and kind < JSON_ARRAY:
            cells.words[cell] = word_of(self.base, begin, at)
        if reading & (READ_WORD | READ_SPAN):
            cells.starts[cell] = <uint32_t>(begin - self.base)
            cells.ends[cell] = <uint32_t>(at - self.base)
        return at

    cdef void read_features(self, const Member* features) noexcept:
        cdef const uint8_t* at = self.base + features.start
        cdef const uint8_t* end = self.base + features.end
        cdef uint8_t first
        self.guess = 0
        if features.kind == JSON_OBJECT:
            self.read_object(at, end)
            self.row_count = 1
            return
        if features.kind != JSON_ARRAY:
            self.shapeless += 1
            return
        at = skip_space(at + 1, end)
        first = kind_of(at[0])
        if at[0] == c']':
            return
        if first == JSON_OBJECT:
            self.read_tensors(at, end)
        elif first == JSON_ARRAY:
            self.read_arrays(at, end)
        else:
            self.read_positions(self.base + features.start, end)
            self.row_count = 1

    cdef const uint8_t* read_object(self, const uint8_t* at, const uint8_t* end) noexcept:
        """One row of features by name; behind it."""
        cdef const uint8_t* name
        cdef Field* field
        cdef Py_ssize_t row = self.row_at(self.row_count)
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
            elif field.width == 1:
                at = self.read_value(
                    &self.rows, field.first, row, self.readings[field.first], at, end
                )
            else:
                at = value_end(at, end)
            at = skip_space(at, end)
            if at[0] != c',':
                break
            at = skip_space(at + 1, end)
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
                if self.row_count > rows:
                    rows = self.row_count
                at += 1
            else:
                self.row_count = rows
                at = self.read_object(begin, end)
                rows += 1
            at = skip_space(at, end)
            if at[0] != c',':
                break
            at = skip_space(at + 1, end)
        self.row_count = rows

    cdef void read_tensor(
        self, const Text* name, const uint8_t* at, const uint8_t* end
    ) noexcept:
        """The numbers in `data`, however nested: as many a row as the tensor has columns."""
        cdef Field* field = self.field_of(<const uint8_t*>name.at, name.length)
        cdef Py_ssize_t count = 0, depth = 0, row, i
        cdef int32_t column
        self.row_count = 0
        if field == NULL:
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
                column = field.first + <int32_t>(count % field.width)
                row = self.row_at(count // field.width)
                at = self.read_value(&self.rows, column, row, self.readings[column], at, end)
                count += 1
        self.row_count = (count + field.width - 1) // field.width
        if count % field.width:
            # Another shape than the columns were made for: of another type, as a whole.
            for i in range(self.row_count * field.width):
                row = self.row_at(i // field.width)
                if row < self.rows.rows:
                    self.rows.kinds[
                        (field.first + i % field.width) * self.rows.rows + row
                    ] = JSON_ARRAY

    cdef void read_arrays(self, const uint8_t* at, const uint8_t* end) noexcept:
        """A row in each array."""
        while at[0] == c'[':
            at = skip_space(self.read_positions(at, end), end)
            self.row_count += 1
            if at[0] != c',':
                break
            at = skip_space(at + 1, end)

    cdef const uint8_t* read_positions(self, const uint8_t* at, const uint8_t* end) noexcept:
        """One row of features by place; behind it."""
        cdef Py_ssize_t place = 0, row = self.row_at(self.row_count)
        cdef int32_t column
        at = skip_space(at + 1, end)
        while at[0] != c']':
            column = self.at_position[place] if place < MAX_FIELDS else -1
            if column >= 0:
                at = self.read_value(&self.rows, column, row, self.readings[column], at, end)
            else:
                self.unknown += 1
                at = value_end(at, end)
            place += 1
            at = skip_space(at, end)
            if at[0] == c',':
                at = skip_space(at + 1, end)
        return at + 1

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
        cdef uint64_t slot = xxh3(<const char*>name, <size_t>length, 0) % SLOTS
        while self.slots[slot]:
            field = &self.table[self.slots[slot] - 1]
            if field.name.length == length and memcmp(field.name.at, name, <size_t>length) == 0:
                self.guess = self.slots[slot]
                return field
            slot = (slot + 1) % SLOTS
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

    cdef Py_ssize_t row_at(self, Py_ssize_t row) noexcept:
        return self.first_row + row


cdef list cells_into(Cells* cells, arrays, Py_ssize_t columns):
    """Where the arrays are; returns what holds them there."""
    cdef uint8_t[:, ::1] kinds = arrays[0]
    cdef double[:, ::1] numbers = arrays[1]
    cdef uint64_t[:, ::1] words = arrays[2]
    cdef uint32_t[:, ::1] starts = arrays[3]
    cdef uint32_t[:, ::1] ends = arrays[4]
    memset(cells, 0, sizeof(Cells))
    cells.rows = kinds.shape[1]
    for array in arrays:
        if array.shape != (columns, cells.rows):
            raise ValueError(f"a column for each of {columns}, all of the same length")
    if columns and cells.rows:
        cells.kinds = &kinds[0, 0]
        cells.numbers = &numbers[0, 0]
        cells.words = &words[0, 0]
        cells.starts = &starts[0, 0]
        cells.ends = &ends[0, 0]
    return [kinds, numbers, words, starts, ends]


def time_of(bytes text not None):
    """Microseconds since 1970 of an RFC 3339 time as records have it; NaN of others."""
    return microseconds_of(<const uint8_t*>PyBytes_AS_STRING(text), len(text))
