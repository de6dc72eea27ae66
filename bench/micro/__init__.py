"""One file a kernel; each prints JSON lines `{"name": ..., "ns": ...}`."""
