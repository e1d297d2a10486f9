"""Phases: what each one declares, the facts that it leaves for those after it, and the order in which they run.

One package beside this one holds each phase (gather, build, ostree, outputs, boot); here is what they have in common.
"""
