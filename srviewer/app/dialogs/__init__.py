"""The dialogs: each asks one question by a class method, which returns a frozen answer or None."""
