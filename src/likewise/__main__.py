"""`python -m likewise` is the `likewise` command."""

from .cli import main

main()
