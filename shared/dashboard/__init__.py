"""The dashboard's pages: view models made of what was gathered, templates, and what a browser may do with them."""
