"""Edits of JSON text: a member replaced, removed or inserted without re-encoding; see splice.pxd.

Cost: an edit is made without a look at the text but for the comma next to it; applying
edits copies each byte once. Knows nothing of HTTP; the exchange calls it.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t
from libc.string cimport memcpy
from gateway._fast.debug cimport FAST_DEBUG
from gateway._fast.members cimport as_member


cdef Edit value_replaced(
    const Member* member, const char* text, uint32_t length
) noexcept nogil:
    return Edit(member.start, member.end - member.start, text, length)


cdef Edit member_swapped(
    const Member* member, const char* text, uint32_t length
) noexcept nogil:
    return Edit(member.key_start, member.end - member.key_start, text, length)


cdef Edit member_removed(const char* data, const Member* member) noexcept nogil:
    """A first member goes with the comma behind it, any other with the one before."""
    cdef uint32_t at = member.key_start - 1
    cdef uint32_t end = member.end
    # Safety: checked text has `{` or `,` before every key, with only white space between.
    while data[at] != c'{' and data[at] != c',':
        at -= 1
    if data[at] == c'{':
        at += 1
        end = member.member_end + (data[member.member_end] == c',')
    return Edit(at, end - at, NULL, 0)


cdef Edit member_inserted(
    const char* data, uint32_t object_start, const char* text, uint32_t length
) noexcept nogil:
    cdef uint32_t at = object_start + 1
    # Safety: a checked object has a quote or its bracket behind the white space.
    while data[at] != c'"' and data[at] != c'}':
        at += 1
    return Edit(object_start + 1, 0, text, length - (data[at] == c'}'))


cdef uint32_t object_at(const char* data) noexcept nogil:
    cdef uint32_t at = 0
    while data[at] != c'{':
        at += 1
    return at


cdef int64_t edited_length(size_t length, const Edit* edits, uint32_t count) noexcept nogil:
    cdef int64_t total = <int64_t>length
    cdef uint64_t free_from = 0         # the next edit may not begin before
    cdef uint64_t end
    cdef uint32_t n
    for n in range(count):
        end = <uint64_t>edits[n].at + edits[n].cut
        if edits[n].at < free_from or end > length:
            return EDIT_OVERLAP
        if n and edits[n].at == edits[n - 1].at:
            return EDIT_OVERLAP
        free_from = end
        total += <int64_t>edits[n].text_length - <int64_t>edits[n].cut
    return total


cdef void apply_edits_into(
    char* out, const char* data, size_t length, const Edit* edits, uint32_t count
) noexcept nogil:
    """Cost: copies each byte once."""
    cdef size_t at = 0
    cdef uint32_t n
    for n in range(count):
        memcpy(out, data + at, edits[n].at - at)
        out += edits[n].at - at
        if edits[n].text_length:
            memcpy(out, edits[n].text, edits[n].text_length)
        out += edits[n].text_length
        at = <size_t>edits[n].at + edits[n].cut
    memcpy(out, data + at, length - at)


cdef object edited(const char* data, size_t length, const Edit* edits, uint32_t count):
    cdef int64_t total = edited_length(length, edits, count)
    cdef bytes out
    if total < 0:
        return None
    out = PyBytes_FromStringAndSize(NULL, total)
    apply_edits_into(PyBytes_AS_STRING(out), data, length, edits, count)
    if FAST_DEBUG and PyBytes_GET_SIZE(out) != total:
        raise AssertionError("the edits changed the length they promised")
    return out


# From Python, for tests: an edit is the tuple (at, cut, text).

def replaced(bytes data, tuple member, bytes text):
    """(at, cut, text): the edit that gives the member another value."""
    cdef Member read = as_member(data, member)
    return as_edit(value_replaced(&read, text, len(text)))


def swapped(bytes data, tuple member, bytes text):
    """(at, cut, text): the edit that puts the member `text` in this one's place."""
    cdef Member read = as_member(data, member)
    return as_edit(member_swapped(&read, text, len(text)))


def removed(bytes data, tuple member):
    """(at, cut, text): the edit that removes the member with its comma."""
    cdef Member read = as_member(data, member)
    return as_edit(member_removed(data, &read))


def inserted(bytes data, uint32_t object_start, bytes text):
    """(at, cut, text): the edit that makes `text` the object's first member."""
    return as_edit(member_inserted(data, object_start, text, len(text)))


cdef tuple as_edit(Edit edit):
    text = PyBytes_FromStringAndSize(edit.text, edit.text_length) if edit.text_length else b""
    return edit.at, edit.cut, text


def apply_edits(bytes data, edits):
    """data with each (at, cut, text) applied; ValueError when two of them overlap."""
    cdef Edit[64] compiled
    cdef uint32_t count = 0
    cdef bytes text
    ordered = sorted(edits)
    if len(ordered) > 64:
        raise ValueError("at most 64 edits")
    for at, cut, text in ordered:
        # Safety: `ordered` keeps each text alive until the edits are applied.
        compiled[count] = Edit(at, cut, PyBytes_AS_STRING(text), <uint32_t>len(text))
        count += 1
    out = edited(data, len(data), compiled, count)
    if out is None:
        raise ValueError("edits overlap or lie outside the data")
    return out
