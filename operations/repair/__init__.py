"""Commands that repair stores: `replay`, `rebuild`, `compact`.

Each has a module of its name; imports `operations.verify`.
"""
