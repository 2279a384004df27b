"""Running a network over an image: tiles, devices, precision, memory."""
