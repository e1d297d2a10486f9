"""What differs between two composes: packages, sizes of what they deliver, files of their trees.

Reads what composes left; makes nothing.
"""
