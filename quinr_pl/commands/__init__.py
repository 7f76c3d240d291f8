"""One file a command. Heavy imports wait inside the functions, so that ``--help`` answers at once."""
