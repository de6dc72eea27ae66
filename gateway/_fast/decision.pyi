from typing import final

@final
class Decision: ...
