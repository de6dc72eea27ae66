"""What the C library does with memory that was freed: see heap.pxd."""

cdef extern from *:
    """
    #ifdef __GLIBC__
    #include <malloc.h>
    static int heap_set(int trim, int pad, int map) {
        return mallopt(M_TRIM_THRESHOLD, trim) && mallopt(M_TOP_PAD, pad)
            && mallopt(M_MMAP_THRESHOLD, map);
    }
    #else
    #define heap_set(trim, pad, map) 0
    #endif
    """
    int heap_set(int trim, int pad, int map) noexcept nogil

cdef enum:
    MIB = 1 << 20
    TRIM_BYTES = 32 * MIB               # free at the heap's end before any is given back
    PAD_BYTES = MIB                     # more than was asked for, when the heap grows
    MAP_BYTES = 4 * MIB                 # from here on memory is mapped apart, and given back at once


cpdef bint keep_freed() noexcept nogil:
    return heap_set(TRIM_BYTES, PAD_BYTES, MAP_BYTES) != 0
