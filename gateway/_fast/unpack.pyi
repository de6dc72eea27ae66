def lines_into(
    room: bytearray,
    used: int,
    data: bytes | bytearray | memoryview,
    count: int,
    first: int = 0,
) -> tuple[int, int]: ...
def entries_of(
    data: bytes | bytearray | memoryview, count: int, first: int = 0
) -> list[tuple[int, bytes | None, bytes | None]]: ...
