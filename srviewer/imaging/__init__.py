"""Image files and pixels: reading, writing, colour, resizing."""
