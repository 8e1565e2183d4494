"""Tests of rules as data: what processes do, told as a person would, and the alerts that must come of it.

form.py reads files of tests, world.py makes real events of what they tell, and run.py has the engine judge them.
docs/rule-tests.md describes the form.
"""
