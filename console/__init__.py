"""The review console: where people look at flags, decide, and are accountable for it.

It reads topics (flags, and what happens to accounts under review) and a database, never the state of the detectors.
"""
