"""What the marks of well-known protocols are, and a usage as they tell it."""

from typing import Any

CHAT: dict[str, Any] = {}
RESPONSES: dict[str, Any] = {
    "usage": ("/response/usage", "/usage"),
    "ended": {"response.completed": "stop", "response.incomplete": "length"},
    "failing": ("response.failed", "error"),
    "finish_reason": False,
}
ANTHROPIC: dict[str, Any] = {
    "done": "",
    "usage": ("/message/usage", "/usage"),
    "cached_tokens": ("/cache_read_input_tokens",),
    "ended": {"message_stop": ""},
    "finish_reason": False,
}
OLLAMA: dict[str, Any] = {
    "done": "",
    "usage": ("",),
    "input_tokens": ("/prompt_eval_count",),
    "output_tokens": ("/eval_count",),
    "cached_tokens": (),
    "done_member": "done",
    "finish_reason": False,
}

USAGE = {
    "prompt_tokens": 12,
    "completion_tokens": 34,
    "total_tokens": 46,
    "prompt_tokens_details": {"cached_tokens": 5},
}
