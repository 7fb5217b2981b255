"""What makes the plain code of `ops` fast on a CPU. `ops` calls it; a reader may skip it."""
