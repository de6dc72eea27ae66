"""One thing a protocol can be asked: see operation.pxd."""

import cython

from gateway._fast.marks cimport Marks
from gateway._fast.shape cimport Shape

# Slot order; the first name of each slot is the one that is looked for.
NAMES = (
    b"model", b"stream", b"user", b"max_tokens", b"max_completion_tokens", b"max_output_tokens",
    b"stream_options", b"tools", b"response_format", b"text", b"n",
)
# Bit i is marks[i]; MARK_* in operation.pxd name groups of them.
BODY_MARKS = (
    (b"type", b"image_url"), (b"type", b"input_audio"), (b"type", b"file"),
    (b"type", b"json_schema"), (b"type", b"input_image"), (b"type", b"input_file"),
    (b"type", b"json_object"),
)


@cython.final
cdef class Operation:
    """`capabilities` maps names to bits; `needs` names what a backend must have for it."""

    def __init__(
        self,
        name,
        *,
        protocol,
        before,
        after="",
        needs=(),
        capabilities,
        has_path_model=False,
        has_body_model=False,
        is_body_optional=False,
        adds_usage=False,
        is_generation=False,
        needs_end=False,
        Marks marks=None,
        Marks answer_marks=None,
    ):
        self.name = name
        self.protocol = protocol
        self.record_fields = f',"protocol":"{protocol}","operation":"{name}"'.encode("ascii")
        self.before = before.encode("ascii")
        self.after = after.encode("ascii")
        self.has_path_model = has_path_model
        self.has_body_model = has_body_model
        self.is_body_optional = is_body_optional
        self.adds_usage = adds_usage
        self.is_generation = is_generation
        self.needs_end = needs_end
        self.marks = marks
        self.answer_marks = marks if answer_marks is None else answer_marks
        self.shape = Shape(NAMES, BODY_MARKS) if has_body_model else None
        for need in needs:
            self.capability |= <uint64_t>capabilities[need]
        self.tools_bit = capabilities["tools"]
        self.schema_bit = capabilities["json_schema"]
        self.stream_bit = capabilities["stream"]
        self.vision_bit = capabilities["vision"]
        self.audio_bit = capabilities["audio"]
        self.files_bit = capabilities["files"]

    def __repr__(self):
        return f"<Operation {self.protocol} {self.name}>"
