"""One run: its folder, its engine process, its health."""
