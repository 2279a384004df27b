"""``python -m srviewer``: the command line."""

from srviewer.cli import main

if __name__ == "__main__":
    main()
