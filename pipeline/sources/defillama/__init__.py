"""DeFiLlama: protocols, chains, histories."""
