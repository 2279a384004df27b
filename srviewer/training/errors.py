"""What can go wrong in a training, said in one sentence to the user."""

from __future__ import annotations


class TrainingError(Exception):
    """A training cannot begin or go on. The message is one sentence for the user."""
