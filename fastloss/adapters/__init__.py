"""One file, or one package, per host: what makes our losses look like the host's own. They use the public face only."""
