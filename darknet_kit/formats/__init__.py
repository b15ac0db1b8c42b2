"""One module per file format, in and out. Nothing here starts a process."""
