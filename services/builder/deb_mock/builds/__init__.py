"""One piece of work in a clean buildroot from start to end: stages, checks, ending and report.

Each module puts together what the packages below it do. Several builds in a row are in `chains`, builds that are
compared in `reproducibility`.
"""
