"""What leaves a build: its files, verified and published at once, and what its log says of why it failed.

Reports about a build are in `builds`, which knows how it went.
"""
