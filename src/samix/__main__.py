"""`python -m samix` is the command `samix`."""

from samix.commands import main

if __name__ == "__main__":
    main()
