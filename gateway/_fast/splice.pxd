# Edits of JSON text: a member replaced, removed or inserted without re-encoding.
#
# Each makes one Edit; apply them together, sorted by `at`.
# Rule: edits that overlap or begin at the same byte are refused (EDIT_OVERLAP), never
# merged. So of one object the first and the second member cannot be removed at once, nor
# the first be removed or swapped while another is inserted before it: swap it for both.

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint32_t
from gateway._fast.scan cimport Member

cdef struct Edit:                       # replace `cut` bytes at `at` by the text
    uint32_t at
    uint32_t cut
    const char* text                    # borrowed until the edit is applied
    uint32_t text_length


cdef enum:
    EDIT_OVERLAP = -1                   # two edits overlap, or one lies outside

cdef Edit value_replaced(
    const Member* member, const char* text, uint32_t length
) noexcept nogil
# text: another `"k":v`.
cdef Edit member_swapped(
    const Member* member, const char* text, uint32_t length
) noexcept nogil
# With its comma.
cdef Edit member_removed(const char* data, const Member* member) noexcept nogil
# text: `"k":v,` with its comma, which is left away when the object is empty.
# object_start: where its `{` is: Member.start, or object_at() of a whole body.
cdef Edit member_inserted(
    const char* data, uint32_t object_start, const char* text, uint32_t length
) noexcept nogil
cdef uint32_t object_at(const char* data) noexcept nogil        # the `{` of a scanned body

# Length after the edits, or EDIT_OVERLAP (also: out of order, out of range).
cdef int64_t edited_length(size_t length, const Edit* edits, uint32_t count) noexcept nogil
# Safety: out has room for edited_length() bytes, which was not negative.
cdef void apply_edits_into(
    char* out, const char* data, size_t length, const Edit* edits, uint32_t count
) noexcept nogil
# New bytes, or None on overlap.
cdef object edited(const char* data, size_t length, const Edit* edits, uint32_t count)
