"""gateway.yaml: its schema, and how a text becomes one immutable, typed value.

`load(path, environ)` gives a Document: `config` (the typed values), `hash`, `text`
and `warnings`; or raises ConfigError with every problem of the file.

text --source--> nodes with lines --shape--> Structs of schema --relations--> Document
"""

from gateway.config.document import Document, load, parse
from gateway.config.schema import Config
from gateway.config.units import Duration, Secret, Share, Size

__all__ = ["Config", "Document", "Duration", "Secret", "Share", "Size", "load", "parse"]
