"""Theory: parameters in, arrays out. Each file opens with its equations; see NOTATION.md."""
