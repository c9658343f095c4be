"""`python -m curate`: the command."""

from cli import main

main()
