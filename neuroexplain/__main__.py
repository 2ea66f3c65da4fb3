"""`python -m neuroexplain`."""

from neuroexplain.cli import main

if __name__ == "__main__":
    main()
