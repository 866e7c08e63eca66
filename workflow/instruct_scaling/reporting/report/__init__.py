"""The report: one self-contained HTML page that can be read without the repository."""
