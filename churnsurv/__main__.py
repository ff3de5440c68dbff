"""``python -m churnsurv`` is the command line."""

from churnsurv.cli import main

if __name__ == "__main__":
    main()
