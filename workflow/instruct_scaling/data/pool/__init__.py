"""The pool stage: sources, then filters, then removal of copies and of eval items."""
