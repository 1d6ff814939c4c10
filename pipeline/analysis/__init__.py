"""What is measured on the tables of a day, data and simulations alike."""
