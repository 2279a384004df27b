"""The docks around the canvas: each shows one part of the session, and emits what the user wishes."""
