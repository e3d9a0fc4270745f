"""The formats of tables, one file a format. `reading` opens any of them, `writing` writes those that we write."""
