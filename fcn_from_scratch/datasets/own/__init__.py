"""Your own pictures, as any annotation tool wrote them: which files are a pair, and what their labels mean."""
