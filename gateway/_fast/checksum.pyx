"""CRC-32C; see checksum.pxd."""

cdef enum:
    POLYNOMIAL = 0x82F63B78             # reflected

cdef uint32_t[8][256] TABLE             # of byte 0 … 7 of a step
cdef bint IS_NATIVE = crc_is_native()


cdef int make_table() except -1:
    cdef int byte, n, _bit
    cdef uint32_t crc
    for byte in range(256):
        crc = <uint32_t>byte
        for _bit in range(8):
            crc = (crc >> 1) ^ (<uint32_t>POLYNOMIAL if crc & 1 else 0)
        TABLE[0][byte] = crc
    for n in range(1, 8):
        for byte in range(256):
            crc = TABLE[n - 1][byte]
            TABLE[n][byte] = (crc >> 8) ^ TABLE[0][crc & 0xFF]
    return 0


make_table()


cdef uint32_t crc_by_table(uint32_t crc, const uint8_t* at, size_t length) noexcept nogil:
    cdef int n
    cdef uint32_t next
    while length >= 8:
        next = 0
        for n in range(4):
            next ^= TABLE[7 - n][at[n] ^ (crc >> (8 * n) & 0xFF)] ^ TABLE[3 - n][at[4 + n]]
        crc = next
        at += 8
        length -= 8
    while length:
        crc = (crc >> 8) ^ TABLE[0][(crc ^ at[0]) & 0xFF]
        at += 1
        length -= 1
    return crc


def crc32c(const uint8_t[::1] data not None, *, bint by_table=False):
    """The checksum; `by_table` is for tests."""
    cdef uint32_t crc = 0xFFFFFFFF
    cdef size_t length = <size_t>data.shape[0]
    if length:
        # Safety: the view is held by the argument.
        if IS_NATIVE and not by_table:
            crc = crc_native(crc, &data[0], length)
        else:
            crc = crc_by_table(crc, &data[0], length)
    return crc ^ <uint32_t>0xFFFFFFFF
