"""The tree of a variant: installed, changed as its treefile says, laid out for OSTree, and committed.

Which packages are in it was decided by `gather`; what comes out of the commit is made by `outputs`.
"""
