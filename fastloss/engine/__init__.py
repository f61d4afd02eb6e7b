"""One driver for all losses: dispatch by dtype, layout, instruction set and backend; exact State; no files, no command line."""
