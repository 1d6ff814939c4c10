"""`baimo fit`: a file a subcommand."""
