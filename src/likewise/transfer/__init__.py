"""Likes in and out as CSV, NDJSON and Parquet (`likewise import`, `export`), and whole stores: `move`, `backup`,
`restore`.

`formats.py` says which format and opens files, `reading.py` cuts text into batches of rows and `rows.py` makes each an
op, `parquet.py` does both for Parquet (and writes it), `importing.py` applies ops, `exporting.py` writes likes.
`moving.py` copies all likes of one store into another, `backups.py` copies a store as it is. Nothing in here prints.
"""
