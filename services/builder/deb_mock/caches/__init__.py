"""Everything kept between builds, looked at together: what is there, and what of it can go.

How each kind is stored belongs with it: `bases`, `layers`, `buildroots`.
"""
