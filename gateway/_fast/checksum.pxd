# CRC-32C (Castagnoli; RFC 3720, appendix B.4), by the processor where it can.
#
# x86-64 has an instruction since SSE 4.2, asked for when the module is loaded; ARM where the
# compiler was told so. Elsewhere a table of 8 x 256 words, eight bytes a step.
# Cost: 0.15 ns a byte by the instruction, 0.8 ns by the table.

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t

cdef extern from *:
    """
    #ifndef FAST_CHECKSUM
    #define FAST_CHECKSUM
    #include <stddef.h>
    #include <stdint.h>
    #include <string.h>
    #if defined(__ARM_FEATURE_CRC32)
    #include <arm_acle.h>
    #endif

    static inline uint64_t crc_word(const uint8_t *at) {
        uint64_t word;
        memcpy(&word, at, 8);
        return word;
    }

    #if defined(__x86_64__)
    __attribute__((target("sse4.2")))
    static uint32_t crc_native(uint32_t crc, const uint8_t *at, size_t length) {
        uint64_t whole = crc;
        for (; length >= 8; at += 8, length -= 8)
            whole = __builtin_ia32_crc32di(whole, crc_word(at));
        crc = (uint32_t)whole;
        for (; length; at++, length--)
            crc = __builtin_ia32_crc32qi(crc, *at);
        return crc;
    }
    static int crc_is_native(void) {
        return __builtin_cpu_supports("sse4.2") != 0;
    }
    #elif defined(__ARM_FEATURE_CRC32)
    static uint32_t crc_native(uint32_t crc, const uint8_t *at, size_t length) {
        for (; length >= 8; at += 8, length -= 8)
            crc = __crc32cd(crc, crc_word(at));
        for (; length; at++, length--)
            crc = __crc32cb(crc, *at);
        return crc;
    }
    static int crc_is_native(void) {
        return 1;
    }
    #else
    static uint32_t crc_native(uint32_t crc, const uint8_t *at, size_t length) {
        (void)at;
        (void)length;
        return crc;
    }
    static int crc_is_native(void) {
        return 0;
    }
    #endif
    #endif
    """
    bint crc_is_native() noexcept nogil
    # Only where `crc_is_native`. Reads `length` bytes.
    uint32_t crc_native(uint32_t crc, const uint8_t* at, size_t length) noexcept nogil

cdef uint32_t crc_by_table(uint32_t crc, const uint8_t* at, size_t length) noexcept nogil
