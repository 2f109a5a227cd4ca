"""Commands: the edges where files, words and exit codes meet. One file per command."""
