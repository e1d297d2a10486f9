"""Source packages and trees: naming, fetching, checking against hashes and signatures.

Nothing of a source runs here. Making a source package from a tree needs a buildroot with its build dependencies and
belongs in `builds`.
"""
