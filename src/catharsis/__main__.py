"""`python -m catharsis`."""

from catharsis.cli.main import main

main()
