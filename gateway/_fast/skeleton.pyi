from typing import final

@final
class Skeletons:
    @property
    def endings(self) -> int: ...
