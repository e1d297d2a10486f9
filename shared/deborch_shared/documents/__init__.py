"""Files that people write, read with the line of each key, and what is wrong in them told by file, line and key.

What the keys mean, how one file goes over another and which class an error has belong to whoever reads the file.
"""
