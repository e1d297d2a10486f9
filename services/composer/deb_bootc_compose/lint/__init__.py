"""The checks of `bootc container lint`, made without bootc, over a commit, an image or a directory.

One function a check, under bootc's own names. What does not belong here: rules that bootc does not have.
"""
