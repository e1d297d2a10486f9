"""The rules of identity: what a key looks like, what it may grant, how a token is signed, who fails too often.

Pure: no database, no file, no HTTP.
"""
