"""The console's pages: server-rendered, working without script."""
