"""What is drawn, for the report, the UI and the claims alike."""
