"""Lines that are alike; see skeleton.pxd."""

import cython

from libc.string cimport memcmp, memcpy, memset
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from gateway._fast.blocks cimport is_same, plain16, plain_number_end
from gateway._fast.scan cimport scalar_end_of, skip_space, value_end


cdef inline const uint8_t* scalar_behind(const uint8_t* at, const uint8_t* end) noexcept nogil:
    """Behind the scalar at `at`, or NULL: there is none."""
    cdef const uint8_t* found
    cdef uint32_t run
    if at >= end:
        return NULL
    if at[0] == c'"':
        found = at + 1
        while end - found >= 16:
            run = plain16(found)
            if run < 16:
                if found[run] == c'"':
                    return found + run + 1
                break
            found += 16
    elif end - at >= 32 and <uint8_t>(at[0] - c'-') <= c'9' - c'-':
        found = plain_number_end(at)
        if found != NULL:
            return found
    return scalar_end_of(at, end)


cdef inline bint stands_at(
    const Node* node, const uint8_t* text, const uint8_t* at, const uint8_t* last
) noexcept nogil:
    cdef Py_ssize_t left = last - at
    if node.ending >= 0 and left != node.length and not (
        left > node.length and at[node.length] == c'\n'
    ):
        return False
    # Safety: a stretch is followed by PADDING; of the data as many bytes are left.
    if left >= node.length + PADDING:
        return is_same(at, text, node.length)
    return left >= node.length and memcmp(at, text, node.length) == 0


@cython.final
cdef class Skeletons:

    def __cinit__(self):
        self.nodes = <Node*>PyMem_Calloc(MAX_NODES, sizeof(Node))
        self.texts = <uint8_t*>PyMem_Calloc(TEXT_BYTES + PADDING, 1)
        if self.nodes == NULL or self.texts == NULL:
            raise MemoryError
        self.clear()

    def __dealloc__(self):
        PyMem_Free(self.nodes)
        PyMem_Free(self.texts)

    cdef void clear(self) noexcept:
        """Forget all."""
        memset(&self.nodes[0], 0, sizeof(Node))
        self.nodes[0].ending = FOUND_NONE
        self.node_count = 1
        self.text_bytes = 0
        self.endings = 0

    cdef int match(
        self, const uint8_t* base, uint32_t start, uint32_t end, Span* spans
    ) noexcept nogil:
        cdef const uint8_t* at = base + start
        cdef const uint8_t* last = base + end
        cdef const uint8_t* behind
        cdef const Node* node
        cdef int32_t n = self.nodes[0].inner
        while n:
            node = &self.nodes[n]
            if not stands_at(node, self.texts + node.text, at, last):
                n = node.next
                continue
            at += node.length
            if node.ending >= 0:
                spans.start = spans.end = <uint32_t>(at - base)
                return node.ending
            behind = scalar_behind(at, last)
            if behind == NULL:
                return FOUND_NONE
            # Safety: no way through the tree has more than MAX_SCALARS of them.
            spans.start = <uint32_t>(at - base)
            spans.end = <uint32_t>(behind - base)
            spans += 1
            at = behind
            n = node.inner
        return FOUND_NONE

    cdef int learn(
        self, const uint8_t* base, uint32_t start, uint32_t end, const Span* spans, int count
    ) noexcept:
        cdef int32_t at = 0
        cdef int n
        for n in range(count):
            at = self.stretch(at, base + start, spans[n].start - start, False)
            if at < 0:
                return FOUND_NONE
            start = spans[n].end
        at = self.stretch(at, base + start, end - start, True)
        if at < 0:
            return FOUND_NONE
        if self.nodes[at].ending != self.endings:
            return FOUND_KNOWN
        self.endings += 1
        return self.endings - 1

    cdef int32_t stretch(
        self, int32_t before, const uint8_t* at, uint32_t length, bint is_last
    ) noexcept:
        """The node of this stretch behind that one; a new one where there is none. -1: no room."""
        cdef int32_t* link = &self.nodes[before].inner
        cdef Node* node
        cdef int alternatives = 0
        while link[0]:
            node = &self.nodes[link[0]]
            if (
                node.length == length and (node.ending >= 0) == is_last
                and memcmp(self.texts + node.text, at, length) == 0
            ):
                return link[0]
            link = &node.next
            alternatives += 1
        if (
            alternatives == MAX_ALTERNATIVES or self.node_count == MAX_NODES
            or is_last and self.endings == MAX_ENDINGS or length > TEXT_BYTES - self.text_bytes
        ):
            return -1
        node = &self.nodes[self.node_count]
        node.text, node.length = self.text_bytes, length
        node.inner = node.next = 0
        node.ending = self.endings if is_last else FOUND_NONE
        # Safety: there is room, as was just asked.
        memcpy(self.texts + self.text_bytes, at, length)
        self.text_bytes += length
        link[0] = self.node_count
        self.node_count += 1
        return link[0]


cdef int scalars_of(
    const uint8_t* base, uint32_t start, uint32_t end,
    const uint32_t* fixed, int fixed_count, Span* spans,
) noexcept nogil:
    cdef const uint8_t* at = base + start
    cdef const uint8_t* last = base + end
    cdef const uint8_t* begin
    cdef int count = 0
    while at < last:
        begin = at
        if at[0] == c'{' or at[0] == c'[' or at[0] == c'}' or at[0] == c']' or at[0] == c',':
            at += 1
            continue
        if at[0] == c':' or at[0] <= c' ':
            at += 1
            continue
        at = value_end(at, last)
        if begin[0] == c'"':
            at = skip_space(at, last)
            if at < last and at[0] == c':':
                continue                # a name
            at = value_end(begin, last)
        if is_among(<uint32_t>(begin - base), fixed, fixed_count):
            continue
        if count == MAX_SCALARS:
            return -1
        spans[count].start = <uint32_t>(begin - base)
        spans[count].end = <uint32_t>(at - base)
        count += 1
    return count


cdef bint is_among(uint32_t wanted, const uint32_t* found, int count) noexcept nogil:
    cdef int n
    for n in range(count):
        if found[n] == wanted:
            return True
    return False
