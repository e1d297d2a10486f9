"""The schema of the auth database, in dbmate's format. A released file is never edited."""
