"""Your own pictures: labels as any annotation tool wrote them, taken as they are."""
