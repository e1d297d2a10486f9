"""Base images: what goes into one, how one is made, named, refreshed and found again.

A base has the essential packages of its suite and is never changed. What is put on top of one belongs in `layers`;
what runs on one, in `buildroots`.
"""
