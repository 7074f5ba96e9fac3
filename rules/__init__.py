"""The built-in rules, one folder a family. Nothing to register: a rule is a file."""
