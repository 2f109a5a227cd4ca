"""`python -m catharsis.cli`."""

from catharsis.cli.main import main

main()
