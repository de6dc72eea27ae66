# What the C library does with memory that was freed: keep it, or give it back to the system.
#
# By default glibc gives back what is free at the heap's end above 128 KiB. A body of 100 kB is in
# memory two or three times while it passes through, so that each request made the heap grow
# and shrink again, and met every page of it anew (docs/decisions/0019-freed-memory-is-kept.md).
# Knows nothing of what is allocated. Elsewhere than with glibc it does nothing.

# Keep what was freed for what comes next; False where that cannot be set.
cpdef bint keep_freed() noexcept nogil
