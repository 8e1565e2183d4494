"""Why a rule matched an event or did not.

clauses.py takes a rule apart into clauses that the engine evaluates one by one; there is no second evaluator. judge.py
asks it of the events of a capture, of a test, or of history; render.py writes what it said for people.
"""
