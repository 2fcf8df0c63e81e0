"""`python -m likewise` is the command line."""

from .cli import main

main()
