"""The Hugging Face Hub: its listing, and the public histories of it."""
