"""SR Viewer: upscale images with lightweight super-resolution networks, and judge the result."""

__version__ = "0.1.0"
