"""The rolling contact graph: accounts, friendships, sliding windows, mutual friends."""
