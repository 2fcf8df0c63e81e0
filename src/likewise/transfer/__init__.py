"""Moving likes in and out as CSV, NDJSON and Parquet: `likewise import` and `likewise export`.

`formats.py` says which format and opens files, `reading.py` turns text into ops, `parquet.py` does so for Parquet (and
writes it), `importing.py` applies ops, `exporting.py` writes likes. Nothing in here prints.
"""
