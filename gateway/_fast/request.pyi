from typing import final

@final
class Request: ...
