"""One request explained: what was asked, who could answer, who did, and whether that was right."""
