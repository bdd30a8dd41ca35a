"""What `neon_rnn bench` is made of: workers that train, the bench that asks them in turn, the report."""
