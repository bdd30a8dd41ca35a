"""The comparison table, the plots and the page: pure functions of the run records.

`collect` reads the records, `choose` picks what each row of the table shows, `table`, `plots` and `page` write it down,
`build` does all of it. Nothing here reads a clock or looks at the machine, so the same records always give the same
bytes.
"""
