"""The console's REST API: everything the pages do, for other programs. Mounted at /api/v1."""
