"""The commands that `cli.py` does not hold: one file a family. Typer lives here and there, nowhere else."""
