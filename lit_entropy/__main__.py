"""``python -m lit_entropy`` is ``lit-entropy``."""

from lit_entropy.cli.start import console

if __name__ == "__main__":
    console()
