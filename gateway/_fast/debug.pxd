# FAST_DEBUG is 0 in release builds, so `if FAST_DEBUG and …` compiles to nothing.

cdef extern from *:
    """
    #ifndef FAST_DEBUG
    #define FAST_DEBUG 0
    #endif
    """
    const bint FAST_DEBUG
