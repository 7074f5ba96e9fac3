"""The built-in rules, one folder a family. Nothing to register: a rule is a file."""

ANNOUNCES = True  # each file writes the code of its rule, so that a scan imports only what it needs
