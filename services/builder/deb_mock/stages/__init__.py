"""How any work in a buildroot is timed, watched, limited and logged, stage by stage.

What the stages do is not known here: that belongs in `builds`, `dependencies` and whatever else has work to do.
"""
