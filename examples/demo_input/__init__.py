"""What ``examples/make_demo_input.py`` is made of: the hand-written site, Python's documentation, and a WARC writer."""
